// From an outcome of the worker to what the viewer shows, as `showing.py` makes it of the server's.
import { t } from "../words/words.js";

const ENGINES = { webgpu: "WebGPU", wasm: "WebAssembly" };
const IDENTICAL = 80; // dB, and more

// What a file is called without its ending, as `limits.safe_stem` makes it.
function stem(name) {
  const plain = name.replace(/^.*[\\/]/, "").replace(/(?!^)\.[^.]*$/, "");
  return plain.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "picture";
}

function table({ scores, agreements }, titles) {
  const decibels = (value) => (value >= IDENTICAL ? "identical" : `${value.toFixed(2)} dB`);
  const rows = (scores.length ? scores : agreements).map(({ psnr, ssim }) => ({
    values: scores.length ? [psnr, ssim] : [psnr],
    texts: scores.length ? [decibels(psnr), ssim.toFixed(4)] : [decibels(psnr)],
  }));
  // Equal prints are equally good.
  const best = (rows[0]?.texts || []).map((_, i) => rows.reduce((a, b) => (b.values[i] > a.values[i] ? b : a)).texts[i]);
  return {
    columns: scores.length ? ["psnr", "ssim"] : ["agreement"],
    scores: rows.map(({ texts }, i) => ({
      title: titles[i],
      cells: texts.map((text, k) => ({ text, best: text === best[k] })),
    })),
  };
}

export class Results {
  constructor({ stops }) {
    this.stops = stops;
    this.addresses = [];
    this.names = [];
  }

  // The number of a pane by the name of its file.
  number(name) {
    return this.names.indexOf(name);
  }

  device({ backend, threads }) {
    return threads > 1 ? t("device_threads", { engine: ENGINES[backend], threads }) : ENGINES[backend];
  }

  // The viewer's value. The files of an earlier result are let go.
  show(outcome, picture, network, settings) {
    this.addresses.forEach((each) => URL.revokeObjectURL(each));
    this.addresses = [];
    const { scale, preset, title } = network;
    const plain = scale === 1 && settings.mode === "enlarge" ? "Input" : "Bicubic";
    const titles = [plain, "Autoencoder", "Reference"];
    const kinds = [plain === "Input" ? "input" : `bicubic-x${scale}`, `${preset}-x${scale}`, "reference"];
    this.names = outcome.panes.map((_, i) => `${stem(picture.name)}-${kinds[i]}.png`);
    const [w, h] = outcome.source;
    const { width, height } = outcome.panes[0];
    const digits = outcome.seconds >= 1 ? 1 : 2;
    const made = { mode: settings.mode, scale, preset };
    if (settings.mode !== "enlarge") made.shrinking = settings.shrinking;
    return {
      panes: outcome.panes.map((pane, i) => this.#pane(pane, outcome.maps[i], titles[i], this.names[i])),
      line: `${w}x${h} → ${width}x${height} · ${this.device(outcome)} · ${outcome.seconds.toFixed(digits)} s`,
      note: outcome.scores.length ? "" : "no_reference",
      ...table(outcome, titles),
      view: null,
      bars: outcome.bars,
      stops: this.stops,
      spot: outcome.spot,
      stamp: { label: `${title} ${scale}x`, settings: made },
      local: true,
      exif: false,
    };
  }

  #pane({ blob, tiles, width, height }, maps, title, name) {
    const pane = { title, width, height, name, file: { url: this.#address(blob) }, maps: {} };
    for (const [kind, map] of Object.entries(maps)) pane.maps[kind] = { url: this.#address(map) };
    if (tiles) {
      const urls = Object.entries(tiles.blobs).map(([key, tile]) => [key, this.#address(tile)]);
      pane.tiles = { side: tiles.side, urls: Object.fromEntries(urls) };
    }
    return pane;
  }

  #address(blob) {
    this.addresses.push(URL.createObjectURL(blob));
    return this.addresses.at(-1);
  }
}
