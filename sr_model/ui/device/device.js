// The visitor's own device in the place of the server: what is offered there, and what the page's buttons then do.
import { current, hear, local, settings, tell } from "../parts/bus.js";
import { number, t } from "../words/words.js";
import { Link } from "./link.js";
import { Results } from "./results.js";
import { Refused } from "./pictures/refused.js";

const SKIP = { __type__: "update" };
const update = (values) => ({ ...SKIP, ...values });
const asked = new URLSearchParams(location.search).get("backend"); // webgpu or wasm, to try one of them

export default function mount({ element, props, trigger, root: address }) {
  const said = element.querySelector(".sr-device");
  const results = new Results(props);
  let link = null; // the worker, from the first use on
  let ready = null; // {network, backend, threads, secondsPerPixel, server}
  let note = "";
  let backend = null;
  let working = false;
  let loading = 0;

  const on = () => settings.place === "device";
  const offered = () => props.networks.filter((each) => each.everywhere || backend === "webgpu");
  const chosen = () => offered().find((each) => each.preset === settings.preset && each.scale === settings.scale);
  const sentence = (error) => (error instanceof Refused ? t(error.word, error.values) : t("device_failed"));

  // Values for the status line, the viewer, the two buttons and the plan, in this order.
  function show({ status = null, viewer = null, plan = null, busy = working }) {
    const buttons = [update({ visible: !busy }), update({ visible: busy })];
    const value = (each) => (each ? update({ value: each }) : SKIP);
    props.value = [value(status), value(viewer), ...buttons, value(plan)];
    trigger("input");
  }

  // Only what the device can do can be chosen; for the server all of it again.
  function restrict() {
    const here = offered();
    // Scales last: choosing another preset changes them.
    const allowed = {
      preset: () => here.map((each) => each.preset),
      mode: () => ["enlarge", "compare"],
      shrinking: () => ["bicubic"],
      scale: () => here.filter((each) => each.preset === settings.preset).map((each) => each.scale),
    };
    for (const [name, find] of Object.entries(allowed)) {
      const values = find();
      tell("allow", { name, values: on() ? values : null });
      if (on() && values.length && !values.includes(settings[name])) tell("choose", { name, value: values[0] });
    }
  }

  async function load() {
    const network = chosen();
    if (!network || (ready && ready.network === network)) return;
    const mine = ++loading;
    ready = null;
    said.textContent = t("device_loading", { megabytes: number(props.megabytes[backend], 1) });
    try {
      const found = await link.load(network, asked);
      if (mine !== loading) return;
      ready = { network, ...found };
      said.textContent = [note, speed()].filter(Boolean).join(" ");
      plan();
    } catch (error) {
      if (mine === loading) said.textContent = sentence(error);
    }
  }

  function speed() {
    const { secondsPerPixel: mine, server } = ready;
    const perMegapixel = (seconds) => number(seconds * 1e6, seconds < 1e-5 ? 1 : 0);
    const values = { device: results.device(ready), mine: perMegapixel(mine), server: perMegapixel(server || 0) };
    if (!server) return t("device_speed", values);
    return `${t("device_speed_both", values)} ${t(mine < server ? "device_quicker" : "server_quicker")}`;
  }

  // Sizes and seconds, or why the picture is not for here; from its header, before any work.
  async function plan() {
    const { picture } = current;
    if (!on() || !picture || working) return;
    let value;
    try {
      const { width, height } = await link.look(picture, props.limits);
      const network = ready && ready.network;
      if (!network) return;
      const times = network.scale;
      const compare = settings.mode === "compare";
      const low = compare ? [Math.floor(width / times), Math.floor(height / times)] : [width, height];
      const seconds = low[0] * low[1] * ready.secondsPerPixel;
      const result = [low[0] * times, low[1] * times];
      value = { kind: "ready", mode: settings.mode, source: [width, height], low, result, seconds };
    } catch (error) {
      const offers = props.server ? [{ setting: "place", value: "server", label: t("the_server") }] : [];
      value = { kind: "exceeds", text: sentence(error), offers };
    }
    if (on() && current.picture === picture) show({ plan: { ...value, local: true } });
  }

  async function run() {
    const { picture } = current;
    const network = chosen();
    if (working || !network) return;
    if (!picture) {
      show({ status: { kind: "refused", text: t("no_picture") } });
      return;
    }
    working = true;
    window.srCancelled = false; // see parts/status.js
    show({ status: { kind: "waiting", word: "opening", text: "" } });
    const job = { network, asked, mode: settings.mode, scale: network.scale, limits: props.limits, stops: props.stops };
    let status;
    let viewer = null;
    try {
      const reference = settings.mode === "enlarge" ? local.reference : null;
      const outcome = await link.run({ ...job, picture: await link.fileOf(picture), reference }, (step) => {
        const word = step.done < step.total ? "tiles" : "finishing";
        show({ status: { kind: "working", word, done: step.done, total: step.total, seconds: step.secondsLeft } });
      });
      status = outcome ? { kind: "done", word: "done" } : { kind: "cancelled", word: "cancelled" };
      if (outcome) viewer = results.show(outcome, picture, network, settings);
    } catch (error) {
      status = { kind: "refused", text: sentence(error) };
    }
    working = false;
    show({ status, viewer });
  }

  async function start() {
    if (!link) {
      link = new Link(address);
      // The graphics processor has failed, and with it go the networks that need one.
      link.noted = (word) => {
        note = t(word);
        said.textContent = note;
        backend = "wasm";
        restrict();
      };
      local.file = (name, format, quality) => link.file(results.number(name), format, quality);
    }
    backend ??= await link.backend(asked);
    restrict();
    await load();
    plan();
  }

  // The page's buttons: what they do on the server must not happen, and does not begin.
  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest?.("#sr-run, #sr-cancel");
      if (!on() || !button || !element.isConnected) return;
      if (button.id === "sr-cancel" && !working) return; // of the server's work, which began before
      event.stopImmediatePropagation();
      event.preventDefault();
      if (button.id === "sr-run") run();
      else link.cancel();
    },
    true,
  );
  hear("setting", ({ name }) => {
    if (!["place", "preset", "scale", "mode", "shrinking"].includes(name)) return;
    if (on()) start();
    else if (name === "place") {
      said.textContent = "";
      restrict();
    }
  });
  hear("picture", () => on() && link && plan());
  hear("example", (example) => {
    tell("take", { file: example.file, name: example.title, thumb: example.thumb });
    tell("choose", { name: "mode", value: "compare" });
    run();
  });
  if (on()) start();
}
