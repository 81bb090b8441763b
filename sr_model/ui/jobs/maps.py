"""Where two pictures differ, as a picture: one scale of colours for all maps of a result."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from sr_model.imaging import images
from sr_model.imaging.images import Picture

# From the reference; from bicubic; of the result, shrunk back, from the picture that it was made of.
ERROR, ADDED, OFF = "error", "added", "off"
KINDS = (ERROR, ADDED, OFF)

STRIP = 256  # rows that are worked on at a time
LEAST_TOP = 8  # levels of 255; less would paint rounding as if it were a difference
TELLING_SHARE = 0.999  # of the pixels are within the scale
SPOT = 16  # pixels: side of the squares among which the greatest difference is looked for
MOST_PIXELS = 2_000_000  # of a map's file; of larger ones each square shows its largest difference
# From black through violet and orange to pale yellow: evenly brighter, and told apart by those who see no red or green.
STOPS = ("#000004", "#280b53", "#65156e", "#9f2a63", "#d44842", "#f57d15", "#fac127", "#fcffa4")


def difference(a: Picture, b: Picture) -> np.ndarray:
    """|Y of a - Y of b| in levels of 255, (H, W) uint8. Both pictures have one size; alpha is laid on white."""
    w, h = a.size
    levels = np.empty((h, w), np.uint8)
    for top, (x, y) in _strips(a, b):
        levels[top : top + len(x)] = np.abs(x - y).round().clip(0, 255)
    return levels


def common_top(maps: list[np.ndarray]) -> int:
    """The level that the brightest colour stands for, so that nearly all of every map is within the scale."""
    return max([LEAST_TOP, *(int(np.ceil(np.quantile(levels[::2, ::2], TELLING_SHARE))) for levels in maps)])


def encode_map(levels: np.ndarray, top: int) -> bytes:
    """A PNG of the map, coloured from 0 to `top`; at most MOST_PIXELS, by the largest of each square."""
    times = int(np.ceil(np.sqrt(levels.size / MOST_PIXELS)))
    if times > 1:
        h, w = levels.shape
        padded = np.pad(levels, ((0, -h % times), (0, -w % times)), mode="edge")
        levels = padded.reshape(padded.shape[0] // times, times, -1, times).max(axis=(1, 3))
    image = Image.fromarray((np.minimum(levels, top) * (255 / top)).round().astype(np.uint8)).convert("P")
    image.putpalette(_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def greatest(levels: np.ndarray) -> tuple[float, float]:
    """(x, y) in parts of the sides: the middle of the square of SPOT pixels whose mean difference is the largest."""
    h, w = levels.shape
    side = min(SPOT, h, w)
    whole = levels[: h - h % side, : w - w % side].reshape(h // side, side, w // side, side)
    means = whole.mean(axis=(1, 3))
    y, x = np.unravel_index(int(np.argmax(means)), means.shape)
    return (float(x) + 0.5) * side / w, (float(y) + 0.5) * side / h


def _strips(a: Picture, b: Picture) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    for top in range(0, a.size[1], STRIP):
        yield top, (_luma(a, top), _luma(b, top))


def _luma(picture: Picture, top: int) -> np.ndarray:
    """Y of BT.601 in full range, so that black to white are 255 levels."""
    rows = slice(top, top + STRIP)
    alpha = None if picture.alpha is None else picture.alpha[rows]
    part = images.without_alpha(Picture(picture.pixels[rows], alpha)).pixels
    levels = part.astype(np.float32) * (255 / np.iinfo(part.dtype).max)
    return levels @ np.array([0.299, 0.587, 0.114], np.float32)


def _palette() -> np.ndarray:
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in STOPS], np.float64)
    at = np.linspace(0, 255, len(stops))
    return np.stack([np.interp(np.arange(256), at, stops[:, c]) for c in range(3)], axis=1).round().astype(np.uint8)
