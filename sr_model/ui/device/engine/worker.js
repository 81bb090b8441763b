// Does the work off the page's thread. Messages in: load, run, cancel, file. Out: ready, note, progress, outcome,
// refused, cancelled, file, failed.
import { PngWriter } from "../pictures/png.js";
import { packed } from "../pictures/panes.js";
import { readPicture } from "../pictures/reading.js";
import { Refused } from "../pictures/refused.js";
import { perform } from "./job.js";
import { bestBackend, Session } from "./session.js";

const TIMED = 128; // pixels a side of the tile that a network is timed on, after one that warms it up
const SLOW = 1; // seconds; no device that takes longer is made to do it twice
const say = (type, values = {}) => self.postMessage({ type, ...values });
const breath = () => new Promise((resolve) => setTimeout(resolve)); // lets a message in

let session = null;
let backend = null; // chosen once, and left where it fails
let stopped = false;
const timed = {}; // seconds a pixel, by the network's address and the backend
let panes = []; // of the last result

async function open(network, asked) {
  backend ??= await bestBackend(asked);
  if (session?.network.url === network.url && session.backend === backend) return session;
  await session?.release();
  session = null;
  try {
    session = await Session.create(network, backend);
  } catch (error) {
    if (!fallBack(error)) throw error;
    session = await Session.create(network, backend);
  }
  return session;
}

// WebAssembly from now on. False if that is what has failed.
function fallBack(error) {
  if (backend !== "webgpu") return false;
  console.warn(error);
  backend = "wasm";
  session = null;
  say("note", { word: "device_fallback" });
  return true;
}

async function load({ network, asked }) {
  const { backend: by, threads } = await open(network, asked);
  const key = `${network.url} ${by}`;
  if (!(key in timed)) {
    const x = new Float32Array(3 * TIMED * TIMED).fill(0.5);
    const once = async () => {
      const start = performance.now();
      await session.run(x, TIMED, TIMED);
      return (performance.now() - start) / 1000;
    };
    const first = await once();
    timed[key] = (first > SLOW ? first : await once()) / TIMED ** 2;
  }
  say("ready", { backend: by, threads, secondsPerPixel: timed[key] });
}

async function run(job) {
  stopped = false;
  panes = [];
  const { network, asked } = job;
  const steps = perform(job, () => open(network, asked), fallBack);
  for await (const step of steps) {
    if (step.outcome) {
      panes = step.outcome.panes;
      say("outcome", { ...step.outcome, backend, threads: session.threads });
      return;
    }
    say("progress", step);
    await breath();
    if (stopped) {
      say("cancelled");
      return;
    }
  }
}

// A pane's whole picture: its file, or put together again from its tiles, row by row.
async function whole({ blob, tiles, width, height, channels }) {
  if (!tiles) return blob;
  const writer = new PngWriter(width, height, channels);
  const columns = Math.ceil(width / tiles.side);
  for (let row = 0; row * tiles.side < height; row += 1) {
    const parts = [];
    for (let c = 0; c < columns; c += 1) parts.push(await readPicture(tiles.blobs[`${c}-${row}`], Infinity));
    const rows = parts[0].height;
    const band = new Uint8Array(rows * width * channels);
    parts.forEach((part, c) => {
      const hasAlpha = channels % 2 === 0;
      const pixels = packed(part.rgb, hasAlpha ? part.alpha || new Uint8Array(part.width * rows).fill(255) : null, channels < 3);
      for (let y = 0; y < rows; y += 1) {
        const line = pixels.subarray(y * part.width * channels, (y + 1) * part.width * channels);
        band.set(line, (y * width + c * tiles.side) * channels);
      }
    });
    await writer.push(band);
  }
  return writer.finish();
}

async function file({ id, pane, format, quality }) {
  try {
    const png = await whole(panes[pane]);
    say("file", { id, blob: format === "jpg" ? await jpeg(png, quality) : png });
  } catch (error) {
    console.warn(error);
    say("failed", { id });
  }
}

async function jpeg(png, quality) {
  const bitmap = await createImageBitmap(png);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: quality / 100 });
}

const does = { load, run, file, cancel: () => { stopped = true; } };

self.addEventListener("message", async ({ data }) => {
  try {
    await does[data.type](data);
  } catch (error) {
    if (error instanceof Refused) {
      say("refused", { word: error.word, values: error.values });
    } else {
      console.warn(error);
      say("refused", { word: "device_failed", values: {} });
    }
  }
});
