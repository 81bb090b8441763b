// Examples as buttons.
import { make, settings, tell } from "./bus.js";
import { said } from "../words/said.js";

const BUSY = ".sr-status[data-kind='working'], .sr-status[data-kind='waiting']";

export default function mount({ element, props, trigger }) {
  const list = element.querySelector(".sr-gallery");
  for (const example of props.value || []) {
    const item = make("li");
    const button = make("button");
    const picture = make("img");
    button.type = "button";
    button.dataset.name = example.name;
    button.addEventListener("click", () => {
      if (document.querySelector(BUSY)) return;
      if (settings.place === "device") tell("example", example);
      else trigger("select", { name: example.name });
    });
    picture.src = example.thumb;
    picture.alt = "";
    button.append(picture, make("span", "sr-example-title", said(example.title)));
    item.append(button, make("span", "sr-example-credit", example.credit));
    list.append(item);
  }
}
