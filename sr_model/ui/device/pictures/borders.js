// The outermost pixels of a result are bounded by what is around them in the small picture, as `borders.py` does it.
const RING = 4;
const REACH = 2;
const ROOM = 2;

// `result` holds the enlarged rows [top, bottom) of `low`, in bytes; it is changed in place.
export function boundBorder(result, low, scale, top, bottom) {
  for (let y = top; y < bottom; y += 1) {
    const across = y < RING || y >= low.height - RING;
    for (let x = 0; x < low.width; x += 1) {
      if (!across && x === RING && low.width > 2 * RING) x = low.width - RING;
      boundPixel(result, low, scale, top, x, y);
    }
  }
}

function boundPixel(result, low, scale, top, x, y) {
  const width = low.width * scale;
  for (let channel = 0; channel < 3; channel += 1) {
    const [least, most] = bounds(low, x, y, channel);
    for (let j = 0; j < scale; j += 1) {
      let to = 3 * (((y - top) * scale + j) * width + x * scale) + channel;
      for (let i = 0; i < scale; i += 1, to += 3) result[to] = Math.min(Math.max(result[to], least), most);
    }
  }
}

function bounds({ rgb, width, height }, x, y, channel) {
  let least = 255;
  let most = 0;
  for (let j = Math.max(0, y - REACH); j <= Math.min(height - 1, y + REACH); j += 1) {
    for (let i = Math.max(0, x - REACH); i <= Math.min(width - 1, x + REACH); i += 1) {
      const value = rgb[3 * (j * width + i) + channel];
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
  }
  const room = ROOM * (most - least);
  return [least - room, most + room];
}
