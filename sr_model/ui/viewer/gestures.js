// What moves the view: wheel, drag, pinch and keys.
import { clamp } from "./view.js";

const STEP = 48; // pixels of the page, for an arrow key

const within = (event, pane) => {
  const edge = pane.getBoundingClientRect();
  return [event.clientX - edge.left, event.clientY - edge.top];
};

export function follow(root, stage, view, keys, moved) {
  // A bare wheel scrolls the page. Browsers report a trackpad's pinch as a wheel with Ctrl.
  stage.addEventListener(
    "wheel",
    (event) => {
      const pane = event.target.closest(".sr-window");
      if (!pane || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      view.zoomTo(view.at.zoom * Math.exp(-clamp(event.deltaY, -100, 100) / 200), ...within(event, pane));
      moved();
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
    view.move(event.clientX - drag.x, event.clientY - drag.y);
    drag = { x: event.clientX, y: event.clientY };
    moved();
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
    if (view.at.fit) view.zoomTo(Math.max(1, view.at.zoom * 2), ...within(event, pane));
    else view.fit();
  });

  const arrows = {
    ArrowLeft: () => view.move(STEP, 0),
    ArrowRight: () => view.move(-STEP, 0),
    ArrowUp: () => view.move(0, STEP),
    ArrowDown: () => view.move(0, -STEP),
    "+": () => view.larger(),
    "=": () => view.larger(),
    "-": () => view.smaller(),
    0: () => view.fit(),
  };
  stage.addEventListener("keydown", (event) => {
    const act = arrows[event.key] || keys[event.key.toLowerCase()];
    if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target !== stage) return;
    event.preventDefault();
    if (!event.repeat || arrows[event.key]) act();
    moved();
  });
  pinches(stage, view, moved);
}

// One finger scrolls the page; two belong to the pictures.
function pinches(stage, view, moved) {
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
      view.move(now.x - pinch.x, now.y - pinch.y);
      view.zoomTo((view.at.zoom * now.apart) / pinch.apart, now.x, now.y);
      moved();
    }
    pinch = now;
  };
  for (const type of ["touchstart", "touchmove", "touchend", "touchcancel"]) {
    stage.addEventListener(type, onTouch, { passive: false });
  }
}
