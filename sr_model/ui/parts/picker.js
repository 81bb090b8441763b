// Takes a picture, shows it at once, and sends its own bytes.
import { hear, local, settings, tell } from "./bus.js";
import { said } from "../words/said.js";
import { number, t, translate } from "../words/words.js";

const NOTHING = ""; // Gradio turns null into this, and would report that as a change
const isZip = (file) => /zip/.test(file.type) || /\.zip$/i.test(file.name);
const firstPicture = (list) => list.find((file) => file.type.startsWith("image/")) || list[0];

export default function mount({ element, props, trigger, watch, upload }) {
  const root = element.querySelector(".sr-picker");
  const find = (name) => root.querySelector(`.sr-${name}`);
  const [input, preview, chosen, error] = ["file", "preview", "chosen", "picker-error"].map(find);
  let latest = 0; // an upload is dropped if a later choice has overtaken it
  let blob = null;
  let kept = null; // a file that has not been sent, as the visitor's own device is to do the work
  input.multiple = Boolean(props.several);
  if (props.several) input.accept += ",.zip";
  translate(root);
  find("heading").textContent = t(props.word);
  find("hint").textContent = t(`${props.word}_hint`, { megabytes: props.max_bytes / 1048576 });

  function show(state, name = "", source = "") {
    root.dataset.state = state;
    if (blob && blob !== source) URL.revokeObjectURL(blob);
    blob = source.startsWith("blob:") ? source : null;
    preview.hidden = !source;
    if (source) preview.src = source;
    else preview.removeAttribute("src");
    preview.alt = source ? t("chosen_picture", { name }) : "";
    chosen.hidden = !name;
    find("chosen-name").textContent = state === "uploading" ? t("uploading", { name }) : name;
    error.textContent = "";
  }

  function announce(picture) {
    if (props.main) {
      tell("files", null);
      tell("picture", picture);
    } else local.reference = picture && picture.file;
  }

  function refuse(sentence) {
    show("empty");
    announce(null);
    error.textContent = sentence;
  }

  // One picture is the page's; several, or a zip, are a queue.
  function choose(files) {
    if (!props.several || (files.length < 2 && !files.some(isZip))) {
      take(firstPicture(files));
      return;
    }
    latest += 1;
    kept = null;
    props.value = NOTHING;
    if (settings.place === "device") {
      refuse(t("files_server"));
      return;
    }
    show("many", files.length > 1 ? t("files_count", { count: files.length }) : files[0].name);
    announce(null);
    tell("files", files);
  }

  async function take(file) {
    if (!file) return;
    const mine = ++latest;
    kept = null;
    props.value = NOTHING;
    if (file.size > props.max_bytes) {
      refuse(t("too_large", { size: number(file.size / 1048576, 1), most: props.max_bytes / 1048576 }));
      return;
    }
    const source = URL.createObjectURL(file);
    show("uploading", file.name, source);
    announce({ name: file.name, source, own: true, file });
    if (settings.place === "device") {
      kept = file;
      show("ready", file.name, source);
      trigger("input");
      return;
    }
    await send(file, source, mine);
  }

  async function send(file, source, mine) {
    kept = null;
    try {
      const { path, url } = await upload(file);
      if (mine !== latest) return;
      const data = { path, url, orig_name: file.name, size: file.size, meta: { _type: "gradio.FileData" } };
      props.value = { file: data, name: file.name, thumb: null };
      show("ready", file.name, source);
      trigger("input");
    } catch {
      if (mine === latest) refuse(t("not_arrived"));
    }
  }

  function showValue(first = false) {
    const value = props.value;
    latest += 1;
    kept = null;
    if (!value) {
      show("empty");
      if (!props.main) announce(null);
      return;
    }
    show("ready", said(value.name), value.thumb || value.file.url);
    announce({ name: value.name, source: value.file.url, own: false, first });
  }

  const scope = props.main ? document : root;
  // The component may be rebuilt; listeners on the document outlive it.
  const onScope = (type, handler) =>
    scope.addEventListener(type, function listener(event) {
      if (!element.isConnected) scope.removeEventListener(type, listener);
      else if (!event.defaultPrevented) handler(event);
    });
  onScope("paste", (event) => {
    const files = [...((event.clipboardData && event.clipboardData.files) || [])];
    if (!files.length) return;
    event.preventDefault();
    choose(files);
  });
  onScope("dragover", (event) => {
    event.preventDefault(); // otherwise the browser leaves the page and opens the file
    root.classList.add("sr-over");
  });
  onScope("drop", (event) => {
    event.preventDefault();
    root.classList.remove("sr-over");
    choose([...((event.dataTransfer && event.dataTransfer.files) || [])]);
  });
  for (const type of ["dragleave", "dragend"]) onScope(type, () => root.classList.remove("sr-over"));
  onScope("keydown", (event) => {
    if (props.main && event.key === "Escape") tell("escape"); // ends the work, if there is any
    if (!props.main || event.key.toLowerCase() !== "o" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    input.click();
  });

  preview.addEventListener("error", () => {
    preview.hidden = true; // the server says what is wrong with it
  });
  input.addEventListener("change", () => {
    choose([...input.files]);
    input.value = ""; // allows choosing the same file again
  });
  find("remove").addEventListener("click", () => {
    latest += 1;
    kept = null;
    props.value = NOTHING;
    show("empty");
    announce(null);
    trigger("input");
    input.focus();
  });
  if (!props.main) {
    const place = element.closest(".block") || element;
    const follow = () => {
      place.hidden = settings.mode !== "enlarge";
    };
    hear("setting", follow);
    follow();
  }
  hear("setting", ({ name, value }) => {
    if (name !== "place" || value === "device" || !kept) return;
    show("uploading", kept.name, blob);
    send(kept, blob, latest);
  });
  hear("take", (value) => {
    if (!props.main) return;
    props.value = value;
    showValue();
  });
  watch("value", () => showValue());
  showValue(true);
}
