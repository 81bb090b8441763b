// Where two pictures differ, as `jobs/maps.py` shows it, from rows as they come.
import { encode } from "./png.js";

const LEAST_TOP = 8;
const TELLING_SHARE = 0.999;
const SPOT = 16;
const MOST_PIXELS = 2_000_000;

export class Difference {
  constructor(width, height) {
    this.times = Math.ceil(Math.sqrt((width * height) / MOST_PIXELS));
    this.small = [Math.ceil(width / this.times), Math.ceil(height / this.times)];
    this.levels = new Uint8Array(this.small[0] * this.small[1]); // the largest of each square
    this.histogram = new Float64Array(256); // of every second pixel each way
    this.side = Math.min(SPOT, width, height);
    this.spots = [Math.floor(width / this.side), Math.floor(height / this.side)];
    this.sums = new Float64Array(this.spots[0] * this.spots[1]);
    Object.assign(this, { width, height, y: 0 });
  }

  push(a, b) {
    const { width, times, side, spots, small } = this;
    const y = (rgb, i) => 0.299 * rgb[i] + 0.587 * rgb[i + 1] + 0.114 * rgb[i + 2];
    for (let at = 0; at < a.length; this.y += 1) {
      const row = Math.floor(this.y / times) * small[0];
      const spotRow = Math.floor(this.y / side);
      for (let x = 0; x < width; x += 1, at += 3) {
        const level = Math.min(255, Math.round(Math.abs(y(a, at) - y(b, at))));
        const square = row + Math.floor(x / times);
        if (level > this.levels[square]) this.levels[square] = level;
        if (!(x & 1) && !(this.y & 1)) this.histogram[level] += 1;
        const spot = Math.floor(x / side);
        if (spot < spots[0] && spotRow < spots[1]) this.sums[spotRow * spots[0] + spot] += level;
      }
    }
  }

  // (x, y) in parts of the sides.
  get spot() {
    const at = this.sums.indexOf(this.sums.reduce((a, b) => Math.max(a, b), 0));
    const [x, y] = [at % this.spots[0], Math.floor(at / this.spots[0])];
    return [((x + 0.5) * this.side) / this.width, ((y + 0.5) * this.side) / this.height];
  }

  get top() {
    const place = TELLING_SHARE * (this.histogram.reduce((a, b) => a + b, 0) - 1);
    // Between two neighbours in order numpy interpolates, and what is between is rounded up.
    let seen = 0;
    for (let level = 0; level < 256; level += 1) {
      seen += this.histogram[level];
      if (seen > Math.ceil(place)) return level;
    }
    return 255;
  }

  encode(top, stops) {
    const numbers = this.levels.map((level) => Math.round((Math.min(level, top) * 255) / top));
    return encode(numbers, ...this.small, 1, palette(stops));
  }
}

export const commonTop = (maps) => Math.max(LEAST_TOP, ...maps.map((map) => map.top));

function palette(stops) {
  const colours = stops.map((stop) => [1, 3, 5].map((i) => parseInt(stop.slice(i, i + 2), 16)));
  const out = new Uint8Array(768);
  for (let i = 0; i < 256; i += 1) {
    const place = (i / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c += 1) {
      out[3 * i + c] = Math.round(colours[low][c] + (place - low) * (colours[low + 1][c] - colours[low][c]));
    }
  }
  return out;
}
