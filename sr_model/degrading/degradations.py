"""High -> low resolution as photos of phones and pictures of the web have it: blur, resizing, noise and JPEG.

In the spirit of BSRGAN (Zhang et al. 2021), which shuffles the operations, and Real-ESRGAN (Wang et al. 2021), with
milder ranges: a person should still find the result worth enlarging. Each operation is applied to a share of the
pictures, so about one picture in thirty stays clean and equals `resampling.shrink`.

| operation | share | what is drawn |
|---|---|---|
| blur | 0.6 | Gaussian, sigma 0.2 to 0.9 low-resolution pixels; half of them with two sigmas, turned by any angle |
| resizing on a detour | 0.5 | first to 0.7 low sides (at scale 1: 0.3) up to the high side; each by bilinear, bicubic |
| | | or, where it shrinks, area. All others are resized once, by bicubic |
| sensor noise | 0.5 | shot noise of 1 to 10 levels of 255, read noise up to 0.001 of white; 0.4 of them grey |
| JPEG | 0.4 | quality 45 to 95, colour halved (4:2:0) or full (4:4:4) |
| JPEG once more | 0.5 | the same, always last: as it is saved or uploaded |

All but the last are applied in random order, so each may see the picture before, between or after the resizes. Sigmas
and sides are drawn log-uniformly, so mild ones are as likely as strong ones. Nothing shifts the picture: kernels are
symmetric, and each resize maps the whole extent to the whole extent.
"""

import math

import numpy as np
from torch import Tensor

from sr_model.degrading import uploads
from sr_model.degrading.degradation_steps import FILTERS, Blur, Jpeg, Noise, Resize, Step
from sr_model.imaging.resampling import shrink, soften, to_8bit

BLUR_SHARE = 0.6
BLUR_SIGMA = (0.2, 0.9)  # pixels of the low resolution
BLUR_TURNED_SHARE = 0.5  # of the blurred: with two sigmas

DETOUR_SHARE = 0.5
DETOUR_LEAST = 0.7  # times the low side; the most is the high side
DETOUR_LEAST_AT_SCALE_1 = 0.3  # where shrinking and enlarging again is all that is lost

NOISE_SHARE = 0.5
SHOT_NOISE = (1.0, 10.0)  # levels of 255: standard deviation in the file, the same at all tones
READ_NOISE = (0.0, 0.001)  # standard deviation in light, where white is 1: seen in the shadows
NOISE_GREY_SHARE = 0.4  # of the noisy: the same in all channels, as cameras leave it that remove colour noise

JPEG_SHARE = 0.4
SAVED_SHARE = 0.5
JPEG_QUALITY = (45, 95)  # Pillow's
JPEG_HALVED_SHARE = 0.7  # of the JPEGs: colour at half the resolution


def photo(high: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
    """Make the low resolution of a photo by random operations; `rng` is the only source of randomness.

    (1, 3, H, W) in [0, 1] -> (1, 3, H / scale, W / scale), rounded to 8 bits. `scale` must divide H and W. At scale 1
    the picture keeps its size, and may have been smaller in between.
    """
    h, w = high.shape[-2:]
    return apply(high, draw(h, w, scale, rng))


def apply(high: Tensor, steps: list[Step]) -> Tensor:
    """Apply the steps that `draw` returned, and round to 8 bits."""
    low = high.contiguous()  # other memory layouts round differently when resized
    for step in steps:
        low = step(low)
    return to_8bit(low)


def draw(height: int, width: int, scale: int, rng: np.random.Generator) -> list[Step]:
    """Draw the operations that `photo` does to a picture, in their order."""
    if height % scale or width % scale:
        raise ValueError(f"{width}x{height} is not a multiple of {scale}; call crop_to_multiple first")
    low = (height // scale, width // scale)
    resizes = _draw_resizes(low, scale, rng)
    kinds = ["resize"] * len(resizes)
    for kind, share in (("blur", BLUR_SHARE), ("noise", NOISE_SHARE), ("jpeg", JPEG_SHARE)):
        if rng.random() < share:
            kinds.append(kind)

    steps: list[Step] = []
    side = float(scale)  # how many times larger than the low resolution the picture is by now
    for kind in rng.permutation(kinds):
        if kind == "resize":
            resize = resizes.pop(0)
            side = resize.size[1] / low[1]
            steps.append(resize)
        elif kind == "blur":
            steps.append(_draw_blur(side, rng))
        elif kind == "noise":
            steps.append(_draw_noise(rng))
        else:
            steps.append(_draw_jpeg(rng))
    if rng.random() < SAVED_SHARE:
        steps.append(_draw_jpeg(rng))
    return steps


def _draw_resizes(low: tuple[int, int], scale: int, rng: np.random.Generator) -> list[Resize]:
    if rng.random() >= DETOUR_SHARE:
        return [Resize(low, "bicubic")] if scale > 1 else []
    least = DETOUR_LEAST if scale > 1 else DETOUR_LEAST_AT_SCALE_1
    factor = _log_uniform(least, scale, rng)
    between = (max(1, round(low[0] * factor)), max(1, round(low[1] * factor)))
    # Area resampling would enlarge pixels to blocks.
    last = FILTERS if factor > 1 else FILTERS[1:]
    return [Resize(between, str(rng.choice(FILTERS))), Resize(low, str(rng.choice(last)))]


def _draw_blur(side: float, rng: np.random.Generator) -> Blur:
    sigma_a = sigma_b = side * _log_uniform(*BLUR_SIGMA, rng)
    if rng.random() < BLUR_TURNED_SHARE:
        sigma_b = side * _log_uniform(*BLUR_SIGMA, rng)
    return Blur(sigma_a, sigma_b, rng.uniform(0, math.pi))


def _draw_noise(rng: np.random.Generator) -> Noise:
    shot, read = _log_uniform(*SHOT_NOISE, rng), rng.uniform(*READ_NOISE)
    return Noise(shot, read, bool(rng.random() < NOISE_GREY_SHARE), int(rng.integers(2**32)))


def _draw_jpeg(rng: np.random.Generator) -> Jpeg:
    return Jpeg(int(rng.integers(*JPEG_QUALITY, endpoint=True)), bool(rng.random() < JPEG_HALVED_SHARE))


def _log_uniform(least: float, most: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(least), math.log(most)))


DEGRADATIONS = ("bicubic", "photo", *uploads.RANGES)
SOFTENED = (2, 4)  # at scale 1 by bicubic: the low resolution was once so many times smaller


def make_low(high: Tensor, scale: int, degradation: str, rng: np.random.Generator) -> Tensor:
    """The low resolution of (1, 3, H, W), both multiples of the scale, rounded to 8 bits.

    `bicubic` shrinks by bicubic or, at scale 1, softens by one of SOFTENED at random; `photo` is the function of this
    name; `light` and `heavy` are those of uploads.py.
    """
    if degradation == "photo":
        return photo(high, scale, rng)
    if degradation in uploads.RANGES:
        h, w = high.shape[-2:]
        return apply(high, uploads.draw(h, w, scale, uploads.RANGES[degradation], rng))
    if scale == 1:
        return soften(high, int(rng.choice(SOFTENED)))
    return shrink(high, scale)
