"""How near a folder job comes to the bare network: `python -m benchmarks.bulk`.

Makes mixed photos from examples/ (crops of many sizes, as PNG, JPEG and WebP), enlarges them by `upscale`'s job, and
compares its time with the network's own: the same tiles, one after the other, with nothing beside them. Run it on an
idle machine.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import sr_model.commands  # noqa: F401 - before torch, for whose threads it chooses as for those of `upscale`

# isort: split
import torch

from sr_model.bulk.job import folder_job
from sr_model.bulk.outputs import Output
from sr_model.imaging import images
from sr_model.imaging.tiles import tiles
from sr_model.inference.devices import limit_threads
from sr_model.inference.engines import default_streams
from sr_model.inference.upscaler import Upscaler

EXAMPLES = Path(__file__).parent.parent / "examples"
SIDES = (160, 240, 320, 480, 640, 800, 1024)
FORMATS = ("JPEG", "JPEG", "JPEG", "PNG", "WEBP")


def make_photos(folder: Path, count: int) -> None:
    """Write different crops of the examples, the same ones each time."""
    rng = random.Random(0)
    originals = [images.open_image(path).convert("RGB") for path in images.find_images(EXAMPLES)]
    for i in range(count):
        original = originals[i % len(originals)]
        w, h = (min(rng.choice(SIDES), side) for side in original.size)
        left, top = rng.randint(0, original.width - w), rng.randint(0, original.height - h)
        kind = FORMATS[i % len(FORMATS)]
        original.crop((left, top, left + w, top + h)).save(folder / f"{i:05}.{kind.lower()}", kind)


def network_alone(upscaler: Upscaler, folder: Path) -> tuple[float, float]:
    """Seconds of the network for all tiles of all photos, one after the other, in an otherwise idle process.

    By the clock, and of the processors.
    """
    seconds = of_processors = 0.0
    model, engine = upscaler.model, upscaler.engine
    with torch.inference_mode():
        for path in sorted(folder.iterdir()):
            pixels = images.load(path).pixels
            x = images.to_tensor(pixels)
            h, w = x.shape[-2:]
            margin = model.receptive_field + -model.receptive_field % model.stride
            for region in tiles(h, w, upscaler.tile, model.stride):
                prepared = model.prepare(region.grow(margin, h, w).of(x))
                begin, busy = time.perf_counter(), time.process_time()
                engine(prepared)
                seconds += time.perf_counter() - begin
                of_processors += time.process_time() - busy
    return seconds, of_processors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--preset", action="append", default=[])
    parser.add_argument("--format", action="append", default=[])
    options = parser.parse_args()
    limit_threads()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        make_photos(folder, options.count)
        print("by the clock and of the processors: network alone, job, ratio", flush=True)
        for preset in options.preset or ("base-int8", "nano-int8"):
            upscaler = Upscaler.from_preset(preset, 2)
            upscaler.warm_up()
            many = Upscaler.from_preset(preset, 2, streams=default_streams())
            many.warm_up()
            for kind in options.format or ("png", "jpg"):
                alone, busy_alone = network_alone(upscaler, folder)
                limit_threads(many.streams)  # as `upscale` does; of the network alone only OpenVINO's threads count
                begin, busy = time.perf_counter(), time.process_time()
                out = Path(name) / f"{preset}-{kind}"
                records = list(folder_job(str(folder), str(out), Output(kind)).run(many))
                took, worked = time.perf_counter() - begin, time.process_time() - busy
                assert all(record.status == "done" for record in records)
                clock = f"{alone:.1f} s, {took:.1f} s, {took / alone:.2f}"
                processors = f"{busy_alone:.1f} s, {worked:.1f} s, {worked / busy_alone:.2f}"
                print(f"{preset}, {kind}: {clock}; {processors}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
