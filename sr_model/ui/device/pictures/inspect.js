// What a file says about itself before it is decoded: its kind, whether it is grey, and why it may not be right here.
// A canvas holds 8 bits of sRGB: 16 bits, other colour spaces and CMYK belong to the server.

const text = (bytes, from, length) => String.fromCharCode(...bytes.subarray(from, from + length));
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const SRGB_RED = [0.436, 0.2225, 0.0139]; // X, Y, Z of the primary, as profiles have it

// By its name, and by its red where it has one: Android's is "Display P3 Gamut with sRGB Transfer".
function isSrgb(profile) {
  // Text is ASCII or UTF-16, so zeros are left out.
  const words = text(profile.filter((byte) => byte), 0, Math.min(profile.length, 4000)).toLowerCase();
  return words.includes("srgb") && hasSrgbRed(profile);
}

function hasSrgbRed(profile) {
  if (profile.length < 132) return true;
  const data = view(profile);
  const end = Math.min(profile.length - 11, 132 + 12 * data.getUint32(128));
  for (let at = 132; at < end; at += 12) {
    const red = data.getUint32(at + 4) + 8;
    if (text(profile, at, 4) !== "rXYZ" || red + 12 > profile.length) continue;
    return SRGB_RED.every((value, i) => Math.abs(data.getInt32(red + 4 * i) / 65536 - value) < 0.01);
  }
  return true;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function png(bytes) {
  const data = view(bytes);
  const [depth, colour] = [bytes[24], bytes[25]];
  const found = { kind: "png", width: data.getUint32(16), height: data.getUint32(20), grey: colour === 0 || colour === 4 };
  if (depth === 16) return { ...found, problem: "bits" };
  for (let at = 8; at + 12 <= bytes.length; at += 12 + data.getUint32(at)) {
    const name = text(bytes, at + 4, 4);
    if (name === "IDAT") break;
    if (name === "cICP" && bytes[at + 9] !== 13) return { ...found, problem: "profile" };
    if (name !== "iCCP") continue;
    const chunk = bytes.subarray(at + 8, at + 8 + data.getUint32(at));
    const profile = await inflate(chunk.subarray(chunk.indexOf(0) + 2));
    if (!isSrgb(profile)) return { ...found, problem: "profile" };
  }
  return found;
}

function jpeg(bytes) {
  const data = view(bytes);
  const found = { kind: "jpeg" };
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; at += 2 + data.getUint16(at + 2)) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at -= 1 + data.getUint16(at + 2); // a fill byte
      continue;
    }
    if (marker === 0xda) break;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      Object.assign(found, { height: data.getUint16(at + 5), width: data.getUint16(at + 7), grey: bytes[at + 9] === 1 });
      if (bytes[at + 4] > 8) return { ...found, problem: "bits" };
      if (bytes[at + 9] === 4) return { ...found, problem: "cmyk" };
    }
    if (marker === 0xe2 && text(bytes, at + 4, 11) === "ICC_PROFILE") {
      const profile = bytes.subarray(at + 18, at + 2 + data.getUint16(at + 2));
      if (bytes[at + 16] === 1 && !isSrgb(profile)) found.problem = "profile";
    }
  }
  return found;
}

function webp(bytes) {
  const data = view(bytes);
  const found = { kind: "webp", grey: false };
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = data.getUint32(at + 4, true);
    if (text(bytes, at, 4) === "ICCP" && !isSrgb(bytes.subarray(at + 8, at + 8 + length))) found.problem = "profile";
    at += 8 + length + (length % 2);
  }
  return found;
}

// The boxes are not followed, only looked for in the first kilobytes, where all of them are before the picture.
function avif(bytes) {
  const found = { kind: "avif", grey: false };
  const head = text(bytes, 0, Math.min(bytes.length, 8000));
  const depths = head.indexOf("pixi");
  if (depths > 0 && [...bytes.subarray(depths + 9, depths + 9 + bytes[depths + 8])].some((depth) => depth > 8)) {
    return { ...found, problem: "bits" };
  }
  for (let at = head.indexOf("colr"); at > 0; at = head.indexOf("colr", at + 4)) {
    const kind = text(bytes, at + 4, 4);
    if (kind === "nclx" && ![1, 2].includes(bytes[at + 9])) return { ...found, problem: "profile" };
    if (["prof", "rICC"].includes(kind) && !isSrgb(bytes.subarray(at + 8, at + 4000))) {
      return { ...found, problem: "profile" };
    }
  }
  return found;
}

// {kind, grey, width?, height?, problem?}: problem is "bits", "profile", "cmyk", "format" or "damaged".
export async function inspect(bytes) {
  try {
    if (text(bytes, 1, 3) === "PNG") return await png(bytes);
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpeg(bytes);
    if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 4) === "WEBP") return webp(bytes);
    if (text(bytes, 4, 8) === "ftypavif" || text(bytes, 4, 8) === "ftypavis") return avif(bytes);
    if (text(bytes, 0, 3) === "GIF" || text(bytes, 0, 2) === "BM") return { kind: "other", grey: false };
  } catch {
    return { kind: "unknown", grey: false, problem: "damaged" }; // cut off in the middle of its header
  }
  return { kind: "unknown", grey: false, problem: "format" };
}
