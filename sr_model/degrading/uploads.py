"""High -> low resolution as the files have it that people upload: shrunk, perhaps blurred, noisy, and compressed.

In the web's usual order, and never shuffled: resize, blur, noise, one or two lossy files. Encoders are Pillow's own.
`light` and `heavy` are what the two outer sets of weights of the preset `photo` learn; most draws are mild.
"""

import math
from dataclasses import dataclass

import numpy as np

from sr_model.degrading.degradation_steps import Blur, Jpeg, Noise, Resize, Step, WebP

KERNELS = {"bicubic": 0.7, "lanczos": 0.1, "area": 0.1, "bilinear": 0.1}  # by share
HALVED_SHARE = 0.7  # of the JPEGs: colour at half the resolution
WEBP_SHARE = 0.15  # of the compressed
MOVED_SHARE = 0.3  # of the files: their grid of blocks is not where the picture begins
GREY_NOISE_SHARE = 0.3


@dataclass(frozen=True)
class Range:
    """Shares of pictures that something happens to, and from what to what it is drawn."""

    clean: float  # share: shrunk by bicubic and nothing else
    quality: tuple[int, int]  # of the file; half of the draws lie in the upper third
    blur: float
    sigma: tuple[float, float]  # pixels of the low resolution, log-uniform
    noise: float
    deviation: tuple[float, float]  # levels of 255, log-uniform
    noisy_quality: tuple[int, int]  # of noisy pictures, as cameras save them
    twice: float  # share of the compressed: there was another file before, of any quality from the lowest to 95


RANGES = {
    "light": Range(
        clean=0.15,
        quality=(80, 98),
        blur=0.15,
        sigma=(0.2, 0.5),
        noise=0.15,
        deviation=(0.5, 2.0),
        noisy_quality=(80, 98),
        twice=0.1,
    ),
    "heavy": Range(
        clean=0.03,
        quality=(30, 80),
        blur=0.2,
        sigma=(0.2, 1.2),
        noise=0.3,
        deviation=(1.0, 10.0),
        noisy_quality=(40, 95),
        twice=0.25,
    ),
}


def draw(height: int, width: int, scale: int, limits: Range, rng: np.random.Generator) -> list[Step]:
    """Draw what happens to a picture of so many pixels, in its order. Raises ValueError where `scale` divides no side.

    At scale 1 nothing is resized.
    """
    if height % scale or width % scale:
        raise ValueError(f"{width}x{height} is not a multiple of {scale}; call crop_to_multiple first")
    low = (height // scale, width // scale)
    if rng.random() < limits.clean:
        return [Resize(low, "bicubic")] if scale > 1 else []
    steps: list[Step] = []
    if scale > 1:
        steps.append(Resize(low, str(rng.choice(list(KERNELS), p=list(KERNELS.values())))))
    if rng.random() < limits.blur:
        sigma = _log_uniform(*limits.sigma, rng)
        steps.append(Blur(sigma, sigma, 0.0))
    quality = limits.quality
    if rng.random() < limits.noise:
        grey = bool(rng.random() < GREY_NOISE_SHARE)
        steps.append(Noise(_log_uniform(*limits.deviation, rng), 0.0, grey, int(rng.integers(2**32))))
        quality = limits.noisy_quality
    if rng.random() < limits.twice:
        steps.append(_draw_file((quality[0], 95), rng))
    steps.append(_draw_file(quality, rng))
    return steps


def _draw_file(quality: tuple[int, int], rng: np.random.Generator) -> Jpeg | WebP:
    least, most = quality
    drawn = round(most - (most - least) * rng.random() ** 1.6)
    moved = rng.random() < MOVED_SHARE
    shift = (int(rng.integers(8)), int(rng.integers(8))) if moved else (0, 0)
    if rng.random() < WEBP_SHARE:
        return WebP(drawn, shift)
    return Jpeg(drawn, bool(rng.random() < HALVED_SHARE), shift)


def _log_uniform(least: float, most: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(least), math.log(most)))
