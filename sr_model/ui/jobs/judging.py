"""How good a result is: against the truth where there is one, and against the picture that it was made of."""

from dataclasses import dataclass

import numpy as np

from sr_model.evaluation import comparison
from sr_model.evaluation.perception import LEAST_SIDE, ssimulacra2
from sr_model.imaging import agreement
from sr_model.imaging.images import Picture
from sr_model.imaging.metrics import LUMA_RANGE, MOST_PSNR

MOST_SIDE = 720  # pixels that SSIMULACRA2 looks at each way: it takes seconds for each megapixel


@dataclass(frozen=True)
class Score:
    """How near a picture comes to the reference; `seconds` is how long its network took, where that is told."""

    title: str
    psnr: float  # dB
    ssim: float
    ssimulacra2: float | None  # 100 for equal pictures, below 0 for bad ones; None for those of a few pixels
    seconds: float | None = None


@dataclass(frozen=True)
class Agreement:
    """A result that is shrunk back, against the picture that it was made of: its PSNR, and where it differs."""

    title: str
    psnr: float  # dB
    levels: np.ndarray  # (H, W) uint8 of the picture: |Y of the one - Y of the other|, as `maps.difference` has it


def judge(title: str, picture: Picture, reference: Picture, scale: int, seconds: float | None = None) -> Score:
    """All numbers of a picture against a reference of the same size."""
    return Score(
        title, *comparison.compare(picture, reference, scale), ssimulacra2_of(picture, reference), seconds=seconds
    )


def ssimulacra2_of(picture: Picture, reference: Picture) -> float | None:
    """SSIMULACRA2 of the middle MOST_SIDE x MOST_SIDE pixels, or all there are; None where those are too few."""
    if min(reference.size) < LEAST_SIDE:
        return None
    return ssimulacra2(_middle(picture), _middle(reference))


def agree(title: str, result: Picture, source: Picture) -> Agreement:
    """How well the result, shrunk back, agrees with the picture that it was made of."""
    off = agreement.deviation(result, source)
    levels = np.abs(off) * (255 / LUMA_RANGE)  # black to white are 255, as on the other maps
    return Agreement(title, agreement.decibels(off), levels.round().clip(0, 255).astype(np.uint8))


def printed(value: float | None, digits: int, unit: str = "") -> str:
    """A number of the table; a dash where there is none."""
    if value is None:
        return "–"
    return "identical" if unit == " dB" and value >= MOST_PSNR else f"{value:.{digits}f}{unit}"


def _middle(picture: Picture) -> Picture:
    w, h = picture.size
    cw, ch = min(w, MOST_SIDE), min(h, MOST_SIDE)
    left, top = (w - cw) // 2, (h - ch) // 2
    alpha = None if picture.alpha is None else picture.alpha[top : top + ch, left : left + cw]
    return Picture(picture.pixels[top : top + ch, left : left + cw], alpha)
