// From a file to pixels, exactly as the file holds them.
import { inspect } from "./inspect.js";
import { Refused } from "./refused.js";

const STRIP = 512; // rows that are read back at a time
const DECODING = { premultiplyAlpha: "none", colorSpaceConversion: "none" }; // upright by the file's orientation

// A picture: {width, height, rgb: (H, W, 3), alpha: (H, W) or null, grey}.
export async function readPicture(file, maxPixels) {
  const found = await inspect(new Uint8Array(await file.arrayBuffer()));
  if (found.problem) throw new Refused(`device_${found.problem}`);
  checkPixels(found, maxPixels);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, DECODING);
  } catch {
    throw new Refused("device_damaged");
  }
  checkPixels(bitmap, maxPixels);
  try {
    return { ...(await pixelsOf(bitmap)), grey: Boolean(found.grey) };
  } finally {
    bitmap.close();
  }
}

function checkPixels({ width = 0, height = 0 }, most) {
  if (width * height > most) {
    throw new Refused("device_pixels", { size: `${width}x${height}`, most: Math.round(most / 1e6) });
  }
}

async function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const picture = { width, height, rgb: new Uint8Array(width * height * 3), alpha: null };
  const canvas = new OffscreenCanvas(width, Math.min(height, STRIP)).getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    canvas.clearRect(0, 0, width, STRIP);
    canvas.drawImage(bitmap, 0, -top);
    const { data } = canvas.getImageData(0, 0, width, rows);
    // A canvas multiplies colours by alpha, so only opaque pictures come back as they were.
    if (!spread(data, picture, 0, top, width, rows)) return readStraight(bitmap, picture);
  }
  return picture;
}

// Copy RGBA into the picture; false at the first pixel that is not opaque, unless the picture has room for alpha.
function spread(data, { width, rgb, alpha }, left, top, w, h) {
  for (let y = 0, from = 0; y < h; y += 1) {
    let to = (top + y) * width + left;
    for (let x = 0; x < w; x += 1, from += 4, to += 1) {
      if (alpha) alpha[to] = data[from + 3];
      else if (data[from + 3] !== 255) return false;
      rgb[3 * to] = data[from];
      rgb[3 * to + 1] = data[from + 1];
      rgb[3 * to + 2] = data[from + 2];
    }
  }
  return true;
}

// Textures keep colours and alpha apart.
async function readStraight(bitmap, picture) {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl) throw new Refused("device_alpha");
  picture.alpha = new Uint8Array(width * height);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  const side = Math.min(2048, gl.getParameter(gl.MAX_TEXTURE_SIZE));
  const data = new Uint8Array(side * side * 4);
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      const [w, h] = [Math.min(side, width - left), Math.min(side, height - top)];
      const part = await createImageBitmap(bitmap, left, top, w, h, DECODING);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, part);
      part.close();
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
      gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, data);
      spread(data, picture, left, top, w, h);
    }
  }
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return picture;
}

// Laid on white, as it is measured.
export function flat(picture) {
  if (!picture.alpha) return picture;
  const rgb = flatten(picture.rgb, picture.alpha);
  return { ...picture, rgb, alpha: null };
}

export function flatten(rgb, alpha) {
  const out = new Uint8Array(rgb.length);
  for (let i = 0; i < alpha.length; i += 1) {
    const cover = Math.fround(alpha[i] / 255);
    for (let c = 3 * i; c < 3 * i + 3; c += 1) out[c] = Math.round(rgb[c] * cover + 255 * (1 - cover));
  }
  return out;
}

// Cut at the right and bottom.
export function cropped(picture, width, height) {
  if (picture.width === width && picture.height === height) return picture;
  const cut = (pixels, channels) => {
    const out = new Uint8Array(width * height * channels);
    const [from, to] = [picture.width * channels, width * channels];
    for (let y = 0; y < height; y += 1) out.set(pixels.subarray(y * from, y * from + to), y * to);
    return out;
  };
  return { ...picture, width, height, rgb: cut(picture.rgb, 3), alpha: picture.alpha && cut(picture.alpha, 1) };
}
