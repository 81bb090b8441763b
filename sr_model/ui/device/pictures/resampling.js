// Bicubic (Keys, a = -0.5), antialiased when shrinking: what `imaging/resampling.py` and Pillow do.

function keys(x) {
  const t = Math.abs(x);
  if (t < 1) return 1.5 * t ** 3 - 2.5 * t ** 2 + 1;
  return t < 2 ? -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2 : 0;
}

// For each of `to` outputs: where its inputs begin, and their weights; what lies outside has none.
export function taps(from, to) {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = 2 * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Float32Array(to * size);
  for (let o = 0; o < to; o += 1) {
    const middle = (o + 0.5) * scale;
    first[o] = Math.max(0, Math.floor(middle - support + 0.5));
    count[o] = Math.min(from, Math.floor(middle + support + 0.5)) - first[o];
    const values = Array.from({ length: count[o] }, (_, i) => keys((first[o] + i - middle + 0.5) / stretch));
    const total = values.reduce((sum, value) => sum + value, 0);
    values.forEach((value, i) => {
      weights[o * size + i] = value / total;
    });
  }
  return { first, count, weights, size };
}

// Pillow keeps bytes between its two passes, and rounds up what lies halfway; torch does neither.
export const pillowBytes = (row) => Uint8ClampedArray.from(row, (value) => Math.floor(value + 0.5));

// One row of interleaved channels (from * channels), resized to (to * channels).
export function resizeRow(row, channels, across) {
  const { first, count, weights, size } = across;
  const out = new Float32Array(first.length * channels);
  for (let o = 0; o < first.length; o += 1) {
    for (let c = 0; c < channels; c += 1) {
      let sum = 0;
      let at = first[o] * channels + c;
      for (let i = 0; i < count[o]; i += 1, at += channels) sum += weights[o * size + i] * row[at];
      out[o * channels + c] = sum;
    }
  }
  return out;
}

// An output row out of input rows, which `rowAt(y)` gives.
export function blendRows(rowAt, down, o, out) {
  const { first, count, weights, size } = down;
  out.fill(0);
  for (let i = 0; i < count[o]; i += 1) {
    const row = rowAt(first[o] + i);
    const weight = weights[o * size + i];
    for (let k = 0; k < out.length; k += 1) out[k] += weight * row[k];
  }
}

// Interleaved bytes resized, in float levels that may lie slightly outside of 0 to 255.
// Output rows `top` to `bottom` are handed to `each(row, y)`; a row is valid until the next one.
export function resize({ pixels, width, height, channels }, [w, h], each, { top = 0, bottom = h, bytes = false } = {}) {
  const [across, down] = [taps(width, w), taps(height, h)];
  const kept = new Map();
  const rowAt = (y) => {
    if (!kept.has(y)) {
      const row = resizeRow(pixels.subarray(y * width * channels, (y + 1) * width * channels), channels, across);
      kept.set(y, bytes ? pillowBytes(row) : row);
    }
    return kept.get(y);
  };
  const out = new Float32Array(w * channels);
  for (let y = top; y < bottom; y += 1) {
    for (const old of kept.keys()) if (old < down.first[y]) kept.delete(old);
    blendRows(rowAt, down, y, out);
    each(bytes ? pillowBytes(out) : out, y);
  }
}

// The whole picture resized and rounded to bytes.
export function resized(plane, [w, h], options = {}) {
  const out = new Uint8ClampedArray(w * h * plane.channels);
  resize(plane, [w, h], (row, y) => out.set(row, y * w * plane.channels), options);
  return new Uint8Array(out.buffer);
}

// The low resolution that Compare begins with.
export function shrink({ width, height, rgb, grey }, scale) {
  const [w, h] = [width / scale, height / scale];
  return { width: w, height: h, rgb: resized({ pixels: rgb, width, height, channels: 3 }, [w, h]), alpha: null, grey };
}
