// Radio buttons, or boxes where several may be chosen, in a row.
import { hear, make, settings, tell } from "../parts/bus.js";
import { worded } from "../words/said.js";
import { t } from "../words/words.js";

export default function mount({ element, props, trigger, watch }) {
  const root = element.querySelector(".sr-choice");
  const options = root.querySelector(".sr-options");
  const hint = root.querySelector(".sr-hint");
  let allowed = null; // the values that can be chosen where the work is done; null for all
  const group = `choice-${props.name}`;
  root.querySelector("legend").textContent = t(props.name);

  const isChosen = (value) => (props.several ? props.value.chosen.includes(value) : props.value.chosen === value);

  function choose(value, byHand) {
    let chosen = value;
    if (props.several) {
      const has = props.value.chosen;
      chosen = has.includes(value) ? has.filter((each) => each !== value) : [...has, value];
    }
    props.value = { ...props.value, chosen };
    if (byHand) tell("by hand", props.name);
    announce();
    trigger("input");
  }

  function announce() {
    const { chosen, options: entries } = props.value;
    const entry = entries.find((option) => option.value === chosen);
    hint.textContent = entry ? worded(entry.hint, entry) : "";
    tell("setting", { name: props.name, value: chosen });
  }

  function render() {
    options.replaceChildren(
      ...props.value.options.map((option) => {
        const label = make("label");
        const input = make("input");
        input.type = props.several ? "checkbox" : "radio";
        input.name = group;
        input.value = option.value;
        input.checked = isChosen(option.value);
        input.disabled = Boolean(allowed) && !allowed.includes(option.value);
        input.addEventListener("change", () => choose(option.value, true));
        label.append(input, worded(String(option.label)));
        return label;
      }),
    );
    announce();
  }

  function show() {
    const block = element.closest(".block") || element;
    block.hidden = Boolean(props.when.length) && !props.when.includes(settings.mode);
  }

  // Another preset has options of its own; what is chosen stays if it is among them.
  function follow(preset) {
    const entries = props.by_preset[preset];
    if (!entries || entries === props.value.options) return;
    const values = entries.map((option) => option.value);
    const before = props.value.chosen;
    props.value = { options: entries, chosen: values.includes(before) ? before : values[0] };
    render();
    if (props.value.chosen !== before) trigger("input");
  }

  hear("setting", ({ name, value }) => {
    if (name === "mode") show();
    if (name === "preset") follow(value);
  });
  hear("allow", ({ name, values }) => {
    if (name !== props.name) return;
    allowed = values;
    for (const input of options.querySelectorAll("input")) {
      input.disabled = Boolean(values) && !values.map(String).includes(input.value);
    }
  });
  // Another component asks for a value: a link, an offer, a picture that was dropped.
  hear("choose", ({ name, value }) => {
    if (name !== props.name || JSON.stringify(props.value.chosen) === JSON.stringify(value)) return;
    const offered = props.value.options.map((option) => option.value);
    const wanted = props.several ? value : [value];
    if (!wanted.every((each) => offered.includes(each))) return;
    props.value = { ...props.value, chosen: value };
    render();
    trigger("input");
  });
  watch("value", render);
  render();
  show();
}
