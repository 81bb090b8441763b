"""How strongly a picture needs repair, from what its file says and what its pixels show."""

import numpy as np

from sr_model.imaging.images import Picture, mean_channel, without_alpha

STANDARD_SUM = 3688  # of libjpeg's luma table at quality 50; all others are multiples of that table
BLOCK = 8

# From what is seen to the strength, piecewise linear; chosen on photos held out of training (benchmarks/LOG.md).
QUALITY = ((30, 50, 75, 90, 98, 100), (1.0, 1.0, 0.75, 0.5, 0.125, 0.0))  # of a JPEG
COLOUR_NOISE = ((2.2, 3.5, 8.0), (0.0, 0.7, 1.0))  # levels; clean photos reach 2.1, most of them 0.5
LUMA_NOISE = ((2.3, 3.1, 4.6), (0.0, 0.7, 1.0))  # levels; fur and grass reach 12, so it counts only for what follows
MOST_FOR_LUMA = 0.35  # what noise in luma can add to the strength of a JPEG, whose colours are smoothed
BLOCKS = ((1.2, 1.5), (0.0, 0.8))


def jpeg_quality(tables: tuple[tuple[int, ...], ...]) -> float:
    """The quality, 1 to 100, at which libjpeg's luma table comes closest to a file's."""
    # Sums do not depend on the order of a table's numbers, which Pillow has changed over time.
    percent = 100 * sum(tables[0]) / STANDARD_SUM
    return float(np.clip((200 - percent) / 2 if percent <= 100 else 5000 / percent, 1, 100))


def blockiness(grey: np.ndarray) -> float:
    """How much larger steps across the edges of 8x8 blocks are than between other pixels; about 1 if there are none.

    (H, W) levels. The grid may begin anywhere. Pictures below 4 blocks a side give 1.
    """
    if min(grey.shape) < 4 * BLOCK:
        return 1.0
    ratios = []
    for axis in (0, 1):
        x = np.moveaxis(grey.astype(np.float32), axis, 0)
        # What a step has beyond those beside it: edges of the scene are wider than one pixel.
        steps = np.abs(x[1:] - x[:-1])
        own = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
        level = float(np.mean(steps)) + 0.5
        by_phase = [float(np.mean(own[phase::BLOCK])) / level for phase in range(BLOCK)]
        ratios.append(max(by_phase) - float(np.median(by_phase)))
    return 1 + min(ratios)


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
    if picture.jpeg_tables:
        noise = float(np.interp(noise_level(grey), *LUMA_NOISE))
        quality = float(np.interp(jpeg_quality(picture.jpeg_tables), *QUALITY))
        return min(1.0, quality + min(noise, MOST_FOR_LUMA))
    if np.array_equal(flat[..., 0], flat[..., 1]):  # grey, whether the file says so or not
        noise = float(np.interp(noise_level(grey), *LUMA_NOISE))
    else:
        # Red and green have the same texture, and noise of their own.
        difference = (levels[..., 0] - levels[..., 1]) / np.sqrt(2)
        noise = float(np.interp(noise_level(difference), *COLOUR_NOISE))
    return max(noise, float(np.interp(blockiness(grey), *BLOCKS)))
