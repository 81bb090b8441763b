const options = element.querySelector(".sr-options");
const hint = element.querySelector(".sr-hint");
const group = `choice-${Math.random().toString(36).slice(2)}`;

function choose(option) {
  props.value = { ...props.value, chosen: option.value };
  hint.textContent = option.hint;
  trigger("input");
}

function render() {
  const { chosen, options: entries } = props.value;
  options.replaceChildren(
    ...entries.map((option) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.type = "radio";
      input.name = group;
      input.value = option.value;
      input.checked = option.value === chosen;
      input.addEventListener("change", () => choose(option));
      label.append(input, option.label);
      return label;
    }),
  );
  hint.textContent = (entries.find((option) => option.value === chosen) || { hint: "" }).hint;
}

watch("value", render);
render();
