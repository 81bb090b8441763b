// The worker as promises: one job at a time, and files besides.
import { inspect } from "./pictures/inspect.js";
import { Refused } from "./pictures/refused.js";

export class Link {
  constructor(address) {
    this.address = address;
    this.noted = () => {};
    this.pending = {}; // what is waited for, by the messages that end it
    this.files = new Map();
    this.seen = new WeakMap(); // what pictures' files say of themselves
    this.busy = Promise.resolve();
  }

  // Begun when it is needed: the page alone loads nothing of it.
  get worker() {
    if (!this.made) {
      this.made = new Worker(new URL("engine/worker.js", import.meta.url), { type: "module" });
      this.made.addEventListener("message", ({ data }) => this.#hear(data));
      this.made.addEventListener("error", () => this.pending.refused?.({ word: "device_failed", values: {} }));
    }
    return this.made;
  }

  async backend(asked) {
    const { bestBackend } = await import("./engine/session.js");
    return bestBackend(asked);
  }

  // {backend, threads, secondsPerPixel, server}: the network is loaded and timed.
  load(network, asked) {
    return this.#inTurn(async () => {
      const described = await this.#described(network);
      const ready = await this.#ask("load", { network: described, asked }, "ready");
      return { ...ready, server: described.server };
    });
  }

  // The outcome, or null where it was cancelled. Throws Refused.
  run(job, progress) {
    return this.#inTurn(async () => {
      const network = await this.#described(job.network);
      this.pending.progress = progress;
      return this.#ask("run", { ...job, network }, "outcome", "cancelled");
    });
  }

  cancel() {
    this.made?.postMessage({ type: "cancel" });
  }

  // A pane of the last outcome as a file: png, or jpg of a quality.
  file(pane, format, quality) {
    const id = this.files.size;
    this.worker.postMessage({ type: "file", id, pane, format, quality });
    return new Promise((done, fail) => this.files.set(id, { done, fail }));
  }

  // The bytes of the visitor's own file, or of an example of the page's.
  async fileOf(picture) {
    return picture.file || (await fetch(picture.source)).blob();
  }

  // {width, height} of a picture. Throws Refused where it cannot be right here.
  async look(picture, limits) {
    if (!this.seen.has(picture)) this.seen.set(picture, this.#look(picture));
    const found = await this.seen.get(picture);
    if (found.problem) throw new Refused(`device_${found.problem}`);
    if (found.width * found.height > limits.pixels) {
      const most = Math.round(limits.pixels / 1e6);
      throw new Refused("device_pixels", { size: `${found.width}x${found.height}`, most });
    }
    return found;
  }

  async #look(picture) {
    const file = await this.fileOf(picture);
    const { problem } = await inspect(new Uint8Array(await file.arrayBuffer()));
    if (problem) return { problem };
    const image = new Image();
    image.src = picture.source;
    try {
      await image.decode();
    } catch {
      return { problem: "damaged" };
    }
    return { width: image.naturalWidth, height: image.naturalHeight };
  }

  async #described(network) {
    const url = new URL(network.address, `${this.address}/`);
    network.described ??= fetch(url).then((answer) => answer.json());
    const found = await network.described;
    return { ...found, url: new URL(found.url, url).href };
  }

  // One thing at a time, in the order of asking.
  #inTurn(work) {
    const turn = this.busy.then(work);
    this.busy = turn.catch(() => {});
    return turn;
  }

  #ask(type, values, ...ends) {
    return new Promise((done, fail) => {
      for (const end of ends) this.pending[end] = (data) => done(end === "cancelled" ? null : data);
      this.pending.refused = ({ word, values: gaps }) => fail(new Refused(word, gaps));
      this.worker.postMessage({ type, ...values });
    });
  }

  #hear({ type, id, ...data }) {
    if (type === "note") this.noted(data.word);
    else if (type === "file") this.files.get(id).done(data.blob);
    else if (type === "failed") this.files.get(id).fail(new Refused("device_failed"));
    else this.pending[type]?.(data);
  }
}
