"""How strongly a picture needs repair, from what its file says and what its pixels show."""

import numpy as np

from sr_model.imaging.images import Picture, without_alpha

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
STANDARD_SUM = 3688  # of libjpeg's luma table at quality 50; all others are multiples of that table
BLOCK = 8

# From what is seen to the strength, piecewise linear; chosen on photos held out of training (benchmarks/LOG.md).
QUALITY = ((30, 50, 75, 90, 98, 100), (1.0, 1.0, 0.8, 0.5, 0.125, 0.0))  # of a JPEG
WEBP = ((0, 5, 26, 43, 53, 65, 92), (0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 1.0))  # of a WebP's quantizer
COLOUR_NOISE = ((2.2, 3.5, 8.0), (0.0, 0.7, 1.0))  # levels; clean photos reach 2.1, most of them 0.5
LUMA_NOISE = ((2.3, 3.1, 4.6), (0.0, 0.7, 1.0))  # levels; fur and grass reach 12, so it counts only for what follows
MOST_FOR_LUMA = 0.35  # of noise in luma, where neither colours nor compression say more: in grey pictures
# Noise in the luma of JPEGs and WebPs, in levels: which part of what is missing to 1 is added. How much of that counts,
# by the noise at half the size as a multiple of it: fur and grass have twice as much there and more.
FILE_NOISE = ((1.6, 2.6), (0.0, 1.0))
TEXTURE = ((1.3, 2.1, 2.5), (1.0, 0.7, 0.0))
# The most for a compressed picture, by its sharpness: what is soft was often so in the original, and full strength has
# learned to undo blur, which then makes it worse than bicubic does.
SOFT = ((0.50, 0.62), (0.8, 1.0))
TRACES = ((0.12, 0.38, 0.56, 0.74, 0.82), (0.0, 0.25, 0.5, 0.75, 1.0))  # of a JPEG in another format

PART = 384  # pixels of the centre that are looked at for traces and sharpness
STEEPEST = 0.01  # of a picture's edges say how sharp it is
LEAST_EDGE = 16  # levels
BUSY = 256  # energy of a block without its mean
_ORDER = np.arange(BLOCK)
_DCT = np.cos((2 * _ORDER + 1) * _ORDER[:, None] * np.pi / (2 * BLOCK)).astype(np.float32) / 2
_DCT[0] /= np.float32(np.sqrt(2))
_FINE = _ORDER + _ORDER[:, None] >= 5


def jpeg_quality(tables: tuple[tuple[int, ...], ...]) -> float:
    """The quality, 1 to 100, at which libjpeg's luma table comes closest to a file's."""
    # Sums do not depend on the order of a table's numbers, which Pillow has changed over time.
    percent = 100 * sum(tables[0]) / STANDARD_SUM
    return float(np.clip((200 - percent) / 2 if percent <= 100 else 5000 / percent, 1, 100))


def jpeg_traces(luma: np.ndarray) -> float:
    """How much a grid of 8x8 blocks stands out by its lack of fine detail, 0 to 1; (H, W) levels of BT.601's Y.

    JPEG rounds most of the fine coefficients of its blocks to 0, which stays so in a picture decoded, cut and saved
    in another format. In blocks that begin elsewhere they are not 0. Clean photos have at most 0.11, JPEGs of quality
    95 at least 0.17. Pictures below 4 blocks a side give 0.
    """
    if min(luma.shape) < 4 * BLOCK:
        return 0.0
    y = _centre(luma)
    shares = []
    for phase in np.ndindex(BLOCK, BLOCK):
        x = y[phase[0] :, phase[1] :]
        rows, columns = x.shape[0] // BLOCK, x.shape[1] // BLOCK
        blocks = x[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
        coefficients = _DCT @ blocks @ _DCT.T
        # Flat blocks say nothing: they have no detail in any grid.
        busy = np.square(coefficients).sum((2, 3)) - np.square(coefficients[..., 0, 0]) > BUSY
        if busy.sum() >= 4:
            shares.append(float(np.mean(np.abs(coefficients[busy][:, _FINE]) < 1)))
    if not shares:
        return 0.0
    usual = float(np.median(shares))
    return (max(shares) - usual) / (1 - usual) if usual < 1 else 0.0


def noise_level(plane: np.ndarray) -> float:
    """The standard deviation of noise in levels, from where the picture is flattest; (H, W) levels."""
    if min(plane.shape) < 4 * BLOCK:
        return 0.0
    x = plane.astype(np.float32)
    # Scenes have little along both diagonals; of white noise this has the standard deviation.
    high = (x[:-1, :-1] - x[1:, :-1] - x[:-1, 1:] + x[1:, 1:]) / 2
    h, w = (side // BLOCK * BLOCK for side in high.shape)
    blocks = high[:h, :w].reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    return float(np.percentile(blocks.std((1, 3)), 15))


def sharpness(luma: np.ndarray) -> float:
    """How much of a steep edge lies between two pixels: of its height over four, 0.33 to 1; (H, W) levels of Y.

    Of the steepest edges it is what one in five exceeds. Most sharp photos have 0.6 at least, whatever their JPEG
    quality; those with a blur of sigma 0.8 have 0.52 at most. Pictures without edges count as sharp.
    """
    heights, shares = [], []
    for y in (_centre(luma), _centre(luma).T):
        step = np.diff(y, axis=1)
        before, middle, after = step[:, :-2], step[:, 1:-1], step[:, 2:]
        size = np.abs(middle)
        rising = (before * middle >= 0) & (after * middle >= 0)
        edge = rising & (size >= np.abs(before)) & (size >= np.abs(after))
        height = np.abs(before + middle + after)[edge]
        heights.append(height)
        shares.append(size[edge] / np.maximum(height, 1))
    height, share = np.concatenate(heights), np.concatenate(shares)
    steepest = np.argsort(height)[-max(20, round(STEEPEST * len(height))) :]
    steepest = steepest[height[steepest] >= LEAST_EDGE]
    return float(np.percentile(share[steepest], 80)) if len(steepest) else 1.0


def find_strength(picture: Picture) -> float:
    """The strength, 0 to 1, that the preset `photo` takes for a picture: 0 if it shows no compression and no noise."""
    flat = without_alpha(picture).pixels
    levels = flat.astype(np.float32) * (255 / np.iinfo(flat.dtype).max)
    luma = levels @ LUMA
    compressed = _compressed(picture, luma)
    if compressed:
        compressed = min(compressed, float(np.interp(sharpness(luma), *SOFT)))
    if picture.jpeg_tables or picture.webp_quantizer is not None:
        return compressed + (1 - compressed) * _noise_in_file(luma)
    if np.array_equal(flat[..., 0], flat[..., 1]):  # grey, whether the file says so or not
        return max(compressed, min(MOST_FOR_LUMA, float(np.interp(noise_level(luma), *LUMA_NOISE))))
    # Red and green have the same texture, and noise of their own.
    difference = (levels[..., 0] - levels[..., 1]) / np.sqrt(2)
    return max(compressed, float(np.interp(noise_level(difference), *COLOUR_NOISE)))


def _compressed(picture: Picture, luma: np.ndarray) -> float:
    if picture.jpeg_tables:
        return float(np.interp(jpeg_quality(picture.jpeg_tables), *QUALITY))
    if picture.webp_quantizer is not None:
        return float(np.interp(picture.webp_quantizer, *WEBP))
    return float(np.interp(jpeg_traces(luma), *TRACES))


def _noise_in_file(luma: np.ndarray) -> float:
    """How noisy a compressed picture is, 0 to 1: its colours, which JPEG halves, do not tell noise from texture."""
    level = noise_level(luma)
    if level <= FILE_NOISE[0][0]:
        return 0.0
    h, w = (side // 2 * 2 for side in luma.shape)
    half = luma[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3))
    return float(np.interp(level, *FILE_NOISE) * np.interp(noise_level(half) / level, *TEXTURE))


def _centre(plane: np.ndarray) -> np.ndarray:
    top, left = (max(0, side - PART) // 2 for side in plane.shape)
    return plane[top : top + PART, left : left + PART].astype(np.float32)
