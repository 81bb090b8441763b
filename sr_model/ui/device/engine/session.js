// A network in ONNX Runtime: by WebGPU where there is an adapter, else by WebAssembly.

export const RUNTIMES = {
  webgpu: ["ort.jspi.bundle.min.js", "ort-wasm-simd-threaded.jspi.wasm.gz"],
  wasm: ["ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm.gz"],
};
const MOST_THREADS = 4;

// webgpu or wasm. A software adapter is slower than WebAssembly, so it counts only if it is `asked` for.
export async function bestBackend(asked) {
  if (asked === "wasm" || !("Suspending" in WebAssembly) || !navigator.gpu) return "wasm";
  try {
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) return "wasm";
    const software = adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter;
    return software && asked !== "webgpu" ? "wasm" : "webgpu";
  } catch {
    return "wasm";
  }
}

async function fetched(address, options) {
  const answer = await fetch(address, options);
  if (!answer.ok) throw new Error(`${answer.status} for ${address}`);
  return answer.arrayBuffer();
}

// Some servers unpack .gz files on their way, so the first bytes decide.
async function unpacked(buffer) {
  const [a, b] = new Uint8Array(buffer, 0, 2);
  if (a !== 0x1f || b !== 0x8b) return buffer;
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const loaded = {}; // by backend; a runtime is loaded once

async function runtime(backend) {
  loaded[backend] ??= (async () => {
    const [script, binary] = RUNTIMES[backend].map((name) => new URL(`../runtime/${name}`, import.meta.url).href);
    const [ort, wasm] = await Promise.all([import(script), fetched(binary).then(unpacked)]);
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = wasm;
    // Threads share memory, which browsers allow to isolated pages only.
    ort.env.wasm.numThreads = threads(backend);
    return ort;
  })();
  try {
    return await loaded[backend];
  } catch (error) {
    delete loaded[backend];
    throw error;
  }
}

export const threads = (backend) =>
  backend === "wasm" && self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;

export class Session {
  // `network` is what `offered.py` says of it.
  static async create(network, backend) {
    const [ort, model] = await Promise.all([runtime(backend), fetched(network.url)]);
    const options = { executionProviders: [backend], logSeverityLevel: 3 };
    const session = await ort.InferenceSession.create(new Uint8Array(model), options);
    const made = new Session(ort, session, network, backend);
    await made.#check();
    return made;
  }

  constructor(ort, session, network, backend) {
    Object.assign(this, { ort, session, network, backend, threads: threads(backend) });
  }

  // Planar RGB in [0, 1] (3, height, width) -> (3, scale * height, scale * width).
  async run(x, width, height) {
    const input = new this.ort.Tensor("float32", x, [1, 3, height, width]);
    const { output } = await this.session.run({ input });
    const data = await output.getData();
    output.dispose();
    input.dispose();
    return data;
  }

  release() {
    return this.session.release();
  }

  // A driver that computes nonsense raises no error, so a pattern's known result is compared.
  async #check() {
    const { side, values } = this.network.probe;
    const y = await this.run(pattern(side), side, side);
    const step = Math.floor(y.length / values.length);
    const worst = Math.max(...values.map((value, i) => Math.abs(value - y[i * step])));
    if (!(worst < 0.5 / 255)) throw new Error(`${this.backend} computes wrongly: ${worst}`);
  }
}

// As `offered.pattern`.
const pattern = (side) => Float32Array.from({ length: 3 * side * side }, (_, i) => ((i * 37) % 256) / 255);
