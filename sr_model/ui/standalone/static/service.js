// Keeps the page's files in the browser, so that it opens without a network. Before this text the file has VERSION, which
// changes with the files, FIRST, the paths that are kept at once, and LATER, those that are kept when they are first used.

const SCOPE = new URL("./", self.location.href).href;
const PREFIX = `${SCOPE} `; // one site may have several such pages
const CACHE = PREFIX + VERSION;
const ALL = new Set([...FIRST, ...LATER].map((path) => SCOPE + path));

self.addEventListener("install", (event) => {
  // The browser's other cache may have them from an earlier version.
  const requests = FIRST.map((path) => new Request(SCOPE + path, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  // Some servers name the page itself index.html, with a redirect or without.
  const address = url.replace(/[?#].*/, "").replace(/index\.html$/, "");
  if (method !== "GET" || !ALL.has(address)) return;
  event.respondWith(answer(mode === "navigate" ? SCOPE : address, event.request));
});

async function answer(address, request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(address);
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.status === 200) await cache.put(address, fresh.clone());
  return fresh;
}
