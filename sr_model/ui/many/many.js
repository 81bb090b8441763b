// Several files at once: each is sent, shown as a row, and enlarged by the server when the main button is pressed.
import { hear, make, settings, tell } from "../parts/bus.js";
import { said } from "../words/said.js";
import { number, t, translate } from "../words/words.js";

const ABOUT = ["scale", "preset", "target", "strength"]; // settings that sizes and seconds depend on
const NAMES = { png: "PNG", webp: "WebP", jpg: "JPEG" };
const size = ([w, h]) => `${w}×${h}`;
const megabytes = (bytes) => number(bytes / 1e6, bytes < 1e7 ? 1 : 0);

function inWords(seconds) {
  if (seconds > 90) return t("files_minutes", { minutes: Math.ceil(seconds / 60) });
  return t("files_seconds", { seconds: Math.max(1, Math.round(seconds)) });
}

export default function mount({ element, props, trigger, watch, upload, root: address }) {
  const root = element.querySelector(".sr-queue");
  const find = (name) => root.querySelector(`.sr-${name}`);
  const [line, note, list, format, zip] = ["queue-line", "queue-note", "rows", "queue-format", "zip"].map(find);
  let opened = 0; // what belongs to files that were chosen earlier is dropped
  let ask = 0;
  let sent = null; // {id, rows, ...} as the server sees them; null while files are on their way
  let refused = []; // rows of files that were not sent
  let wanted = false; // the button was pressed before all files were there
  let working = false;
  let turn = 0; // of the server's work, the last whose rest was asked for
  translate(root);
  for (const kind of props.formats) {
    const option = make("option", "", NAMES[kind]);
    option.value = kind;
    format.append(option);
  }

  function row({ name, size: source, state, text, result, part, left }) {
    const item = make("li", "sr-row");
    item.dataset.state = state;
    const sizes = source && source[0] ? size(source) + (result ? ` → ${size(result)}` : "") : "";
    const percent = Math.round((part || 0) * 100);
    const words = said(text) || (state === "working" ? t("file_working", { percent }) : t(`file_${state}`));
    item.append(make("span", "sr-row-name", name), make("span", "sr-row-size", sizes));
    item.append(make("span", "sr-row-state", words), make("span", "sr-row-left", left == null ? "" : inWords(left)));
    if (state === "working") item.style.setProperty("--part", `${percent}%`);
    return item;
  }

  function render() {
    const rows = [...(sent ? sent.rows : []), ...refused];
    list.replaceChildren(...rows.map(row));
    const count = (state) => rows.filter((each) => each.state === state).length;
    const parts = [t(rows.length === 1 ? "files_one" : "files_count", { count: rows.length })];
    if (count("uploading")) parts.push(t("files_uploading", { count: count("uploading") }));
    else if (sent && sent.pending && !working) parts.push(t("files_plan", { count: sent.pending, time: inWords(sent.seconds) }));
    if (count("done")) parts.push(t("files_done", { count: count("done") }));
    if (count("refused")) parts.push(t("files_refused", { count: count("refused") }));
    line.textContent = parts.join(" · ");
    note.textContent = said(sent && sent.note);
    const results = (sent && sent.results) || { count: 0 };
    zip.hidden = !results.count || working;
    zip.textContent = t("files_zip", { count: results.count, megabytes: megabytes(results.bytes || 0) });
    if (sent) zip.href = `${address}/sr-zip?many=${sent.id}`;
    format.disabled = working;
  }

  function look(value) {
    ask += 1;
    props.value = { ...value, ask, format: format.value };
    trigger("input");
  }

  function work() {
    wanted = false;
    if (!sent || !sent.id || working) return;
    if (!sent.pending) {
      note.textContent = said(sent.note) || t("files_nothing");
      return;
    }
    working = true;
    ask += 1;
    props.value = { id: sent.id, ask, format: format.value };
    trigger("select");
  }

  function close() {
    opened += 1;
    sent = null;
    refused = [];
    wanted = false;
    turn = 0;
    root.hidden = true;
  }

  // Checked before they are sent; all others are for the server to judge.
  function objection(file, room) {
    const most = props.limits.each / 1048576;
    if (file.size > props.limits.each) return t("too_large", { size: number(file.size / 1048576, 1), most });
    return file.size > room ? t("said_files_too_much", { most: props.limits.bytes / 1048576 }) : "";
  }

  async function open(files) {
    close();
    const mine = opened;
    tell("escape");
    tell("choose", { name: "mode", value: "enlarge" });
    let room = props.limits.bytes;
    const taken = [];
    for (const file of files.slice(0, props.limits.files)) {
      const text = objection(file, room);
      if (text) refused.push({ name: file.name, state: "refused", text });
      else taken.push(file);
      if (!text) room -= file.size;
    }
    const over = files.length - props.limits.files;
    if (over > 0) refused.push({ name: `+ ${over}`, state: "refused", text: t("files_most", { most: props.limits.files }) });
    const rows = taken.map((file) => ({ name: file.name, state: "uploading" }));
    sent = { rows };
    root.hidden = false;
    render();
    const arrived = [];
    for (const [i, file] of taken.entries()) {
      try {
        const { path, url } = await upload(file);
        arrived.push({ file: { path, url, orig_name: file.name, meta: { _type: "gradio.FileData" } }, name: file.name });
        rows[i].state = "waiting";
      } catch {
        refused.push({ name: file.name, state: "refused", text: t("not_arrived") });
        rows[i] = null;
      }
      if (mine !== opened) return;
      sent = { rows: rows.filter(Boolean) };
      render();
    }
    if (arrived.length) look({ files: arrived });
  }

  watch("value", () => {
    const value = props.value;
    // Gradio gives the last value of a turn once more at its end, which can be after the next request: that one then goes
    // out with the old value. So what is of the same files is not told by `ask`, and a turn is gone on from only once.
    const own = sent && sent.id && value && value.id === sent.id;
    if (root.hidden || !value || !value.rows || !(own || value.ask === ask)) return;
    if (value.turn < turn || (value.again && value.turn === turn)) return;
    sent = value;
    if (value.again && working && !window.srCancelled) {
      turn = value.turn;
      working = false; // others have their turn, and then the rest of these
      work();
      return;
    }
    render();
    if (wanted) work();
  });
  hear("files", (files) => (files ? open(files) : close()));
  hear("setting", ({ name }) => {
    if (ABOUT.includes(name) && sent && sent.id && !working && !root.hidden) look({ id: sent.id });
  });
  format.addEventListener("input", () => sent && sent.id && look({ id: sent.id }));
  hear("status", ({ kind }) => {
    if (!working || ["working", "waiting"].includes(kind)) return;
    working = false;
    if (root.hidden || !sent) return;
    for (const each of sent.rows) if (each.state === "working") each.state = "waiting";
    if (kind === "done") render();
    else look({ id: sent.id }); // what is left can be done by another press
  });
  // The page's button: while there are several files it is theirs.
  document.addEventListener(
    "click",
    (event) => {
      if (root.hidden || !element.isConnected || !event.target.closest?.("#sr-run")) return;
      event.stopImmediatePropagation();
      event.preventDefault();
      if (sent && sent.id) work();
      else wanted = true;
    },
    true,
  );
}
