const root = element.querySelector(".sr-picker");
const input = root.querySelector(".sr-file");
const zone = root.querySelector(".sr-zone");
const preview = root.querySelector(".sr-preview");
const chosen = root.querySelector(".sr-chosen");
const error = root.querySelector(".sr-picker-error");
let latest = 0; // an upload is dropped if a later choice has overtaken it
let blob = null;
const NOTHING = ""; // Gradio turns null into this, and would report that as a change

function show(state, name = "", source = "") {
  root.dataset.state = state;
  if (blob && blob !== source) URL.revokeObjectURL(blob);
  blob = source.startsWith("blob:") ? source : null;
  preview.hidden = !source;
  if (source) preview.src = source;
  else preview.removeAttribute("src");
  preview.alt = source ? `Chosen picture ${name}` : "";
  chosen.hidden = !name;
  chosen.querySelector(".sr-chosen-name").textContent = state === "uploading" ? `Uploading ${name}` : name;
  error.textContent = "";
}

function refuse(sentence) {
  show("empty");
  error.textContent = sentence;
}

async function take(file) {
  if (!file) return;
  const mine = ++latest;
  props.value = NOTHING;
  if (file.size > props.max_bytes) {
    const size = (file.size / 1048576).toFixed(1);
    refuse(`The file has ${size} MB; at most ${props.max_bytes / 1048576} MB are allowed. Please shrink it first.`);
    return;
  }
  const source = URL.createObjectURL(file);
  show("uploading", file.name, source);
  try {
    const { path, url } = await upload(file);
    if (mine !== latest) return;
    const data = { path, url, orig_name: file.name, size: file.size, meta: { _type: "gradio.FileData" } };
    props.value = { file: data, name: file.name, thumb: null };
    show("ready", file.name, source);
  } catch {
    if (mine === latest) refuse("The upload failed. Please try again.");
  }
}

function showValue() {
  const value = props.value;
  latest += 1;
  if (value) show("ready", value.name, value.thumb || value.file.url);
  else show("empty");
}

const pictureIn = (list) => [...(list || [])].find((file) => file.type.startsWith("image/")) || (list || [])[0];
const scope = props.main ? document : root;
// The component may be rebuilt; listeners on the document outlive it.
const onScope = (type, handler) =>
  scope.addEventListener(type, function listener(event) {
    if (!element.isConnected) scope.removeEventListener(type, listener);
    else if (!event.defaultPrevented) handler(event);
  });

onScope("paste", (event) => {
  const file = pictureIn(event.clipboardData && event.clipboardData.files);
  if (!file) return;
  event.preventDefault();
  take(file);
});
onScope("dragover", (event) => {
  event.preventDefault(); // otherwise the browser leaves the page and opens the file
  root.classList.add("sr-over");
});
onScope("drop", (event) => {
  event.preventDefault();
  root.classList.remove("sr-over");
  take(pictureIn(event.dataTransfer && event.dataTransfer.files));
});
scope.addEventListener("dragleave", () => root.classList.remove("sr-over"));
scope.addEventListener("dragend", () => root.classList.remove("sr-over"));

preview.addEventListener("error", () => {
  preview.hidden = true; // the server says what is wrong with it
});
input.addEventListener("change", () => {
  take(input.files[0]);
  input.value = ""; // allows choosing the same file again
});
root.querySelector(".sr-remove").addEventListener("click", () => {
  latest += 1;
  props.value = NOTHING;
  show("empty");
  input.focus();
});
watch("value", showValue);
showValue();
