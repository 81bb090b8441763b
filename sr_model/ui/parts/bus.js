// What the page's components tell each other in the browser, before the server knows of it.
const bus = new EventTarget();

export const tell = (type, detail) => bus.dispatchEvent(new CustomEvent(type, { detail }));
export const hear = (type, handler) => bus.addEventListener(type, (event) => handler(event.detail));

// The latest settings by their control's name, for those who come late.
export const settings = {};
hear("setting", ({ name, value }) => {
  settings[name] = value;
});

// What is there only while the visitor's own device does the work: the reference's file, and a function that makes
// downloads, (name, format, quality) -> Promise<Blob>.
export const local = { reference: null, file: null };

// The picture that is chosen now: {name, source, own, file} or null; `file` is the visitor's own.
export const current = { picture: null };
const byHand = new Set();
hear("by hand", (name) => byHand.add(name));

// A picture of one's own is to be enlarged; an example has a truth to compare with. What is chosen by hand stays.
hear("picture", (picture) => {
  current.picture = picture;
  if (!picture || picture.first || settings.mode === "networks" || byHand.has("mode")) return;
  tell("choose", { name: "mode", value: picture.own ? "enlarge" : "compare" });
});

export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}
