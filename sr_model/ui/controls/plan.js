// Before the button: the size now and then, and the seconds; or what exceeds a limit, and what would fit.
import { hear, make, settings, tell } from "../parts/bus.js";
import { said } from "../words/said.js";
import { number, t } from "../words/words.js";

// An answer to settings that are no longer those may come after that to the present ones.
const same = (a, b) => JSON.stringify(a || "") === JSON.stringify(b || "");
const size = ([w, h]) => `${w}×${h}`;

function seconds(value) {
  return number(value, value < 1 ? 1 : 0);
}

export default function mount({ element, props, watch }) {
  const root = element.querySelector(".sr-plan");

  function render() {
    const value = props.value || { kind: "empty" };
    if (settings.place === "device" && !value.local) return; // the server knows nothing of the picture
    if (Object.entries(value.asked || {}).some(([name, asked]) => name in settings && !same(asked, settings[name]))) return;
    root.dataset.kind = value.kind;
    const ready = value.kind === "ready";
    const key = ready && value.mode !== "enlarge" ? "plan_compare" : "plan";
    root.querySelector(".sr-plan-text").textContent = ready
      ? t(key, {
          source: size(value.source),
          low: size(value.low),
          result: size(value.result),
          seconds: seconds(Math.max(value.seconds, 0.1)),
        })
      : "";
    root.querySelector(".sr-plan-alert").textContent = value.kind === "exceeds" ? said(value.text) : "";
    root.querySelector(".sr-offers").replaceChildren(
      ...(value.offers || []).map((offer) => {
        const button = make("button", "sr-offer", t("offer", { setting: said(offer.label) }));
        button.type = "button";
        button.addEventListener("click", () => tell("choose", { name: offer.setting, value: offer.value }));
        return button;
      }),
    );
    tell("plan", value);
  }
  // The same sentence twice would be once too often.
  hear("status", ({ kind, text }) => {
    const alert = root.querySelector(".sr-plan-alert");
    if (kind === "refused" && alert.textContent === said(text)) alert.textContent = "";
  });
  watch("value", render);
  render();
}
