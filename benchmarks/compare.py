"""Quality and speed beside what else one can install: `python -m benchmarks.compare --data Set5/`.

Prints a table of Pillow's, OpenCV's and torch's ways to enlarge and of every preset on every engine: PSNR in dB and
SSIM on the same pictures by the definition in sr_model/imaging/metrics.py, and milliseconds per megapixel of the
result, from 8-bit to 8-bit pixels, on one picture. OpenCV is optional (pip install opencv-contrib-python-headless),
and the models of its dnn_superres are files that one fetches oneself. A preset of scale 1 gets what bicubic has
enlarged.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from sr_model.benchmark.measuring import LIMIT, choose, read_size
from sr_model.benchmark.report import interquartile_range
from sr_model.benchmark.worker import noise
from sr_model.commands.common import run
from sr_model.evaluation.comparison import evaluate
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.inference.devices import available_cpus
from sr_model.inference.upscaler import Upscaler, enlarge_bicubic

Enlarge = Callable[[Picture], Picture]
# What makes a way to enlarge, where that is possible: loading waits for its turn, so that memory and threads are free.
Way = tuple[str, Callable[[], Enlarge]]


class LeftOutError(Exception):
    """A way cannot be measured here, for the reason in its text."""


def by_array(resize: Callable[[np.ndarray], np.ndarray]) -> Enlarge:
    """A way that works on arrays (H, W, 3) of uint8, as one for pictures without alpha."""
    return lambda picture: Picture(resize(picture.pixels))


def pillow(scale: int, kernel: Image.Resampling) -> Enlarge:
    def resize(pixels: np.ndarray) -> np.ndarray:
        h, w = pixels.shape[:2]
        return np.asarray(Image.fromarray(pixels).resize((w * scale, h * scale), kernel))

    return by_array(resize)


def torch_bicubic(scale: int) -> Enlarge:
    """`interpolate` as it is by default, a = -0.75; with antialias=True it is what the presets begin with."""

    def resize(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            x = images.to_tensor(pixels)
            return images.to_array(F.interpolate(x, scale_factor=scale, mode="bicubic"))

    return by_array(resize)


def opencv(scale: int, kernel: str) -> Enlarge:
    """Raises LeftOutError without OpenCV."""
    cv2 = _cv2()
    return by_array(lambda pixels: cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=getattr(cv2, kernel)))


def opencv_network(scale: int, folder: Path | None, name: str) -> Enlarge:
    """dnn_superres with the model <name>_x<scale>.pb of a folder. Raises LeftOutError with what is missing."""
    cv2 = _cv2()
    if not hasattr(cv2, "dnn_superres"):
        raise LeftOutError(f"OpenCV {cv2.__version__} has no dnn_superres here; opencv-contrib-python-headless has it")
    if folder is None:
        raise LeftOutError(f"their models, such as FSRCNN_x{scale}.pb, are looked for in --opencv-models FOLDER")
    path = folder / f"{name}_x{scale}.pb"
    if not path.exists():
        raise LeftOutError(f"no <name>_x{scale}.pb in {folder}")
    network = cv2.dnn_superres.DnnSuperResImpl_create()
    try:
        network.readModel(str(path))
        network.setModel(name.lower().partition("-")[0], scale)  # FSRCNN-small is a fsrcnn
        network.upsample(np.zeros((32, 32, 3), np.uint8))
    except cv2.error as error:
        raise LeftOutError(f"OpenCV cannot use {path.name}: {' '.join(str(error).split())[:160]}") from None
    return by_array(lambda pixels: network.upsample(pixels[..., ::-1].copy())[..., ::-1])  # it takes BGR


def preset(name: str, scale: int, own_scale: int, engine: str, device: str) -> Enlarge:
    upscaler = Upscaler.from_preset(name, own_scale, device, engine=engine)
    upscaler.expect_many()
    if own_scale == 1:
        return lambda picture: upscaler(enlarge_bicubic(picture, scale))
    return upscaler


def ways(scale: int, models: Path | None) -> Iterator[Way]:
    """All that can be had to enlarge `scale` times, by name."""
    yield "Pillow, bicubic", partial(pillow, scale, Image.Resampling.BICUBIC)
    yield "Pillow, Lanczos", partial(pillow, scale, Image.Resampling.LANCZOS)
    yield "OpenCV, bicubic", partial(opencv, scale, "INTER_CUBIC")
    yield "OpenCV, Lanczos4", partial(opencv, scale, "INTER_LANCZOS4")
    for name in ("FSRCNN-small", "FSRCNN", "ESPCN", "LapSRN", "EDSR"):
        yield f"OpenCV, {name}", partial(opencv_network, scale, models, name)
    yield "torch, bicubic", partial(torch_bicubic, scale)
    yield "torch, antialiased bicubic", lambda: partial(enlarge_bicubic, scale=scale)
    for case in choose():
        if case.scale in (1, scale):
            before = "bicubic, then " if case.scale == 1 else ""
            make = partial(preset, case.preset, scale, case.scale, case.engine, case.device)
            yield f"{before}{case}", make


def milliseconds(enlarge: Enlarge, scale: int, size: tuple[int, int], runs: int) -> list[float]:
    """Per megapixel of the result, of each run after one that is not counted; fewer runs where they take minutes."""
    picture = noise(size)
    enlarge(picture)
    times: list[float] = []
    while len(times) < runs and sum(times) < LIMIT:
        start = time.perf_counter()
        enlarge(picture)
        times.append(time.perf_counter() - start)
    return [1000 * seconds / (size[0] * size[1] * scale**2 / 1e6) for seconds in times]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FOLDER", help="originals to shrink and enlarge again")
    parser.add_argument("--scale", type=int, default=2, choices=(2, 3, 4), help="times larger, per side (default: 2)")
    parser.add_argument("--size", default="640x360", metavar="WxH", help="of the picture to time (default: 640x360)")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="to take the median of (default: 7)")
    parser.add_argument("--opencv-models", type=Path, metavar="FOLDER", help="with FSRCNN_x2.pb, EDSR_x2.pb and such")
    options = parser.parse_args(arguments)
    return run(lambda: compare(options.data, options.scale, options.size, max(1, options.runs), options.opencv_models))


def compare(data: str, scale: int, size: str, runs: int, models: Path | None) -> int:
    """Print the table, a line as soon as it is measured, and what was left out, with the reason."""
    w_and_h = read_size(size)
    print(f"| x{scale} | PSNR | SSIM | ms/MP | spread |\n|---|---|---|---|---|")
    left_out: dict[str, list[str]] = {}
    for name, make in ways(scale, models):
        try:
            enlarge = make()
        except LeftOutError as error:
            left_out.setdefault(str(error), []).append(name)
            continue
        times = milliseconds(enlarge, scale, w_and_h, runs)
        spread = interquartile_range(times)
        mean = evaluate(enlarge, scale, data)["mean"]
        cells = [f"{mean['psnr']:.2f}", f"{mean['ssim']:.4f}", f"{statistics.median(times):.1f}"]
        print(f"| {' | '.join([name, *cells, '-' if spread is None else f'{spread:.1f}'])} |", flush=True)
    for reason, names in left_out.items():
        print(f"Left out: {', '.join(names)}: {reason}.")
    return 0


def _cv2() -> Any:  # the module, which may be missing
    try:
        import cv2
    except ImportError:
        raise LeftOutError("OpenCV is not installed (pip install opencv-contrib-python-headless)") from None
    cv2.setNumThreads(available_cpus())
    return cv2


if __name__ == "__main__":
    sys.exit(main())
