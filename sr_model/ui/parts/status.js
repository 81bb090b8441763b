// What is going on: in a line, in a bar, and in the tab's title.
import { hear, tell } from "./bus.js";
import { said } from "../words/said.js";
import { known, t } from "../words/words.js";

export default function mount({ element, props, watch }) {
  const root = element.querySelector(".sr-status");
  const bar = root.querySelector(".sr-bar");
  const line = root.querySelector(".sr-status-text");
  const title = t("title");
  bar.setAttribute("aria-label", t("tiles_done"));

  function sentence(value) {
    const key = value.word === "tiles" && value.seconds == null ? "tiles_only" : value.word;
    if (!key || !known(key)) return said(value.text);
    return t(key, { done: value.done, total: value.total, seconds: Math.round(value.seconds || 0) });
  }

  function render() {
    const given = props.value || { kind: "idle", text: "" };
    const busy = given.kind === "working" || given.kind === "waiting";
    if (!busy) early = false;
    const value = busy && window.srCancelled ? { kind: given.kind, word: "cancelling" } : given;
    const refused = value.kind === "refused";
    root.dataset.kind = value.kind;
    line.textContent = refused ? "" : sentence(value);
    root.querySelector(".sr-status-alert").textContent = refused ? said(value.text) : "";
    bar.hidden = !busy;
    bar.max = value.total || 1;
    if (value.kind === "waiting" || value.word === "cancelling") bar.removeAttribute("value");
    else bar.value = value.done || 0;
    const percent = value.total ? `${Math.round((100 * value.done) / value.total)} % · ` : busy ? "… · " : "";
    document.title = `${busy ? percent : ""}${title}`;
    cancel()?.setAttribute("aria-disabled", String(value.word === "cancelling"));
    tell("status", value);
    cancelWhenTaken();
  }

  const isBusy = () => root.dataset.kind === "working" || root.dataset.kind === "waiting";
  const cancel = () => document.querySelector("#sr-cancel");
  // Gradio can cancel only what the server has taken: that has a place in the queue, or more is said of it.
  const isTaken = () => !props.value || props.value.word !== "waiting" || Boolean(place());
  let early = false; // Cancel was pressed before
  const cancelWhenTaken = () => early && isTaken() && cancel()?.click();
  document.addEventListener(
    "click",
    (event) => {
      if (!event.target.closest?.("#sr-cancel")) return;
      const again = window.srCancelled && !early; // Gradio would report the end of the work twice
      early = !again && !isTaken();
      if (again || early) event.stopImmediatePropagation();
      window.srCancelled = true;
      render();
    },
    true,
  );
  hear("escape", () => isBusy() && cancel()?.click());

  // Gradio writes "queue: 2/3" into a corner of each component; here it becomes part of the sentence.
  const tracker = element.closest(".block").querySelector("[data-testid='status-tracker']");
  const place = () => /(\d+)\/(\d+)/.exec(tracker ? tracker.textContent : "");
  if (tracker) {
    new MutationObserver(() => {
      cancelWhenTaken();
      const found = place();
      if (!found || root.dataset.kind !== "waiting" || window.srCancelled) return;
      const text = t("queue", { place: found[1], total: found[2] });
      if (line.textContent !== text) line.textContent = text;
    }).observe(tracker, { childList: true, characterData: true, subtree: true });
  }

  // What was said is of another picture.
  function forget() {
    if (isBusy()) return;
    root.dataset.kind = "idle";
    line.textContent = root.querySelector(".sr-status-alert").textContent = "";
  }
  // Another picture of one's own while there is work: the work is not wanted any more.
  hear("picture", (picture) => {
    if (picture && picture.own) tell("escape");
    forget();
  });
  hear("files", (files) => files && forget());
  watch("value", render);
  render();
}
