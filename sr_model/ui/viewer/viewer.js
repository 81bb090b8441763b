// Three files make one script: this one holds the view, gestures.js what moves it, results.js what is shown.
// One view for all panes: pixels of the page per pixel of the picture, and the point of the picture in the middle.
const root = element.querySelector(".sr-viewer");
const stage = root.querySelector(".sr-stage");
const LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32];
let size = { width: 1, height: 1 };
let view = { zoom: 1, x: 0.5, y: 0.5, fit: true };

const windows = () => [...stage.querySelectorAll(".sr-window")];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function box() {
  const first = stage.querySelector(".sr-window");
  return { width: first ? first.clientWidth : 1, height: first ? first.clientHeight : 1 };
}

function fitZoom() {
  const pane = box();
  return Math.min(pane.width / size.width, pane.height / size.height);
}

// Where the picture's left or top edge lies, in whole pixels; no empty border while there is picture to fill it.
function offset(middle, pane, length) {
  if (length <= pane) return Math.round((pane - length) / 2);
  return Math.round(clamp(pane / 2 - middle * length, pane - length, 0));
}

function apply() {
  if (!windows().length) return;
  const pane = box();
  if (view.fit) view = { zoom: fitZoom(), x: 0.5, y: 0.5, fit: true };
  view.zoom = clamp(view.zoom, Math.min(fitZoom(), 1), Math.max(32, fitZoom()));
  const [w, h] = [size.width * view.zoom, size.height * view.zoom];
  const [left, top] = [offset(view.x, pane.width, w), offset(view.y, pane.height, h)];
  view.x = (pane.width / 2 - left) / w;
  view.y = (pane.height / 2 - top) / h;
  for (const picture of stage.querySelectorAll(".sr-window img")) {
    picture.style.transform = `translate(${left}px, ${top}px) scale(${view.zoom})`;
    picture.style.imageRendering = view.zoom >= 1 ? "pixelated" : "auto";
  }
  const percent = view.zoom * 100;
  root.querySelector(".sr-percent").textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

// Zoom so that the point of the picture under (px, py), counted from a pane's corner, stays there.
function zoomTo(zoom, px, py) {
  const pane = box();
  const dx = (px ?? pane.width / 2) - pane.width / 2;
  const dy = (py ?? pane.height / 2) - pane.height / 2;
  const before = view.zoom;
  const after = clamp(zoom, Math.min(fitZoom(), 1), Math.max(32, fitZoom()));
  view = {
    zoom: after,
    x: view.x + (dx / before - dx / after) / size.width,
    y: view.y + (dy / before - dy / after) / size.height,
    fit: false,
  };
  apply();
}

function move(dx, dy) {
  view = {
    ...view,
    x: view.x - dx / (size.width * view.zoom),
    y: view.y - dy / (size.height * view.zoom),
    fit: false,
  };
  apply();
}

const larger = () => LEVELS.find((level) => level > view.zoom * 1.01) ?? 32;
const smaller = () => LEVELS.findLast((level) => level < view.zoom * 0.99) ?? fitZoom();
const acts = {
  in: () => zoomTo(larger()),
  out: () => zoomTo(smaller()),
  full: () => zoomTo(1),
  fit: () => {
    view.fit = true;
    apply();
  },
  screen: () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()),
};
