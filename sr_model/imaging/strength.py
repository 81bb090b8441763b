"""How strongly a picture needs repair, from what its file says and what its pixels show."""

import numpy as np

from sr_model.imaging.images import Picture, mean_channel, without_alpha

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
STANDARD_SUM = 3688  # of libjpeg's luma table at quality 50; all others are multiples of that table
BLOCK = 8

# From what is seen to the strength, piecewise linear; chosen on photos held out of training (benchmarks/LOG.md).
QUALITY = ((30, 50, 75, 90, 98, 100), (1.0, 1.0, 0.75, 0.5, 0.125, 0.0))  # of a JPEG
WEBP = ((0, 5, 26, 43, 53, 65, 92), (0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 1.0))  # of a WebP's quantizer
COLOUR_NOISE = ((2.2, 3.5, 8.0), (0.0, 0.7, 1.0))  # levels; clean photos reach 2.1, most of them 0.5
LUMA_NOISE = ((2.3, 3.1, 4.6), (0.0, 0.7, 1.0))  # levels; fur and grass reach 12, so it counts only for what follows
MOST_FOR_LUMA = 0.35  # what noise in luma can add where colours do not tell it from texture: in JPEGs and grey pictures
TRACES = ((0.12, 0.38, 0.56, 0.74, 0.82), (0.0, 0.25, 0.5, 0.75, 1.0))  # of a JPEG in another format

PART = 384  # pixels of the centre that are looked at
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
    h, w = luma.shape
    if min(h, w) < 4 * BLOCK:
        return 0.0
    top, left = max(0, h - PART) // 2, max(0, w - PART) // 2
    y = luma[top : top + PART, left : left + PART].astype(np.float32)
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


def find_strength(picture: Picture) -> float:
    """The strength, 0 to 1, that the preset `photo` takes for a picture: 0 if it shows no compression and no noise."""
    flat = without_alpha(picture).pixels
    levels = flat.astype(np.float32) * (255 / np.iinfo(flat.dtype).max)
    grey = mean_channel(flat).astype(np.float32) * (255 / np.iinfo(flat.dtype).max)
    in_luma = min(MOST_FOR_LUMA, float(np.interp(noise_level(grey), *LUMA_NOISE)))
    if picture.jpeg_tables:
        return min(1.0, in_luma + float(np.interp(jpeg_quality(picture.jpeg_tables), *QUALITY)))
    if picture.webp_quantizer is not None:
        return min(1.0, in_luma + float(np.interp(picture.webp_quantizer, *WEBP)))
    compressed = float(np.interp(jpeg_traces(levels @ LUMA), *TRACES))
    if np.array_equal(flat[..., 0], flat[..., 1]):  # grey, whether the file says so or not
        return max(in_luma, compressed)
    # Red and green have the same texture, and noise of their own.
    difference = (levels[..., 0] - levels[..., 1]) / np.sqrt(2)
    return max(compressed, float(np.interp(noise_level(difference), *COLOUR_NOISE)))
