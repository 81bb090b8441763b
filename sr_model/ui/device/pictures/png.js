// PNG files row by row, so that a picture never has to be there whole.

const SIGNATURE = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
const COLOUR = { 1: 0, 2: 4, 3: 2, 4: 6 }; // by channels: grey, grey and alpha, RGB, RGBA
const PALETTE = 3;

const TABLE = new Uint32Array(256).map((_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc(...parts) {
  let c = 0xffffffff;
  for (const bytes of parts) for (let i = 0; i < bytes.length; i += 1) c = TABLE[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

const number = (value) => new Uint8Array([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);

function chunk(name, data) {
  const tag = new TextEncoder().encode(name);
  return [number(data.length), tag, data, number(crc(tag, data))];
}

export class PngWriter {
  #parts;
  #before;
  #filtered;
  #deflate;
  #input;
  #output;

  // `channels` is 1 to 4; with a `palette` of RGB bytes it is 1, and rows hold its numbers.
  constructor(width, height, channels, palette = null) {
    const colour = palette ? PALETTE : COLOUR[channels];
    const header = new Uint8Array([...number(width), ...number(height), 8, colour, 0, 0, 0]);
    this.channels = channels;
    this.stride = width * channels;
    this.plain = Boolean(palette); // numbers of colours have no neighbours to be like
    this.#parts = [SIGNATURE, ...chunk("IHDR", header), ...(palette ? chunk("PLTE", palette) : [])];
    this.#before = new Uint8Array(this.stride);
    this.#deflate = new CompressionStream("deflate");
    this.#input = this.#deflate.writable.getWriter();
    this.#output = this.#collect();
  }

  // One or more whole rows.
  async push(rows) {
    const count = rows.length / this.stride;
    const out = new Uint8Array(count * (this.stride + 1));
    for (let y = 0; y < count; y += 1) {
      const row = rows.subarray(y * this.stride, (y + 1) * this.stride);
      const to = out.subarray(y * (this.stride + 1), (y + 1) * (this.stride + 1));
      if (this.plain) to.set(row, 1);
      else this.#paeth(row, to);
      this.#before.set(row);
    }
    await this.#input.write(out);
  }

  async finish() {
    await this.#input.close();
    await this.#output;
    return new Blob([...this.#parts, ...chunk("IEND", new Uint8Array())], { type: "image/png" });
  }

  // Each byte less what is most like it among those to the left, above, and above left.
  #paeth(row, to) {
    const { channels } = this;
    const above = this.#before;
    to[0] = 4;
    for (let i = 0; i < row.length; i += 1) {
      const a = i < channels ? 0 : row[i - channels];
      const b = above[i];
      const c = i < channels ? 0 : above[i - channels];
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      to[i + 1] = row[i] - (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
    }
  }

  async #collect() {
    const reader = this.#deflate.readable.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      this.#parts.push(...chunk("IDAT", next.value));
    }
  }
}

export async function encode(pixels, width, height, channels, palette = null) {
  const writer = new PngWriter(width, height, channels, palette);
  await writer.push(pixels);
  return writer.finish();
}
