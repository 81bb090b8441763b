// A size in pixels or megapixels, for those who know what they need rather than how many times.
import { hear, settings, tell } from "../parts/bus.js";
import { translate } from "../words/words.js";

const UNITS = ["width", "height", "megapixels"];
const FIRST = { width: 1920, height: 1080, megapixels: 8 };

export default function mount({ element, props, trigger }) {
  const root = element.querySelector(".sr-target");
  const input = root.querySelector("input");
  const select = root.querySelector("select");
  translate(root);
  [...select.options].forEach((option, i) => {
    option.value = UNITS[i];
  });
  input.value = FIRST.width;

  function say() {
    const asked = settings.scale === "size";
    (element.closest(".block") || element).hidden = !asked;
    const value = asked && input.value ? { unit: select.value, value: Number(input.value) } : "";
    if (JSON.stringify(value) === JSON.stringify(props.value)) return;
    props.value = value;
    tell("setting", { name: "target", value });
    trigger("input");
  }
  select.addEventListener("change", () => {
    input.value = FIRST[select.value];
    say();
  });
  input.addEventListener("change", say);
  hear("setting", ({ name }) => {
    if (name === "scale") say();
  });
  hear("choose", ({ name, value }) => {
    if (name !== "target" || !UNITS.includes(value.unit) || !(value.value > 0)) return;
    select.value = value.unit;
    input.value = value.value;
    say();
  });
  tell("setting", { name: "target", value: props.value });
  say();
}
