// Fully transparent pixels get the colour of what is visible nearby: what a file stores there is arbitrary, often
// black, and would seep into the visible edge. As `images.bleed_colours` does it.

// Pillow's Gaussian of radius 4 is three boxes each way, of 7 pixels and a part of the two next to them.
const PASSES = 3;
const REACH = 3;
const PART = 0.4375;
const WIDTH = 2 * REACH + 1 + 2 * PART;

// A line of bytes, `step` apart, blurred in place; its ends go on for ever.
function blurLine(data, start, length, step, line) {
  for (let i = 0; i < length; i += 1) line[i] = data[start + i * step];
  const at = (i) => line[Math.min(Math.max(i, 0), length - 1)];
  let sum = 0;
  for (let i = -REACH; i <= REACH; i += 1) sum += at(i);
  for (let i = 0; i < length; i += 1) {
    const [before, after] = [at(i - REACH - 1), at(i + REACH + 1)];
    data[start + i * step] = (sum + PART * (before + after)) / WIDTH + 0.5;
    sum += after - at(i - REACH);
  }
}

function blur(data, width, height) {
  const line = new Uint8Array(Math.max(width, height));
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (let y = 0; y < height; y += 1) blurLine(data, y * width, width, 1, line);
  }
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (let x = 0; x < width; x += 1) blurLine(data, x, height, width, line);
  }
}

export function bled(picture) {
  const { width, height, rgb, alpha } = picture;
  if (!alpha || !alpha.includes(0) || !alpha.some((value) => value)) return picture;
  const weight = alpha.slice();
  blur(weight, width, height);
  const out = rgb.slice();
  const visible = new Uint8Array(alpha.length);
  for (let c = 0; c < 3; c += 1) {
    for (let i = 0; i < alpha.length; i += 1) visible[i] = (rgb[3 * i + c] * alpha[i]) / 255 + 0.5;
    blur(visible, width, height);
    for (let i = 0; i < alpha.length; i += 1) {
      if (!alpha[i]) out[3 * i + c] = Math.min(255, Math.round((visible[i] * 255) / Math.max(weight[i], 1)));
    }
  }
  return { ...picture, rgb: out };
}
