// Shows what there is: the picture that was chosen, until there is a result of it and of these settings.
import { current, hear, make, settings, tell } from "../parts/bus.js";
import { said } from "../words/said.js";
import { t, translate } from "../words/words.js";
import { showSaving } from "../saving/saving.js";
import { Arrangement } from "./arrange.js";
import { follow } from "./gestures.js";
import { Loupe } from "./loupe.js";
import { Pane } from "./panes.js";
import { showBar, showNumbers } from "./results.js";
import { View } from "./view.js";

const HINT = "sr-hint-seen";
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// What the browser remembers for this page, or null: in another site's frame it may be forbidden even to ask.
function permittedStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

export default function mount({ element, props, watch, root: address }) {
  const root = element.querySelector(".sr-viewer");
  const stage = root.querySelector(".sr-stage");
  let panes = [];
  let value = null; // the result that is shown, or null
  let mapped = null; // the kind of map that is shown in the pictures' place
  let shown = null; // the address of the picture that is shown before there is a result
  let asked = null; // the picture that work has begun for
  let laid = null; // the picture that is looked at, itself or a result of it
  translate(root);

  const box = () => {
    const pane = panes.find((each) => !each.figure.hidden);
    return { width: pane ? pane.window.clientWidth : 0, height: pane ? pane.window.clientHeight : 0 };
  };
  const view = new View(box, (place) => {
    for (const pane of panes) pane.place(place, view.size);
    const percent = place.zoom * 100;
    root.querySelector(".sr-percent").textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  });
  const arrangement = new Arrangement(root, stage, () => view.apply());
  const loupe = new Loupe(root, stage, view);

  // Where somebody has looked by hand they go on looking, in each result of the same picture.
  function lay(values, size, at, whole) {
    const stays = view.byHand && laid === current.picture;
    laid = current.picture;
    panes = values.map((each) => new Pane(each));
    arrangement.show(panes);
    loupe.show(panes);
    root.querySelector(".sr-empty").hidden = panes.length > 0;
    root.querySelector(".sr-tools").hidden = !panes.length;
    root.querySelector(".sr-many").hidden = panes.length < 2;
    stage.hidden = !panes.length;
    const solos = panes.map((pane, i) => {
      const button = make("button", "", String(i + 1));
      button.type = "button";
      button.dataset.solo = i;
      button.setAttribute("aria-label", t("alone", { title: pane.figure.querySelector("b").textContent }));
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => arrangement.solo(i));
      return button;
    });
    root.querySelector(".sr-solos").replaceChildren(...solos);
    if (!panes.length) return;
    if (stays) view.resize(size);
    else view.reset(size, at, whole);
  }

  function showMap(kind) {
    mapped = kind === mapped ? null : kind;
    for (const pane of panes) pane.showMap(mapped);
    about();
  }

  // A button for each kind of map that this result has.
  function layMaps() {
    const buttons = value.bars.map(({ kind }) => {
      const button = make("button", "", t(`map_${kind}`));
      button.type = "button";
      button.dataset.map = kind;
      button.addEventListener("click", () => showMap(kind));
      return button;
    });
    root.querySelector(".sr-maps").replaceChildren(...buttons);
  }

  function showResult() {
    mapped = null;
    layMaps();
    const stamped = value.panes.map((pane, i) => ({ ...pane, stamp: i === 1 ? value.stamp.label : "" }));
    lay(stamped, value.panes[0], value.view || null);
    about();
    tell("made", value.stamp);
  }

  // The picture itself, as the browser decodes and enlarges it, at the size that the result will have.
  function showPicture(picture) {
    value = null;
    mapped = null;
    about();
    if (!picture) {
      lay([], { width: 1, height: 1 });
      return;
    }
    const image = new Image();
    image.onload = () => {
      if (current.picture !== picture || value) return;
      shown = image.src;
      const pane = { width: image.naturalWidth, height: image.naturalHeight, file: { url: picture.source }, smooth: true };
      lay([{ ...pane, title: picture.own ? "yours" : picture.name }], pane, null, true);
      tell("shown", picture);
    };
    image.onerror = () => {
      if (current.picture === picture && !value) lay([], { width: 1, height: 1 });
    };
    shown = null;
    image.src = picture.source;
  }

  // What belongs to a result only.
  function about() {
    root.dataset.state = value ? "result" : current.picture ? "picture" : "empty";
    showNumbers(root, value);
    showBar(root, value?.bars.find(({ kind }) => kind === mapped), value?.stops);
    showSaving(root.querySelector(".sr-saving"), value, address);
    for (const button of root.querySelectorAll("[data-map]")) {
      button.setAttribute("aria-pressed", String(button.dataset.map === mapped));
    }
    stale();
  }

  // A result of other settings says so, until it is made anew.
  function stale() {
    const made = value ? value.stamp.settings : {};
    const old = Object.keys(made).some((name) => name in settings && !same(made[name], settings[name]));
    root.classList.toggle("sr-old", Boolean(old));
    root.querySelector(".sr-stale").textContent = old ? t("stale", { made: said(value.stamp.label) }) : "";
  }

  const acts = {
    in: () => view.larger(),
    out: () => view.smaller(),
    fit: () => view.fit(),
    blink: () => arrangement.blink(),
    loupe: () => loupe.toggle(),
    map: () => {
      const kinds = value ? [...value.bars.map(({ kind }) => kind), null] : [null];
      showMap(kinds[(kinds.indexOf(mapped) + 1) % kinds.length]);
    },
    spot: () => value && view.lookAt(value.spot, 4),
    screen: () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()),
  };
  for (const button of root.querySelectorAll("[data-act]")) {
    button.addEventListener("click", () => acts[button.dataset.act]());
  }
  for (const button of root.querySelectorAll("[data-zoom]")) {
    button.setAttribute("aria-label", `${button.dataset.zoom}00 %`);
    button.addEventListener("click", () => view.zoomTo(Number(button.dataset.zoom)));
  }
  for (const button of root.querySelectorAll("button[data-layout]")) {
    button.addEventListener("click", () => arrangement.set(button.dataset.layout));
  }
  root.querySelector(".sr-screen").hidden = !document.fullscreenEnabled;
  root.addEventListener("fullscreenchange", () => {
    root.querySelector(".sr-screen").textContent = t(document.fullscreenElement ? "leave_screen" : "screen");
  });

  const hint = root.querySelector(".sr-gesture");
  hint.textContent = t(window.matchMedia("(pointer: coarse)").matches ? "hint_touch" : "hint_mouse");
  const storage = permittedStorage();
  hint.hidden = Boolean(storage?.getItem(HINT));
  const moved = () => {
    if (hint.hidden) return;
    hint.hidden = true;
    storage?.setItem(HINT, "1");
  };
  const solos = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [n, () => arrangement.solo(n - 1)]));
  const layout = () => arrangement.set(arrangement.layout === "side" ? "divider" : "side");
  follow(root, stage, view, { ...solos, l: acts.loupe, m: acts.map, d: layout, b: () => arrangement.peek(true) }, moved);
  stage.addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "b") arrangement.peek(false);
  });
  new ResizeObserver(() => view.apply()).observe(stage);
  hear("setting", stale);
  // What the browser cannot decode, such as HEIC, the server shows it.
  hear("plan", ({ preview, source }) => {
    if (!preview || value || shown || !current.picture) return;
    const [width, height] = source;
    const pane = { width, height, file: preview, smooth: true };
    shown = preview.url;
    lay([{ ...pane, title: "yours" }], pane, null, true);
  });
  hear("status", ({ kind }) => {
    if (kind === "waiting") asked = current.picture;
  });
  hear("picture", (picture) => {
    if (picture && picture.first && value) laid = picture;
    else showPicture(picture);
  });
  watch("value", () => {
    if (!props.value || (asked && current.picture !== asked && current.picture.own)) return; // of an earlier picture
    value = props.value;
    showResult();
    const narrow = window.matchMedia("(max-width: 900px)").matches;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (narrow) root.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  });
  value = props.value || null;
  if (value) showResult();
  else showPicture(current.picture);
}
