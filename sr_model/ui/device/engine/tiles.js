// Tiles whose margins make them exact, as `imaging/tiles.py` cuts them.

const SIDES = [256, 384, 512]; // pixels: smaller ones take up to twice the time in margins and calls
const LAYER_BYTES = 40_000_000; // of a tile's largest layer; some four such are alive at a time

// As few parts as fit, nearly equal, that begin on the stride.
function starts(length, size, stride) {
  const count = Math.ceil(length / size);
  const step = Math.ceil(length / (count * stride)) * stride;
  return Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
}

// Rows of tiles: [{top, bottom, tiles: [{left, right}]}].
export function bands(width, height, size, stride) {
  const pairs = (all, end) => all.map((start, i) => [start, all[i + 1] ?? end]);
  const columns = pairs(starts(width, size, stride), width);
  return pairs(starts(height, size, stride), height).map(([top, bottom]) => ({
    top,
    bottom,
    tiles: columns.map(([left, right]) => ({ left, right })),
  }));
}

// The tile with its margin, cut at the picture's borders.
export function grown({ top, bottom, left, right }, margin, { width, height }) {
  return {
    top: Math.max(0, top - margin),
    left: Math.max(0, left - margin),
    bottom: Math.min(height, bottom + margin),
    right: Math.min(width, right + margin),
  };
}

// The largest side whose largest layer of `features` floats for each pixel is within LAYER_BYTES.
export function bestSide(features, stride) {
  const side = SIDES.findLast((each) => 4 * features * each ** 2 <= LAYER_BYTES) ?? SIDES[0];
  return side - (side % stride);
}
