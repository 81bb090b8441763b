"""The ways to make a picture's low resolution, by the names that train.py knows them by."""

import numpy as np
from torch import Tensor

from sr_model import photo_degradation
from sr_model.degrade import shrink, soften

DEGRADATIONS = ("bicubic", "photo")
SOFTENED = (2, 4)  # at scale 1 by bicubic: the low resolution was once so many times smaller


def make_low(high: Tensor, scale: int, degradation: str, rng: np.random.Generator) -> Tensor:
    """The low resolution of (1, 3, H, W), both multiples of the scale, rounded to 8 bits.

    `bicubic` shrinks by bicubic or, at scale 1, softens by one of SOFTENED at random; `photo` is
    photo_degradation.photo.
    """
    if degradation == "photo":
        return photo_degradation.photo(high, scale, rng)
    if scale == 1:
        return soften(high, int(rng.choice(SOFTENED)))
    return shrink(high, scale)
