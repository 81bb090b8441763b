// Downloads of a result in any of four formats, and copies to the clipboard.
import { local, make } from "../parts/bus.js";
import { said } from "../words/said.js";
import { number, t } from "../words/words.js";
import { titleOf } from "../viewer/panes.js";

const FORMATS = [
  ["png", "PNG"],
  ["webp", "WebP"],
  ["avif", "AVIF"],
  ["jpg", "JPEG"],
];
const LOSSY = ["avif", "jpg"];
const LOCAL = ["png", "jpg"]; // what browsers can write themselves

function button(word, act) {
  const node = make("button", "", t(word));
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

function labelled(word, control) {
  const label = make("label");
  label.append(make("span", "", t(word)), control);
  return label;
}

function select(entries) {
  const node = make("select");
  for (const [value, text] of entries) {
    const option = make("option", "", text);
    option.value = value;
    node.append(option);
  }
  return node;
}

export function save(blob, name) {
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Fill `root` for a result, or empty it; `address` is where the page lies.
export function showSaving(root, value, address) {
  root.replaceChildren();
  if (!value) return;
  const pane = select(value.panes.map((each) => [each.name, titleOf(each.title)]));
  pane.selectedIndex = Math.min(1, value.panes.length - 1);
  const format = select(value.local ? FORMATS.filter(([kind]) => LOCAL.includes(kind)) : FORMATS);
  const quality = make("input");
  Object.assign(quality, { type: "range", min: 50, max: 100, value: 90 });
  const exif = make("input");
  exif.type = "checkbox";
  const saved = make("output", "sr-saved");
  const qualityLabel = labelled("quality", quality);
  const exifLabel = labelled("keep_exif", exif);
  exifLabel.title = t("keep_exif_hint");
  exifLabel.hidden = !value.exif;

  async function fetched(kind) {
    const query = new URLSearchParams({ result: value.result, name: pane.value, format: kind });
    if (LOSSY.includes(kind)) query.set("quality", quality.value);
    if (exif.checked) query.set("exif", "1");
    saved.textContent = t("encoding");
    const blob = value.local ? await local.file(pane.value, kind, quality.value) : await ask(query);
    saved.textContent = t("file_size", { size: number(blob.size / 1e6, 2) });
    return blob;
  }
  async function ask(query) {
    const answer = await fetch(`${address}/sr-download?${query}`);
    if (!answer.ok) throw new Error(await answer.text());
    return answer.blob();
  }
  const attempt = (work) => () =>
    work().catch((error) => {
      saved.textContent = said(error.message) || t("not_arrived");
    });
  const download = button(
    "download",
    attempt(async () => save(await fetched(format.value), pane.value.replace(/png$/, format.value))),
  );
  download.className = "sr-download";
  const copy = button(
    "copy",
    attempt(async () => {
      // The promise is handed over at once: browsers allow a copy only while a press is fresh.
      await navigator.clipboard.write([new ClipboardItem({ "image/png": fetched("png") })]);
      saved.textContent = t("copied");
    }),
  );
  const measure = button(
    "measure",
    attempt(() => fetched(format.value)),
  );
  function adapt() {
    qualityLabel.hidden = !LOSSY.includes(format.value);
    saved.textContent = "";
  }
  for (const control of [pane, format, quality, exif]) control.addEventListener("input", adapt);
  adapt();
  root.append(labelled("save_what", pane), labelled("save_as", format), qualityLabel, exifLabel, download, measure, copy, saved);
}
