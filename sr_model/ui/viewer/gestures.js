// Follows viewer.js: buttons, keys, wheel, drag and touch.
for (const button of root.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => acts[button.dataset.act]());
}
root.querySelector(".sr-screen").hidden = !document.fullscreenEnabled;
root.addEventListener("fullscreenchange", () => {
  root.querySelector(".sr-screen").textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
});

const STEP = 48;
const keys = {
  ArrowLeft: () => move(STEP, 0),
  ArrowRight: () => move(-STEP, 0),
  ArrowUp: () => move(0, STEP),
  ArrowDown: () => move(0, -STEP),
  "+": acts.in,
  "=": acts.in,
  "-": acts.out,
  0: acts.fit,
  1: acts.full,
};
stage.addEventListener("keydown", (event) => {
  const act = keys[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target !== stage) return;
  event.preventDefault();
  act();
});

const within = (event, pane) => {
  const edge = pane.getBoundingClientRect();
  return [event.clientX - edge.left, event.clientY - edge.top];
};

// A bare wheel scrolls the page. Browsers report a trackpad's pinch as a wheel with Ctrl.
stage.addEventListener(
  "wheel",
  (event) => {
    const pane = event.target.closest(".sr-window");
    if (!pane || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    zoomTo(view.zoom * Math.exp(-clamp(event.deltaY, -100, 100) / 200), ...within(event, pane));
  },
  { passive: false },
);

let drag = null;
stage.addEventListener("pointerdown", (event) => {
  const pane = event.target.closest(".sr-window");
  if (!pane || event.pointerType === "touch" || event.button !== 0) return;
  drag = { x: event.clientX, y: event.clientY };
  pane.setPointerCapture(event.pointerId);
  root.classList.add("sr-dragging");
});
stage.addEventListener("pointermove", (event) => {
  if (!drag) return;
  move(event.clientX - drag.x, event.clientY - drag.y);
  drag = { x: event.clientX, y: event.clientY };
});
for (const type of ["pointerup", "pointercancel"]) {
  stage.addEventListener(type, () => {
    drag = null;
    root.classList.remove("sr-dragging");
  });
}
stage.addEventListener("dblclick", (event) => {
  const pane = event.target.closest(".sr-window");
  if (!pane) return;
  if (view.fit) zoomTo(Math.max(1, view.zoom * 2), ...within(event, pane));
  else acts.fit();
});

// One finger scrolls the page; two belong to the pictures.
let pinch = null;
const fingers = (touches, pane) => {
  const edge = pane.getBoundingClientRect();
  const [a, b] = touches;
  return {
    x: (a.clientX + b.clientX) / 2 - edge.left,
    y: (a.clientY + b.clientY) / 2 - edge.top,
    apart: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1,
    pane,
  };
};
const onTouch = (event) => {
  const pane = event.target.closest(".sr-window");
  if (event.touches.length !== 2 || !pane) {
    pinch = null;
    return;
  }
  event.preventDefault();
  const now = fingers(event.touches, pinch ? pinch.pane : pane);
  if (pinch) {
    move(now.x - pinch.x, now.y - pinch.y);
    zoomTo((view.zoom * now.apart) / pinch.apart, now.x, now.y);
  }
  pinch = now;
};
for (const type of ["touchstart", "touchmove", "touchend", "touchcancel"]) {
  stage.addEventListener(type, onTouch, { passive: false });
}
