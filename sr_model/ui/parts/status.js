const root = element.querySelector(".sr-status");
const bar = root.querySelector(".sr-bar");

function render() {
  const value = props.value || { kind: "idle", text: "" };
  const refused = value.kind === "refused";
  root.dataset.kind = value.kind;
  root.querySelector(".sr-status-text").textContent = refused ? "" : value.text;
  root.querySelector(".sr-status-alert").textContent = refused ? value.text : "";
  bar.hidden = value.kind !== "working" && value.kind !== "waiting";
  bar.max = value.total || 1;
  if (value.kind === "waiting") bar.removeAttribute("value");
  else bar.value = value.done || 0;
}

// Gradio writes "queue: 2/3" into a corner of each component; here it becomes part of the sentence.
const tracker = element.closest(".block").querySelector("[data-testid='status-tracker']");
if (tracker) {
  new MutationObserver(() => {
    const place = /(\d+)\/(\d+)/.exec(tracker.textContent);
    if (!place || root.dataset.kind !== "waiting") return;
    const sentence = `${props.value.text}: number ${place[1]} of ${place[2]} in the queue`;
    const line = root.querySelector(".sr-status-text");
    if (line.textContent !== sentence) line.textContent = sentence;
  }).observe(tracker, { childList: true, characterData: true, subtree: true });
}

watch("value", render);
render();
