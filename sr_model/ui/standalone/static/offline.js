// The service worker, which keeps the page's files. Where there is none, the page works, but not offline.

const PATIENCE = 5000; // milliseconds

// Resolves when what is loaded from now on is kept, or when that is not to be waited for.
export async function keepFiles() {
  const worker = navigator.serviceWorker;
  if (!worker) return;
  const controlled = new Promise((done) => worker.addEventListener("controllerchange", done, { once: true }));
  try {
    const { active } = await worker.register("service.js");
    if (worker.controller || active) return; // a forced reload is left without a controller
  } catch (error) {
    console.warn(error);
    return;
  }
  await Promise.race([controlled, new Promise((done) => setTimeout(done, PATIENCE))]);
}
