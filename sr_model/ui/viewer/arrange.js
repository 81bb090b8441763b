// How the panes lie: side by side, two over one another with a divider, or one alone; and blinking between two.
import { make } from "../parts/bus.js";
import { t } from "../words/words.js";
import { clamp } from "./view.js";

const BLINK = 700; // milliseconds; slower than three a second, which may harm

export class Arrangement {
  // `changed` is called when the panes' sizes may have changed.
  constructor(root, stage, changed) {
    this.root = root;
    this.stage = stage;
    this.changed = changed;
    this.panes = [];
    this.layout = "side";
    this.alone = null; // a pane's number
    this.pair = [0, 1]; // the panes that the divider and blinking compare
    this.kept = []; // their titles, once they have been chosen
    this.share = 0.5;
    this.timer = null;
    this.handle = make("button", "sr-handle");
    this.handle.type = "button";
    this.handle.setAttribute("role", "slider");
    this.handle.setAttribute("aria-label", t("divider_handle"));
    this.handle.setAttribute("aria-valuemin", "0");
    this.handle.setAttribute("aria-valuemax", "100");
    this.choices = [...root.querySelectorAll(".sr-pair select")];
    this.#listen();
  }

  show(panes) {
    this.stopBlinking();
    this.panes = panes;
    this.alone = null;
    const kept = this.kept.map((title) => panes.findIndex((pane) => pane.value.title === title));
    this.pair = kept.length && !kept.includes(-1) ? kept : [0, Math.min(1, panes.length - 1)];
    this.stage.replaceChildren(...panes.map((pane) => pane.figure), this.handle);
    for (const select of this.choices) select.replaceChildren(...panes.map((pane) => make("option", "", pane.name)));
    this.apply();
  }

  set(layout) {
    this.layout = layout;
    this.alone = null;
    this.stopBlinking();
    this.apply();
  }

  // Another pane on the left (0) or right (1); the one that is there already changes places.
  choose(place, number) {
    const pair = [...this.pair];
    if (pair[1 - place] === number) pair[1 - place] = pair[place];
    pair[place] = number;
    this.pair = pair;
    this.kept = pair.map((each) => this.panes[each].value.title);
    if (this.timer) this.alone = number;
    this.apply();
  }

  // One pane alone; asked again, all of them.
  solo(number) {
    if (number >= this.panes.length) return;
    this.stopBlinking();
    this.alone = this.alone === number ? null : number;
    this.apply();
  }

  // While a key is held, the second of the pair in the place of the first.
  peek(on) {
    if (this.panes.length < 2) return;
    this.peeking = on ? (this.alone === this.pair[1] ? this.pair[0] : this.pair[1]) : null;
    this.apply();
  }

  blink() {
    if (this.timer) {
      this.stopBlinking();
      this.alone = null;
      this.apply();
      return;
    }
    if (this.panes.length < 2) return;
    [this.alone] = this.pair;
    this.timer = setInterval(() => {
      this.alone = this.pair[this.alone === this.pair[0] ? 1 : 0];
      this.apply();
    }, BLINK);
    this.apply();
  }

  stopBlinking() {
    clearInterval(this.timer);
    this.timer = null;
  }

  apply() {
    const alone = this.peeking ?? this.alone;
    const single = alone != null || this.panes.length < 2;
    const divided = !single && this.layout === "divider";
    this.root.dataset.layout = single ? "alone" : this.layout;
    this.root.dataset.blinking = Boolean(this.timer);
    this.stage.dataset.panes = this.panes.length;
    this.handle.hidden = !divided;
    this.root.querySelector(".sr-pair").hidden = this.panes.length < 3 || !(divided || this.timer);
    this.choices.forEach((select, place) => {
      select.selectedIndex = this.pair[place];
    });
    this.panes.forEach((pane, i) => {
      const place = this.pair.indexOf(i);
      pane.figure.hidden = single ? i !== (alone ?? 0) : divided && place < 0;
      pane.figure.classList.toggle("sr-right", divided && place === 1);
      const inset = place === 1 ? `0 0 0 ${this.share * 100}%` : `0 ${(1 - this.share) * 100}% 0 0`;
      pane.window.style.clipPath = divided && place >= 0 ? `inset(${inset})` : "";
    });
    this.handle.style.left = `${this.share * 100}%`;
    this.handle.setAttribute("aria-valuenow", Math.round(this.share * 100));
    for (const button of this.root.querySelectorAll("[data-layout]")) {
      button.setAttribute("aria-pressed", String(button.dataset.layout === this.layout && !this.timer));
    }
    for (const button of this.root.querySelectorAll("[data-solo]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.solo) === this.alone && !this.timer));
    }
    const blink = this.root.querySelector("[data-act='blink']");
    if (blink) blink.setAttribute("aria-pressed", String(Boolean(this.timer)));
    this.changed();
  }

  #listen() {
    const { handle, stage } = this;
    this.choices.forEach((select, place) => {
      select.addEventListener("change", () => this.choose(place, select.selectedIndex));
    });
    const slide = (share) => {
      this.share = clamp(share, 0, 1);
      this.apply();
    };
    handle.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const edge = stage.getBoundingClientRect();
      slide((event.clientX - edge.left) / edge.width);
    });
    const keys = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
    handle.addEventListener("keydown", (event) => {
      const step = keys[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      slide(this.share + step);
    });
  }
}
