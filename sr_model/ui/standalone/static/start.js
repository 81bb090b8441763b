// The page without a server: its components get here what Gradio gives them, and the device is chosen for all work.
import { setup } from "./setup.js";
import { hear, tell } from "../../parts/bus.js";
import { t, translate } from "../../words/words.js";
import { followAddress } from "../../controls/address.js";
import choice from "../../controls/choice.js";
import device from "../../device/device.js";
import gallery from "../../parts/gallery.js";
import picker from "../../parts/picker.js";
import plan from "../../controls/plan.js";
import status from "../../parts/status.js";
import viewer from "../../viewer/viewer.js";
import { keepFiles } from "./offline.js";

const root = new URL(".", location.href).href.replace(/\/$/, "");
const block = (id) => document.getElementById(id);

// Returns what sets the component's value, as Gradio does; what the component sets itself it knows.
function mount(id, component, props = {}, trigger = () => {}) {
  const watchers = [];
  const watch = (_, act) => watchers.push(act);
  component({ element: block(id).firstElementChild, props, trigger, watch, root });
  return (value) => {
    props.value = value;
    watchers.forEach((act) => act());
  };
}

function button(id, word) {
  block(id).textContent = t(word);
  return block(id);
}

translate(document);
const run = button("sr-run", "run");
const cancel = button("sr-cancel", "cancel");
hear("setting", ({ name, value }) => {
  if (name === "mode") button("sr-run", value === "enlarge" ? "run" : "run_compare");
});
const { preset, scale } = setup.networks[0];
for (const [name, value] of Object.entries({ place: "device", preset, shrinking: "bicubic" })) tell("setting", { name, value });

const modes = ["enlarge", "compare"].map((mode) => ({ value: mode, label: mode, hint: `${mode}_hint` }));
const scales = setup.networks.map((each) => ({ value: each.scale, label: `${each.scale}x`, hint: "" }));
mount("sr-mode", choice, { name: "mode", when: [], value: { chosen: setup.examples.length ? "compare" : "enlarge", options: modes } });
mount("sr-scale", choice, { name: "scale", when: [], value: { chosen: scale, options: scales } });
if (!setup.examples.length) block("sr-viewer").querySelector(".sr-empty").dataset.word = "empty_here";
const setPlan = mount("sr-plan", plan);
const setStatus = mount("sr-status", status);
const setViewer = mount("sr-viewer", viewer);
const [first] = setup.examples;
const chosen = first ? { file: first.file, name: first.title, thumb: first.thumb } : null;
mount("sr-picture", picker, { word: "pick_here", main: true, max_bytes: setup.maxBytes, value: chosen });
mount("sr-reference", picker, { word: "pick_reference", main: false, max_bytes: setup.maxBytes });
mount("sr-examples", gallery, { value: setup.examples });
block("sr-examples-head").hidden = !setup.examples.length;

// Gradio's updates of the status, the viewer, the two buttons and the plan.
function update({ value: updates }) {
  updates.forEach(({ value, visible }, i) => {
    if (value !== undefined) [setStatus, setViewer, null, null, setPlan][i](value);
    if (visible !== undefined) [run, cancel][i - 2].hidden = !visible;
  });
}

followAddress(["mode", "scale"]);
await keepFiles();
const props = { ...setup.device, networks: setup.networks, server: false };
mount("sr-device", device, props, () => update(props));
run.disabled = false;
