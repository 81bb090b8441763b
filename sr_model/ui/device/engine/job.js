// What the main button does, as `work.py` does it: pictures in, files and numbers out, a row of tiles at a time.
import { bled } from "../pictures/bleeding.js";
import { boundBorder } from "../pictures/borders.js";
import { commonTop, Difference } from "../pictures/maps.js";
import { Agreement, Score } from "../pictures/numbers.js";
import { packed, PaneFiles } from "../pictures/panes.js";
import { cropped, flat, flatten, readPicture } from "../pictures/reading.js";
import { Refused } from "../pictures/refused.js";
import { resize, resized, shrink } from "../pictures/resampling.js";
import { bands, bestSide, grown } from "./tiles.js";

const MARGIN = 4; // pixels that bicubic looks at, at least

// {low, truth}: what is enlarged, and what the result is measured against or null.
async function opened({ picture, reference, mode, scale, limits }) {
  const source = await readPicture(picture, limits.pixels);
  if (mode === "compare") {
    if (Math.min(source.width, source.height) < scale) {
      throw new Refused("device_small", { size: `${source.width}x${source.height}`, scale });
    }
    const whole = (length) => length - (length % scale);
    const truth = cropped(flat(source), whole(source.width), whole(source.height));
    return { low: shrink(truth, scale), truth };
  }
  const [w, h] = [source.width * scale, source.height * scale];
  if (w * h > limits.resultPixels) {
    throw new Refused("device_result", { size: `${w}x${h}`, most: Math.round(limits.resultPixels / 1e6) });
  }
  if (!reference) return { low: source, truth: null };
  const large = await readPicture(reference, limits.pixels);
  const [dx, dy] = [large.width - w, large.height - h];
  if (dx < 0 || dx > scale || dy < 0 || dy > scale) {
    throw new Refused("device_reference", { size: `${large.width}x${large.height}`, wanted: `${w}x${h}` });
  }
  return { low: source, truth: cropped(large, w, h) };
}

const rowsOf = ({ rgb, width }, top, bottom) => rgb.subarray(3 * width * top, 3 * width * bottom);

// A grey picture's channels are equal again, as its file has one.
function greyed(rgb) {
  for (let i = 0; i < rgb.length; i += 3) rgb.fill(Math.floor((rgb[i] + rgb[i + 1] + rgb[i + 2] + 1) / 3), i, i + 3);
}

// A band enlarged by bicubic, in levels that are not rounded yet: (rows, width, 3).
function bicubicBand(low, scale, top, bottom) {
  const above = Math.max(0, top - MARGIN);
  const below = Math.min(low.height, bottom + MARGIN);
  const width = low.width * scale;
  const out = new Float32Array(3 * width * (bottom - top) * scale);
  const part = { pixels: rowsOf(low, above, below), width: low.width, height: below - above, channels: 3 };
  const rows = { top: (top - above) * scale, bottom: (bottom - above) * scale };
  resize(part, [width, (below - above) * scale], (row, y) => out.set(row, (y - rows.top) * 3 * width), rows);
  return out;
}

async function enlargeTile(session, low, tile, bicubic, result) {
  const { scale, stride, field, addsToBicubic } = session.network;
  const window = grown(tile, field + (stride - (field % stride || stride)), low);
  const [w, h] = [window.right - window.left, window.bottom - window.top];
  const x = new Float32Array(3 * w * h);
  for (let y = 0, to = 0; y < h; y += 1) {
    let from = 3 * ((window.top + y) * low.width + window.left);
    for (let i = 0; i < w; i += 1, to += 1) {
      for (let c = 0; c < 3; c += 1) x[c * w * h + to] = low.rgb[from++] / 255;
    }
  }
  const out = await session.run(x, w, h);
  const [large, plane] = [w * scale, w * h * scale * scale];
  const width = low.width * scale;
  for (let y = tile.top * scale; y < tile.bottom * scale; y += 1) {
    let from = (y - window.top * scale) * large + (tile.left - window.left) * scale;
    let to = 3 * ((y - tile.top * scale) * width + tile.left * scale);
    for (let i = tile.left * scale; i < tile.right * scale; i += 1, from += 1) {
      for (let c = 0; c < 3; c += 1, to += 1) {
        // The array rounds to the nearest level, and to the even one halfway, as torch does.
        result[to] = 255 * out[c * plane + from] + (addsToBicubic ? bicubic[to] : 0);
      }
    }
  }
}

// What is measured of the pictures as their rows come.
class Measures {
  constructor(low, truth, width, height, scale) {
    this.truth = truth;
    this.between = new Difference(width, height);
    const methods = [0, 1];
    if (truth) {
      this.scores = methods.map(() => new Score(width, height, scale));
      this.errors = methods.map(() => new Difference(width, height));
    } else if (scale > 1) {
      this.agreements = methods.map(() => new Agreement(flat(low), width, height));
    }
  }

  push(plain, result, truth) {
    this.between.push(result, plain);
    [plain, result].forEach((rows, i) => {
      this.scores?.[i].push(rows, truth);
      this.errors?.[i].push(rows, truth);
      this.agreements?.[i].push(rows);
    });
  }

  // {scores, agreements, spot, bars: [{kind, top}], maps: of each pane, by kind}
  async finish(stops) {
    const kinds = this.errors ? { error: this.errors } : { added: [null, this.between] };
    if (this.agreements) kinds.off = this.agreements.map((each) => each.difference);
    const bars = [];
    const maps = [{}, {}, {}];
    for (const [kind, shown] of Object.entries(kinds)) {
      const top = commonTop(shown.filter(Boolean));
      bars.push({ kind, top });
      for (const [i, each] of shown.entries()) if (each) maps[i][kind] = await each.encode(top, stops);
    }
    return {
      scores: this.scores?.map((score) => score.result) || [],
      agreements: this.agreements?.map((each) => each.result) || [],
      spot: this.between.spot,
      bars,
      maps,
    };
  }
}

// Yields {done, total, secondsLeft} after each tile, and at last {outcome}. `session()` gives a session, made anew
// where an adapter has failed; `failed(error)` says whether to try the tile again.
export async function* perform(job, session, failed) {
  const { low, truth } = await opened(job);
  const { scale, stride, features } = job.network;
  const [width, height] = [low.width * scale, low.height * scale];
  const enlarged = bled(low);
  const against = truth && flat(truth);
  const channels = (low.grey ? 1 : 3) + (low.alpha ? 1 : 0);
  const files = [new PaneFiles(width, height, channels), new PaneFiles(width, height, channels)];
  const measures = new Measures(low, truth, width, height, scale);
  const rows = bands(low.width, low.height, bestSide(features, stride), stride);
  const total = rows.length * rows[0].tiles.length;
  let done = 0;
  let seconds = 0;
  yield { done, total };
  for (const { top, bottom, tiles } of rows) {
    const bicubic = bicubicBand(enlarged, scale, top, bottom);
    const result = new Uint8ClampedArray(bicubic.length);
    for (const tile of tiles) {
      const start = performance.now();
      for (;;) {
        try {
          await enlargeTile(await session(), enlarged, { top, bottom, ...tile }, bicubic, result);
          break;
        } catch (error) {
          if (!(await failed(error))) throw error;
        }
      }
      seconds += (performance.now() - start) / 1000;
      done += 1;
      yield { done, total, secondsLeft: (seconds / done) * (total - done) };
    }
    if (job.network.addsToBicubic) boundBorder(result, enlarged, scale, top, bottom);
    const pictures = [Uint8ClampedArray.from(bicubic), result].map((each) => new Uint8Array(each.buffer));
    if (low.grey) pictures.forEach(greyed);
    const alpha = low.alpha && alphaRows(low, scale, top, bottom);
    for (const [i, each] of pictures.entries()) await files[i].push(packed(each, alpha, low.grey));
    const measured = alpha ? pictures.map((each) => flatten(each, alpha)) : pictures;
    measures.push(...measured, against && rowsOf(against, top * scale, bottom * scale));
    yield { done, total };
  }
  if (truth) {
    const pane = new PaneFiles(width, height, (truth.grey ? 1 : 3) + (truth.alpha ? 1 : 0));
    await pane.push(packed(truth.rgb, truth.alpha, truth.grey));
    files.push(pane);
  }
  const panes = [];
  for (const each of files) panes.push({ ...(await each.finish()), width, height, channels: each.channels });
  yield { outcome: { panes, source: [low.width, low.height], seconds, ...(await measures.finish(job.stops)) } };
}

// Pillow's bicubic, which rounds to bytes between its two passes.
function alphaRows({ alpha, width, height }, scale, top, bottom) {
  const above = Math.max(0, top - MARGIN);
  const below = Math.min(height, bottom + MARGIN);
  const part = { pixels: alpha.subarray(width * above, width * below), width, height: below - above, channels: 1 };
  const large = resized(part, [width * scale, (below - above) * scale], { bytes: true });
  return large.subarray((top - above) * scale * width * scale, (bottom - above) * scale * width * scale);
}
