"""Augmentation: pure functions of pixels and of numbers drawn beforehand.

Low and high resolution are always changed together, by the same numbers.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sr_model.errors import ConfigError

CHOICES = ("rotation", "scale", "colour")  # besides flips and quarter turns, which are always applied
MAX_ANGLE = 45.0  # degrees; quarter turns do the rest
REDUCED = 0.5  # share of the patches that "scale" makes sharper; the rest show photos as they are
MIN_FACTOR = 0.5
BRIGHTNESS, CONTRAST, SATURATION = 0.1, 0.2, 0.3  # drawn from 1 - x to 1 + x; brightness is added, in parts of white
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601


def parse(text: str) -> tuple[str, ...]:
    """ "rotation,colour" -> the names. Raises ConfigError for a name that is not in CHOICES."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in CHOICES:
            raise ConfigError(f"--augment: there is no {name!r}; choose from: {', '.join(CHOICES)}.")
    return names


@dataclass(frozen=True)
class Warp:
    """A rotation and a reduction about the centre."""

    angle: float = 0.0  # degrees
    factor: float = 1.0  # MIN_FACTOR to 1

    @property
    def stretch(self) -> float:
        """How many times larger the source square must be for the warped result to fill an upright square."""
        angle = np.deg2rad(self.angle)
        return float(abs(np.cos(angle)) + abs(np.sin(angle))) / self.factor

    @property
    def is_identity(self) -> bool:
        return self == Warp()


def draw_warp(rng: np.random.Generator, names: Collection[str]) -> Warp:
    """Draw a warp; names that are not asked for use up no random numbers."""
    angle = float(rng.uniform(-MAX_ANGLE, MAX_ANGLE)) if "rotation" in names else 0.0
    factor = 1.0
    if "scale" in names and rng.random() < REDUCED:
        factor = float(rng.uniform(MIN_FACTOR, 1))
    return Warp(angle, factor)


def warp(pixels: np.ndarray, change: Warp, reduced: int, side: int) -> np.ndarray:
    """(N, N, 3) uint8 -> (side, side, 3): shrunk to `reduced` pixels a side and rotated, by bicubic, then cropped."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if reduced != image.width:
        image = image.resize((reduced, reduced), Image.Resampling.BICUBIC)
    if change.angle:
        image = image.rotate(change.angle, Image.Resampling.BICUBIC)
    start = (reduced - side) // 2
    return np.asarray(image)[start : start + side, start : start + side]


@dataclass(frozen=True)
class Colour:
    """A change of brightness, contrast and saturation."""

    brightness: float
    contrast: float
    saturation: float

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> the same, changed."""
        x = pixels.astype(np.float32) / 255
        grey = (x @ LUMA)[..., None]
        x = grey + (x - grey) * self.saturation
        x = 0.5 + (x - 0.5) * self.contrast + self.brightness
        return (x.clip(0, 1) * 255).round().astype(np.uint8)


def draw_colour(rng: np.random.Generator) -> Colour:
    return Colour(
        float(rng.uniform(-BRIGHTNESS, BRIGHTNESS)),
        float(rng.uniform(1 - CONTRAST, 1 + CONTRAST)),
        float(rng.uniform(1 - SATURATION, 1 + SATURATION)),
    )


def turn(pixels: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    """Quarter turns, then a flip from left to right."""
    pixels = np.rot90(pixels, turns)
    return pixels[:, ::-1] if mirrored else pixels
