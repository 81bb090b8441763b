// A magnified detail under the pointer, in all panes at the same spot.
import { make } from "../parts/bus.js";

const SIDE = 168; // pixels of the page
const TIMES = 4; // what the view shows is magnified so many times

export class Loupe {
  constructor(root, stage, view) {
    this.root = root;
    this.view = view;
    this.panes = [];
    this.on = false;
    stage.addEventListener("pointermove", (event) => {
      if (this.on) this.#follow(event);
    });
    stage.addEventListener("pointerleave", () => this.#hide());
  }

  show(panes) {
    this.panes = panes.map((pane) => {
      const canvas = make("canvas", "sr-loupe");
      canvas.width = canvas.height = SIDE * Math.min(2, window.devicePixelRatio || 1);
      canvas.hidden = true;
      pane.window.append(canvas);
      return { pane, canvas };
    });
  }

  toggle() {
    this.on = !this.on;
    this.root.dataset.loupe = this.on;
    this.root.querySelector("[data-act='loupe']").setAttribute("aria-pressed", String(this.on));
    if (!this.on) this.#hide();
  }

  #hide() {
    for (const { canvas } of this.panes) canvas.hidden = true;
  }

  #follow(event) {
    const window = event.target.closest(".sr-window");
    if (!window) return;
    const edge = window.getBoundingClientRect();
    const spot = { x: event.clientX - edge.left, y: event.clientY - edge.top };
    for (const each of this.panes) this.#draw(each, spot);
  }

  #draw({ pane, canvas }, spot) {
    const { size, at } = this.view;
    const box = this.view.box();
    const scale = (at.zoom * size.width) / pane.value.width;
    const magnified = Math.max(1, scale) * TIMES;
    // The pixel of this pane's picture that is under the pointer.
    const x = at.x * pane.value.width + (spot.x - box.width / 2) / scale;
    const y = at.y * pane.value.height + (spot.y - box.height / 2) / scale;
    const context = canvas.getContext("2d");
    const factor = (canvas.width / SIDE) * magnified;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#777";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(factor, 0, 0, factor, canvas.width / 2 - x * factor, canvas.height / 2 - y * factor);
    context.imageSmoothingEnabled = Boolean(pane.value.smooth);
    for (const part of pane.sources()) context.drawImage(...part);
    canvas.style.left = `${spot.x - SIDE / 2}px`;
    canvas.style.top = `${spot.y - SIDE / 2}px`;
    canvas.hidden = false;
  }
}
