"""A result, shrunk back, is the picture that it was made of, but for what compression explains: a guard, a measure."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.imaging.metrics import luma, psnr
from sr_model.imaging.resampling import bicubic, bicubic_times

WINDOW = 17  # pixels of the small picture: two blocks of a JPEG, whose means are off by a level or two of their own
MARGIN = WINDOW // 2 + 4  # pixels of the small picture that a pixel's correction depends on, in each direction
# Levels of 255 by which single pixels may differ, without and with full strength. Compression and noise themselves are
# below them in 999 of 1,000 pixels (benchmarks/LOG.md).
TOLERANCE = (16, 64)


def agreeing(large: Tensor, small: Tensor, strength: float) -> Tensor:
    """The result (N, 3, s * H, s * W), corrected where, shrunk back, it is not the picture (N, 3, H, W) in [0, 1].

    Means over WINDOW x WINDOW pixels become those of the picture, so colours do not drift; single pixels are moved
    back to within the tolerance of the strength, 0 to 1. What lies beyond black and white is cut off first, as it is in
    the file: on white paper the overshoots beside letters would otherwise hide that the mean has become darker.
    """
    large = large.clamp(0, 1)
    missing = small - bicubic(large, (small.shape[-2], small.shape[-1]))
    means = _means(_means(missing, WINDOW, 1), 1, WINDOW)  # as of squares, in a sixth of the time
    most = (TOLERANCE[0] + (TOLERANCE[1] - TOLERANCE[0]) * strength) / 255
    rest = missing - means
    return large + bicubic_times(means + rest - rest.clamp(-most, most), large.shape[-1] // small.shape[-1])


def _means(x: Tensor, h: int, w: int) -> Tensor:
    """Over h x w pixels, both odd, or as many of them as there are."""
    return F.avg_pool2d(x, (h, w), stride=1, padding=(h // 2, w // 2), count_include_pad=False)


def deviation(large: Picture, small: Picture) -> np.ndarray:
    """(H, W) float32: how far a result is off from the W x H picture it is of, in levels of luma (BT.601, 16 to 235).

    The result is shrunk back by antialiased bicubic (a = -0.5); alpha is laid on white.
    """
    shrunk = _flat(large).resize(small.size, Image.Resampling.BICUBIC)
    x, y = (luma(images.to_tensor(np.asarray(image)))[0, 0].numpy() for image in (shrunk, _flat(small)))
    off: np.ndarray = (x - y).astype(np.float32)
    return off


def decibels(off: np.ndarray) -> float:
    """PSNR of a `deviation`, at most 80: the agreement of a result with its picture."""
    x = torch.from_numpy(off)
    return psnr(x, torch.zeros_like(x))


def _flat(picture: Picture) -> Image.Image:
    return images.to_pil(Picture(images.without_alpha(picture).pixels))  # 8-bit RGB
