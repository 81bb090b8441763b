// PSNR and SSIM as `imaging/metrics.py` defines them, and the agreement of `judging.py`, from rows as they come.
import { Difference } from "./maps.js";
import { blendRows, pillowBytes, resizeRow, taps } from "./resampling.js";

const MOST_PSNR = 80;
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

const decibels = (mse) => (mse ? Math.min(MOST_PSNR, 10 * Math.log10(255 ** 2 / mse)) : MOST_PSNR);

// Y of ITU-R BT.601, 16 to 235, of rows of RGB bytes.
function luma(rgb) {
  const out = new Float64Array(rgb.length / 3);
  for (let i = 0; i < out.length; i += 1) {
    out[i] = 16 + (65.481 * rgb[3 * i] + 128.553 * rgb[3 * i + 1] + 24.966 * rgb[3 * i + 2]) / 255;
  }
  return out;
}

function gaussian(size) {
  const values = Array.from({ length: size }, (_, i) => Math.exp(-((i - (size >> 1)) ** 2) / (2 * 1.5 ** 2)));
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.map((value) => value / total);
}

// How near a picture comes to a reference of the same size; `scale` border pixels are cut off, 2 at x1.
export class Score {
  constructor(width, height, scale) {
    const border = scale > 1 ? scale : 2;
    const cut = (length) => (length > 2 * border ? border : 0);
    Object.assign(this, { width, dx: cut(width), dy: cut(height), y: 0, error: 0, total: 0, count: 0 });
    this.bottom = height - this.dy;
    const [w, h] = [width - 2 * this.dx, height - 2 * this.dy];
    this.pixels = w * h;
    this.across = gaussian(Math.min(11, w - 1 + (w % 2)));
    this.down = gaussian(Math.min(11, h - 1 + (h % 2)));
    this.lines = []; // of the last rows: blurred across, the five means that SSIM is made of
  }

  push(rgb, reference) {
    const [x, y] = [luma(rgb), luma(reference)];
    for (let at = 0; at < x.length; at += this.width, this.y += 1) {
      if (this.y < this.dy || this.y >= this.bottom) continue;
      const cut = (line) => line.subarray(at + this.dx, at + this.width - this.dx);
      this.#row(cut(x), cut(y));
    }
  }

  get result() {
    return { psnr: decibels(this.error / this.pixels), ssim: this.total / this.count };
  }

  #row(x, y) {
    const products = [x, y, x.map((v) => v * v), y.map((v) => v * v), x.map((v, i) => v * y[i])];
    for (let i = 0; i < x.length; i += 1) this.error += (x[i] - y[i]) ** 2;
    this.lines.push(products.map((line) => this.#blur(line)));
    if (this.lines.length < this.down.length) return;
    const length = x.length - this.across.length + 1;
    const [mx, my, xx, yy, xy] = [0, 1, 2, 3, 4].map((k) => {
      const out = new Float64Array(length);
      this.down.forEach((weight, j) => {
        const line = this.lines[j][k];
        for (let i = 0; i < length; i += 1) out[i] += weight * line[i];
      });
      return out;
    });
    this.lines.shift();
    for (let i = 0; i < length; i += 1) {
      const [a, b] = [mx[i] * mx[i], my[i] * my[i]];
      const both = mx[i] * my[i];
      this.total +=
        (((2 * both + C1) / (a + b + C1)) * (2 * (xy[i] - both) + C2)) / (xx[i] - a + (yy[i] - b) + C2);
    }
    this.count += length;
  }

  #blur(line) {
    const out = new Float64Array(line.length - this.across.length + 1);
    this.across.forEach((weight, j) => {
      for (let i = 0; i < out.length; i += 1) out[i] += weight * line[i + j];
    });
    return out;
  }
}

// PSNR of a result's luma, shrunk back to the source's size as Pillow does it, against the source.
export class Agreement {
  constructor(source, width, height) {
    Object.assign(this, { source, width, y: 0, next: 0, error: 0, rows: new Map() });
    this.across = taps(width, source.width);
    this.down = taps(height, source.height);
    this.difference = new Difference(source.width, source.height);
  }

  push(rgb) {
    const { width, down, source } = this;
    for (let at = 0; at < rgb.length; at += 3 * width, this.y += 1) {
      this.rows.set(this.y, pillowBytes(resizeRow(rgb.subarray(at, at + 3 * width), 3, this.across)));
      while (this.next < source.height && down.first[this.next] + down.count[this.next] <= this.y + 1) this.#compare();
    }
  }

  get result() {
    return { psnr: decibels(this.error / (this.source.width * this.source.height)) };
  }

  #compare() {
    const { down, next, source } = this;
    const blended = new Float32Array(source.width * 3);
    blendRows((y) => this.rows.get(y), down, next, blended);
    const bytes = pillowBytes(blended);
    const expected = source.rgb.subarray(next * source.width * 3, (next + 1) * source.width * 3);
    this.difference.push(bytes, expected);
    const [small, wanted] = [luma(bytes), luma(expected)];
    for (let i = 0; i < small.length; i += 1) this.error += (small[i] - wanted[i]) ** 2;
    for (const y of this.rows.keys()) if (y < (down.first[next + 1] ?? 0)) this.rows.delete(y);
    this.next += 1;
  }
}
