// How strongly a picture is repaired: found by itself until the visitor moves the slider.
import { hear, settings, tell } from "../parts/bus.js";
import { number, t, translate } from "../words/words.js";

const AUTO = "auto";
const percent = (value) => `${number(100 * value)} %`;

export default function mount({ element, props, trigger }) {
  const root = element.querySelector(".sr-strength");
  const slider = root.querySelector("[type='range']");
  const auto = root.querySelector("[type='checkbox']");
  let found = null; // what the picture was given by itself, where it is known
  translate(root);
  slider.step = 1 / props.steps;

  function render() {
    const byItself = props.value === AUTO;
    auto.checked = byItself;
    slider.value = byItself ? found ?? 0.5 : props.value;
    root.dataset.known = !byItself || found !== null;
    root.querySelector("output").textContent = byItself && found === null ? "–" : percent(slider.value);
    slider.setAttribute("aria-valuetext", byItself && found === null ? t("strength_auto") : percent(slider.value));
    const word = found === null ? "strength_unknown" : "strength_found";
    root.querySelector(".sr-hint").textContent = t(word, { strength: percent(found) });
  }

  function say(value) {
    props.value = value;
    render();
    tell("setting", { name: "strength", value });
  }

  function show() {
    const fits = props.presets.includes(settings.preset) && settings.mode !== "networks" && settings.place !== "device";
    (element.closest(".block") || element).hidden = !fits;
  }

  slider.addEventListener("input", () => say(Number(slider.value)));
  slider.addEventListener("change", () => trigger("input"));
  auto.addEventListener("change", () => {
    say(auto.checked ? AUTO : Number(slider.value));
    trigger("input");
  });
  hear("choose", ({ name, value }) => {
    if (name !== "strength" || !(value === AUTO || (value >= 0 && value <= 1))) return;
    say(value);
    trigger("input");
  });
  hear("setting", ({ name }) => {
    if (["mode", "preset", "place"].includes(name)) show();
    if (!["mode", "scale", "shrinking"].includes(name)) return;
    found = null; // another picture is looked at
    render();
  });
  hear("picture", () => {
    found = null;
    render();
  });
  const learn = (value) => {
    if (value == null) return;
    found = value;
    render();
  };
  hear("plan", ({ strength }) => learn(strength));
  hear("made", ({ settings: made, strength }) => made.strength === AUTO && learn(strength));
  tell("setting", { name: "strength", value: props.value });
  render();
  show();
}
