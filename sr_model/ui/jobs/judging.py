"""How good a result is: against the truth where there is one, and against the picture that it was made of."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from sr_model.evaluation import comparison
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.imaging.metrics import MOST_PSNR, psnr

MOST_SIDE = 720  # pixels that SSIMULACRA2 looks at each way: it takes seconds for each megapixel
LEAST_SIDE = 8  # and needs so many


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
    """PSNR (dB) of a result that is shrunk back, against the picture that it was made of."""

    title: str
    psnr: float


def judge(title: str, picture: Picture, reference: Picture, scale: int, seconds: float | None = None) -> Score:
    """All numbers of a picture against a reference of the same size."""
    return Score(
        title, *comparison.compare(picture, reference, scale), ssimulacra2_of(picture, reference), seconds=seconds
    )


def ssimulacra2_of(picture: Picture, reference: Picture) -> float | None:
    """SSIMULACRA2 of the middle MOST_SIDE x MOST_SIDE pixels, or all there are."""
    from ssimulacra2 import compute_ssimulacra2  # scipy takes a second to load

    w, h = reference.size
    if min(w, h) < LEAST_SIDE:
        return None
    if np.array_equal(picture.pixels, reference.pixels):
        return 100.0
    files = [io.BytesIO(), io.BytesIO()]
    for file, each in zip(files, (reference, picture), strict=True):
        _middle(each).save(file, "BMP")
    return float(compute_ssimulacra2(*files))


def agreement(title: str, result: Picture, source: Picture) -> Agreement:
    """Shrink the result back to the source's size by antialiased bicubic (a = -0.5), and compare their luma."""
    small = _flat(result).resize(source.size, Image.Resampling.BICUBIC)
    x, y = (_luma(image) for image in (small, _flat(source)))
    return Agreement(title, psnr(torch.from_numpy(x), torch.from_numpy(y)))


def printed(value: float | None, digits: int, unit: str = "") -> str:
    """A number of the table; a dash where there is none."""
    if value is None:
        return "–"
    return "identical" if unit == " dB" and value >= MOST_PSNR else f"{value:.{digits}f}{unit}"


def _middle(picture: Picture) -> Image.Image:
    w, h = picture.size
    cw, ch = min(w, MOST_SIDE), min(h, MOST_SIDE)
    left, top = (w - cw) // 2, (h - ch) // 2
    alpha = None if picture.alpha is None else picture.alpha[top : top + ch, left : left + cw]
    return _flat(Picture(picture.pixels[top : top + ch, left : left + cw], alpha))


def _flat(picture: Picture) -> Image.Image:
    """8-bit RGB, laid on white."""
    pixels = images.without_alpha(picture).pixels
    return Image.fromarray(pixels if pixels.dtype == np.uint8 else (pixels / 257).round().astype(np.uint8))


def _luma(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32) @ np.array([65.481, 128.553, 24.966], np.float32) / 255 + 16
