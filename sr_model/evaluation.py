"""Measure a way of enlarging against bicubic on a folder of pictures, by the definitions in metrics.py."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sr_model import images
from sr_model.degrade import crop_to_multiple, shrink
from sr_model.errors import DataError, ImageError
from sr_model.images import Picture
from sr_model.metrics import DEFINITION, score
from sr_model.upscale import enlarge_bicubic


@dataclass(frozen=True)
class Scores:
    """PSNR in dB and SSIM of the network and of bicubic, for one picture or as the mean of several."""

    psnr: float
    ssim: float
    bicubic_psnr: float
    bicubic_ssim: float


def shrink_picture(reference: Picture, scale: int) -> tuple[Picture, Picture]:
    """(low, reference): the reference laid on white and cut to a multiple of the scale, and its 8-bit bicubic copy.

    Raises ImageError where a side is shorter than `scale` pixels.
    """
    w, h = reference.size
    if min(w, h) < scale:
        raise ImageError(f"The picture is {w}x{h}; to be shrunk {scale} times it must be at least {scale}x{scale}.")
    flat = images.without_alpha(reference)
    high = crop_to_multiple(images.to_tensor(flat.pixels), scale)
    low = Picture(images.to_array(shrink(high, scale)), grey=flat.grey, icc_profile=flat.icc_profile)
    return low, Picture(images.to_array(high), grey=flat.grey, icc_profile=flat.icc_profile)


def compare(result: Picture, reference: Picture, scale: int) -> tuple[float, float]:
    """(PSNR in dB, SSIM) of a picture against a reference of the same size, both laid on white."""
    x, y = (images.to_tensor(images.without_alpha(p).pixels) for p in (result, reference))
    return score(x, y, scale)


def evaluate(
    enlarge: Callable[[Picture], Picture],
    scale: int,
    folder: str | os.PathLike,
    each: Callable[[str, Scores], None] = lambda name, scores: None,
) -> dict[str, Any]:
    """Scores of every picture below `folder`, shrunk and enlarged again, and their mean.

    `enlarge` is what is measured, such as `Upscaler.enlarge`, and makes a picture `scale` times larger on each side.
    Calls `each` with a picture's name and Scores as they come. Returns {"set", "scale", "definition", "mean",
    "pictures"}. Raises DataError where there is no picture or one cannot be measured: a mean over the others would
    be another set's.
    """
    folder = Path(folder)
    paths = images.find_images(folder) if folder.is_dir() else []
    if not paths:
        raise DataError(f"There is no picture in {folder}. --data takes a folder; it is searched recursively.")
    pictures: dict[str, Scores] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            low, high = shrink_picture(images.load(path), scale)
        except ImageError as error:
            raise DataError(f"{name} cannot be measured. {error}") from None
        network = compare(enlarge(low), high, scale)
        bicubic = compare(enlarge_bicubic(low, scale), high, scale)
        pictures[name] = Scores(*network, *bicubic)
        each(name, pictures[name])
    mean = Scores(*np.mean([list(asdict(s).values()) for s in pictures.values()], axis=0).tolist())
    return {
        "set": folder.resolve().name,
        "scale": scale,
        "definition": DEFINITION,
        "mean": asdict(mean),
        "pictures": {name: asdict(s) for name, s in pictures.items()},
    }
