"""Compare a way of enlarging with bicubic on a folder of pictures, with the metrics of metrics.py."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sr_model.data import list_of_pairs
from sr_model.data.pairs import Pair, read_pairs
from sr_model.errors import DataError, ImageError
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.imaging.metrics import DEFINITION, score
from sr_model.imaging.resampling import crop_to_multiple, shrink, soften
from sr_model.inference.upscaler import enlarge_bicubic

SOFTENED = 2  # at x1: the factor by which a picture is shrunk and enlarged back before it is restored
Sample = tuple[str, Callable[[], tuple[Picture, Picture]]]  # a name, and a function that opens (low, high)


@dataclass(frozen=True)
class Scores:
    """PSNR in dB and SSIM of the network and of bicubic, for one picture or as the mean of several."""

    psnr: float
    ssim: float
    bicubic_psnr: float
    bicubic_ssim: float


def shrink_picture(reference: Picture, scale: int) -> tuple[Picture, Picture]:
    """(low, reference): the reference flattened onto white and cropped to a multiple of the scale; low by bicubic.

    At scale 1 low is shrunk SOFTENED times and enlarged back. Raises ImageError if a side is too short.
    """
    w, h = reference.size
    factor = scale if scale > 1 else SOFTENED
    if min(w, h) < factor:
        raise ImageError(f"The picture is {w}x{h}; to be shrunk {factor} times it must be at least {factor}x{factor}.")
    flat = images.without_alpha(reference)
    high = crop_to_multiple(images.to_tensor(flat.pixels), factor)
    copy = shrink(high, scale) if scale > 1 else soften(high, SOFTENED)
    low = Picture(images.to_array(copy), grey=flat.grey, icc_profile=flat.icc_profile)
    return low, Picture(images.to_array(high), grey=flat.grey, icc_profile=flat.icc_profile)


def compare(result: Picture, reference: Picture, scale: int) -> tuple[float, float]:
    """(PSNR in dB, SSIM) of a picture against a reference of the same size, both flattened onto white."""
    x, y = (images.to_tensor(images.without_alpha(p).pixels) for p in (result, reference))
    return score(x, y, scale)


def evaluate(
    enlarge: Callable[[Picture], Picture],
    scale: int,
    source: str | os.PathLike,
    each: Callable[[str, Scores], None] = lambda name, scores: None,
) -> dict[str, Any]:
    """Scores of every picture below a folder, shrunk and enlarged again, or of the pairs of a CSV; and their mean.

    `enlarge`, such as an `Upscaler`, makes a picture `scale` times larger on each side. `each` is called with the name
    and Scores of a picture as soon as they are known. Returns {"set", "scale", "definition", "mean", "pictures"}.
    Raises DataError if there is no picture or one cannot be measured: a mean over the others would be of another set.
    """
    source = Path(source)
    listing = list_of_pairs(source)
    samples = _pairs(listing, scale) if listing else _shrunk(source, scale)
    pictures: dict[str, Scores] = {}
    for name, open_sample in samples:
        try:
            low, high = open_sample()
        except ImageError as error:
            raise DataError(f"{name} cannot be measured. {error}") from None
        network = compare(enlarge(low), high, scale)
        bicubic = compare(enlarge_bicubic(low, scale), high, scale)
        pictures[name] = Scores(*network, *bicubic)
        each(name, pictures[name])
    mean = Scores(*np.mean([list(asdict(s).values()) for s in pictures.values()], axis=0).tolist())
    return {
        "set": (listing.resolve().parent if listing else source.resolve()).name,
        "scale": scale,
        "definition": DEFINITION,
        "mean": asdict(mean),
        "pictures": {name: asdict(s) for name, s in pictures.items()},
    }


def _shrunk(folder: Path, scale: int) -> list[Sample]:
    paths = images.find_images(folder) if folder.is_dir() else []
    if not paths:
        raise DataError(
            f"There is no picture in {folder}. --data takes a folder, which is searched recursively, or a CSV of pairs."
        )

    def sample(path: Path) -> Sample:
        return path.relative_to(folder).as_posix(), lambda: shrink_picture(images.load(path), scale)

    return [sample(path) for path in paths]


def _pairs(listing: Path, scale: int) -> list[Sample]:
    skipped: list[str] = []
    rows = read_pairs(listing, scale, None, None, skipped.append)
    if skipped:
        raise DataError(f"{listing.name} cannot be measured as it is: {skipped[0]}")

    def sample(pair: Pair) -> Sample:
        def opened() -> tuple[Picture, Picture]:
            low, high = (images.without_alpha(images.load(path)) for path in (pair.low, pair.high))
            w, h = low.size
            return low, replace(high, pixels=high.pixels[: h * scale, : w * scale])

        return f"{pair.low.name} ({pair.high.name})", opened

    return [sample(pair) for pair in rows]
