// One view for all panes: pixels of the page per pixel of the picture, and the point of the picture in the middle.
export const LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32];
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Where the picture's left or top edge lies, in whole pixels; no empty border while there is picture to fill it.
function edge(middle, pane, length) {
  if (length <= pane) return Math.round((pane - length) / 2);
  return Math.round(clamp(pane / 2 - middle * length, pane - length, 0));
}

export class View {
  // `box` gives a pane's {width, height}; `changed` is called with {left, top, zoom} whenever it moves.
  constructor(box, changed) {
    this.box = box;
    this.changed = changed;
    this.size = { width: 1, height: 1 };
    this.at = { zoom: 1, x: 0.5, y: 0.5, fit: true };
    this.byHand = false; // since the last picture, somebody has chosen where to look
  }

  get fitZoom() {
    const pane = this.box();
    return Math.min(pane.width / this.size.width, pane.height / this.size.height);
  }

  // Show another picture: from `at`, or all of it; never less than 100 % where a pixel could not be seen, unless `whole`.
  reset(size, at, whole = false) {
    this.size = size;
    this.byHand = false;
    this.at = at ? { ...at, fit: false } : { zoom: 1, x: 0.5, y: 0.5, fit: whole || this.fitZoom >= 1 };
    this.apply();
  }

  // A picture of another size, but of the same thing: the middle stays where it is.
  resize(size) {
    const { x, y, zoom, fit } = this.at;
    this.at = { x, y, fit, zoom: (zoom * this.size.width) / size.width };
    this.size = size;
    this.apply();
  }

  apply() {
    const pane = this.box();
    if (!pane.width || !pane.height) return;
    const fit = this.fitZoom;
    if (this.at.fit) this.at = { zoom: fit, x: 0.5, y: 0.5, fit: true };
    this.at.zoom = clamp(this.at.zoom, Math.min(fit, 1), Math.max(32, fit));
    const { zoom } = this.at;
    const [w, h] = [this.size.width * zoom, this.size.height * zoom];
    const [left, top] = [edge(this.at.x, pane.width, w), edge(this.at.y, pane.height, h)];
    this.at.x = (pane.width / 2 - left) / w;
    this.at.y = (pane.height / 2 - top) / h;
    this.changed({ left, top, zoom, pane });
  }

  // Zoom so that the point of the picture under (px, py), counted from a pane's corner, stays there.
  zoomTo(zoom, px, py) {
    const pane = this.box();
    const dx = (px ?? pane.width / 2) - pane.width / 2;
    const dy = (py ?? pane.height / 2) - pane.height / 2;
    const before = this.at.zoom;
    const after = clamp(zoom, Math.min(this.fitZoom, 1), Math.max(32, this.fitZoom));
    this.at = {
      zoom: after,
      x: this.at.x + (dx / before - dx / after) / this.size.width,
      y: this.at.y + (dy / before - dy / after) / this.size.height,
      fit: false,
    };
    this.#moved();
  }

  #moved() {
    this.byHand = true;
    this.apply();
  }

  move(dx, dy) {
    const { zoom, x, y } = this.at;
    this.at = { zoom, x: x - dx / (this.size.width * zoom), y: y - dy / (this.size.height * zoom), fit: false };
    this.#moved();
  }

  // Look at a point in parts of the sides.
  lookAt([x, y], zoom) {
    this.at = { zoom: zoom ?? this.at.zoom, x, y, fit: false };
    this.#moved();
  }

  fit() {
    this.at.fit = true;
    this.#moved();
  }

  larger() {
    this.zoomTo(LEVELS.find((level) => level > this.at.zoom * 1.01) ?? 32);
  }

  smaller() {
    this.zoomTo(LEVELS.findLast((level) => level < this.at.zoom * 0.99) ?? this.fitZoom);
  }
}
