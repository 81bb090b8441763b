// What goes on inside the network, for the picture that is chosen: each one press away, and computed only then.
import { hear, make, settings } from "./bus.js";
import { said } from "../words/said.js";
import { pointed, t, translate } from "../words/words.js";

const ABOUT = ["preset", "scale", "strength", "place"]; // settings that another network or its place comes with

function image(url, alt, width, height) {
  const node = make("img");
  Object.assign(node, { src: url, alt, width, height, decoding: "async" });
  return node;
}

function figure(picture, title, detail) {
  const node = make("figure");
  const caption = make("figcaption");
  caption.append(make("b", "", said(title)), make("span", "", detail.split("\n").map((line) => pointed(said(line))).join("\n")));
  node.append(caption, picture);
  return node;
}

export default function mount({ element, props, trigger, watch, root: address }) {
  const root = element.querySelector(".sr-inside");
  const shown = root.querySelector(".sr-inside-shown");
  const hint = root.querySelector(".sr-hint");
  const buttons = [...root.querySelectorAll("button")];
  let open = null;
  let ask = 0; // answers to an earlier press are not shown
  translate(root);

  function close() {
    open = null;
    ask += 1;
    fill("");
  }

  function fill(sentence, ...nodes) {
    hint.textContent = sentence;
    shown.replaceChildren(...nodes);
    for (const button of buttons) {
      button.setAttribute("aria-expanded", String(button.dataset.show === open));
      button.hidden = settings.place === "device" && button.dataset.show !== "drawing"; // it is not sent to the server
    }
  }

  function draw() {
    const query = new URLSearchParams({ preset: settings.preset, scale: settings.scale });
    const mine = ask;
    const picture = image(`${address}/sr-drawing?${query}`, t("inside_drawing_alt"));
    picture.className = "sr-drawing";
    const link = make("a");
    Object.assign(link, { href: picture.src, target: "_blank", rel: "noopener" });
    link.append(picture);
    // On a narrow page it is moved sideways rather than made too small to read.
    const frame = make("div", "sr-wide");
    Object.assign(frame, { tabIndex: 0, role: "group", ariaLabel: t("inside_drawing") });
    frame.append(link);
    picture.addEventListener("load", () => {
      picture.style.setProperty("--natural", `${picture.naturalWidth}px`);
      if (mine === ask) fill("", frame);
    });
    picture.addEventListener("error", () => mine === ask && fill(t("inside_failed")));
  }

  const makers = {
    panels({ name, rows }) {
      const grids = rows.map((row) => {
        const grid = make("div", "sr-panels");
        const each = ({ file, title, detail, width, height }) => figure(image(file.url, title, width, height), title, detail);
        grid.append(...row.map(each));
        return grid;
      });
      fill(t("inside_panels_of", { name: said(name) }), ...grids);
    },
    latent({ name, file, width, height, shape, count }) {
      const picture = image(file.url, t("inside_latent"), width, height);
      picture.className = "sr-channels";
      fill(t("inside_latent_of", { name: said(name), shape, count }), picture);
    },
    refused({ text }) {
      fill(said(text));
    },
  };

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const kind = button.dataset.show;
      const again = open === kind;
      close();
      if (again) return;
      open = kind;
      fill(t("inside_working"));
      if (kind === "drawing") {
        draw();
        return;
      }
      props.value = { kind, ask };
      trigger("select");
    });
  }
  watch("value", () => {
    const value = props.value;
    if (open && value && value.ask === ask && (value.rows || value.file || value.text)) makers[value.kind](value);
  });
  hear("picture", close);
  hear("setting", ({ name }) => ABOUT.includes(name) && close());
  fill("");
}
