// The settings in the page's address, so that a link restores them: ?preset=nano&scale=3&mode=compare
import { hear, settings, tell } from "../parts/bus.js";

const UNITS = ["width", "height", "megapixels"];
const PATIENCE = 200; // milliseconds: browsers do not take a change for each step of a slider

const decimal = (text) => (/^\d+(\.\d+)?$/.test(text || "") ? Number(text) : null);

// What an address asks for by name, as the controls take it; they leave alone what they do not have. A preset brings
// its own scales, and "size" in the place of a scale its target, so the order counts.
const asked = {
  mode: (query) => query.get("mode"),
  preset: (query) => query.get("preset"),
  networks: (query) => query.has("networks") && [...new Set(query.get("networks").split(","))],
  scale: (query) => decimal(query.get("scale")) ?? query.get("scale"),
  target: (query) => {
    const unit = UNITS.find((each) => query.has(each));
    return unit && { unit, value: decimal(query.get(unit)) };
  },
  shrinking: (query) => query.get("shrinking"),
  strength: (query) => decimal(query.get("strength")),
};
const NAMES = Object.keys(asked);

// The same settings by their names in an address; null for what does not count.
function told({ mode, preset, networks, scale, target, shrinking, strength }, first) {
  const sized = scale === "size" && target ? { [target.unit]: target.value } : {};
  const several = mode === "networks";
  const values = {
    preset: several ? null : preset,
    networks: several ? networks.join(",") : null,
    scale,
    ...Object.fromEntries(UNITS.map((unit) => [unit, sized[unit] ?? null])),
    mode,
    shrinking: mode === "enlarge" || shrinking === first.shrinking ? null : shrinking,
    strength: several || strength === first.strength ? null : strength,
  };
  return Object.entries(values);
}

function restore(names) {
  const query = new URLSearchParams(location.search);
  for (const name of names) {
    const value = asked[name](query);
    if (!value && value !== 0) continue;
    tell("choose", { name, value });
    if (name === "mode" && settings.mode === value) tell("by hand", name); // pictures chosen later do not change it
  }
}

// Once the controls of these names are there: they follow the address, and then it follows them. The rest of it stays
// as it is.
export function followAddress(names = NAMES) {
  const missing = () => names.some((name) => !(name in settings));
  const ours = ([name]) => names.includes(UNITS.includes(name) ? "target" : name);
  const state = () => told(settings, first).filter(ours);
  let first = null; // the settings before the address was read
  let before = "";
  let timer = null;

  function write() {
    const now = state();
    if (JSON.stringify(now) === before) return;
    before = JSON.stringify(now);
    const address = new URL(location.href);
    for (const [name, value] of now) {
      if (value === null) address.searchParams.delete(name);
      else address.searchParams.set(name, value);
    }
    history.replaceState(history.state, "", address);
  }

  function hearing() {
    if (first) {
      clearTimeout(timer);
      timer = setTimeout(write, PATIENCE);
    } else if (!missing()) {
      first = { ...settings };
      setTimeout(() => {
        restore(names);
        before = JSON.stringify(state());
      });
    }
  }
  hear("setting", hearing);
  hearing();
}
