// A pane: a window onto one picture, drawn as a preview or whole, and in tiles where one has zoomed in.
import { make } from "../parts/bus.js";
import { said } from "../words/said.js";
import { t } from "../words/words.js";

const MARGINS = [1, 0]; // tiles around what is seen, so that a drag meets no blank, as far as that is not too many
const MOST = 48; // tiles of a pane at once: a telephone holds no more, so from afar the preview has to do

function picture(url, className = "") {
  const node = make("img", className);
  node.src = url;
  node.alt = "";
  node.draggable = false;
  node.decoding = "async";
  return node;
}

export const titleOf = (title) => (title === "yours" ? t("title_yours") : said(title));

export class Pane {
  // `value`: {title, width, height, file: {url}, tiles?, maps?, name?, stamp?, smooth?}, shown at the view's size.
  constructor(value) {
    this.value = value;
    this.tiles = new Map(); // by "column-row"
    this.figure = make("figure", "sr-pane");
    this.window = make("div", "sr-window");
    this.layer = make("div", "sr-layer");
    this.base = picture(value.file.url, "sr-base");
    this.base.alt = t("pane_alt", { title: titleOf(value.title), width: value.width, height: value.height });
    this.base.width = value.width;
    this.base.height = value.height;
    this.layer.append(this.base);
    const label = make("figcaption", "sr-label");
    label.append(make("b", "", this.name), make("span", "sr-size", `${value.width}x${value.height}`));
    if (value.stamp) label.append(make("span", "sr-stamp", said(value.stamp)));
    this.window.append(this.layer, label);
    this.figure.append(this.window);
  }

  get name() {
    return titleOf(this.value.title);
  }

  // A map of this kind in the place of the picture, or the picture again.
  showMap(kind) {
    const { maps = {}, width, height } = this.value;
    this.map?.remove();
    this.map = kind && maps[kind] ? picture(maps[kind].url, "sr-map") : null;
    if (this.map) {
      Object.assign(this.map, { width, height });
      this.layer.append(this.map);
    }
    this.figure.classList.toggle("sr-mapped", Boolean(this.map));
  }

  place({ left, top, zoom, pane }, size) {
    const scale = (zoom * size.width) / this.value.width;
    this.layer.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    this.layer.style.imageRendering = scale >= 1 && !this.value.smooth ? "pixelated" : "auto";
    if (this.value.tiles) this.#tile({ left, top, scale, pane });
  }

  // Only what is seen is there, and only where the preview is coarser than the page.
  #tile({ left, top, scale, pane }) {
    const { side, first, urls } = this.value.tiles;
    const { width, height } = this.value;
    const wanted = new Set();
    const coarse = (this.base.naturalWidth || 1) / width;
    if (scale * (window.devicePixelRatio || 1) > coarse) {
      const range = (offset, length, whole, margin) => {
        const from = Math.floor(-offset / scale / side) - margin;
        const to = Math.floor((length - offset) / scale / side) + margin;
        const last = Math.ceil(whole / side) - 1;
        return [Math.max(0, from), Math.min(last, to)];
      };
      const ranges = (margin) => [range(left, pane.width, width, margin), range(top, pane.height, height, margin)];
      const few = MARGINS.map(ranges).find(([[c0, c1], [r0, r1]]) => (c1 - c0 + 1) * (r1 - r0 + 1) <= MOST);
      const [[c0, c1], [r0, r1]] = few || [[0, -1], [0, -1]];
      for (let c = c0; c <= c1; c += 1) for (let r = r0; r <= r1; r += 1) wanted.add(`${c}-${r}`);
    }
    for (const [key, node] of this.tiles) {
      if (wanted.has(key)) continue;
      node.remove();
      this.tiles.delete(key);
    }
    for (const key of wanted) {
      if (this.tiles.has(key)) continue;
      const [column, row] = key.split("-").map(Number);
      const node = picture(urls ? urls[key] : first.url.replace(/0-0\.png$/, `${key}.png`), "sr-tile");
      node.width = Math.min(side, width - column * side);
      node.height = Math.min(side, height - row * side);
      node.style.left = `${column * side}px`;
      node.style.top = `${row * side}px`;
      this.base.after(node);
      this.tiles.set(key, node);
    }
  }

  // What the loupe draws from, from below to above: [image, x, y, width, height] in pixels of the picture.
  sources() {
    if (this.map) return [[this.map, 0, 0, this.value.width, this.value.height]];
    const parts = [[this.base, 0, 0, this.value.width, this.value.height]];
    for (const [key, node] of this.tiles) {
      const [column, row] = key.split("-").map(Number);
      const { side } = this.value.tiles;
      parts.push([node, column * side, row * side, node.width, node.height]);
    }
    return parts.filter(([node]) => node.complete && node.naturalWidth);
  }
}
