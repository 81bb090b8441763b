// The files of a pane as its rows come: one PNG, or of a large picture a preview and tiles, as `showing.py` makes them.
import { encode, PngWriter } from "./png.js";

const WHOLE = 4_000_000; // pixels of a picture that is shown in one file
const PREVIEW = 1_000_000;
const TILE = 512;

// Rows of RGB bytes, and of alpha if there is any, as the file holds them: grey has one channel.
export function packed(rgb, alpha, grey) {
  if (!grey && !alpha) return rgb;
  const channels = (grey ? 1 : 3) + (alpha ? 1 : 0);
  const out = new Uint8Array((rgb.length / 3) * channels);
  for (let i = 0, to = 0; i < rgb.length; i += 3) {
    for (let c = 0; c < (grey ? 1 : 3); c += 1) out[to++] = rgb[i + c];
    if (alpha) out[to++] = alpha[i / 3];
  }
  return out;
}

export class PaneFiles {
  constructor(width, height, channels) {
    Object.assign(this, { width, height, channels, top: 0, kept: [], keptRows: 0, tiles: {} });
    this.whole = width * height <= WHOLE ? new PngWriter(width, height, channels) : null;
    if (this.whole) return;
    this.times = Math.ceil(Math.sqrt((width * height) / PREVIEW));
    this.small = [Math.ceil(width / this.times), Math.ceil(height / this.times)];
    this.preview = new PngWriter(...this.small, channels);
  }

  async push(rows) {
    if (this.whole) {
      await this.whole.push(rows);
      return;
    }
    const stride = this.width * this.channels;
    for (let at = 0; at < rows.length; ) {
      const take = Math.min(TILE - this.keptRows, (rows.length - at) / stride);
      this.kept.push(rows.slice(at, at + take * stride));
      this.keptRows += take;
      at += take * stride;
      if (this.keptRows === TILE) await this.#cut();
    }
  }

  // {blob}, or {blob, tiles: {side, blobs by "column-row"}} where blob is the preview.
  async finish() {
    if (this.whole) return { blob: await this.whole.finish() };
    if (this.keptRows) await this.#cut();
    if (this.averaged) await this.preview.push(this.#average());
    return { blob: await this.preview.finish(), tiles: { side: TILE, blobs: this.tiles } };
  }

  async #cut() {
    const { channels, width, keptRows: rows } = this;
    const band = new Uint8Array(rows * width * channels);
    let to = 0;
    for (const part of this.kept) {
      band.set(part, to);
      to += part.length;
    }
    for (let left = 0; left < width; left += TILE) {
      const w = Math.min(TILE, width - left);
      const tile = new Uint8Array(rows * w * channels);
      for (let y = 0; y < rows; y += 1) {
        const from = (y * width + left) * channels;
        tile.set(band.subarray(from, from + w * channels), y * w * channels);
      }
      this.tiles[`${left / TILE}-${this.top / TILE}`] = await encode(tile, w, rows, channels);
    }
    for (let y = 0; y < rows; y += 1) {
      await this.#shrink(band.subarray(y * width * channels, (y + 1) * width * channels));
    }
    this.top += rows;
    this.kept = [];
    this.keptRows = 0;
  }

  // Squares of `times` pixels become their mean; those at the ends are narrower.
  async #shrink(row) {
    const { channels, times } = this;
    this.sums ??= new Float32Array(this.small[0] * channels);
    for (let i = 0; i < row.length; i += 1) {
      this.sums[Math.floor(i / channels / times) * channels + (i % channels)] += row[i];
    }
    this.averaged = (this.averaged || 0) + 1;
    if (this.averaged === times) await this.preview.push(this.#average());
  }

  #average() {
    const { channels, times, width } = this;
    const out = Uint8Array.from(this.sums, (sum, i) => {
      const across = Math.min(times, width - Math.floor(i / channels) * times);
      return Math.round(sum / (across * this.averaged));
    });
    this.sums.fill(0);
    this.averaged = 0;
    return out;
  }
}
