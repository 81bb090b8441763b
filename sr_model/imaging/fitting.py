"""Pictures at any other size."""

from dataclasses import replace

import numpy as np
from PIL import Image

from sr_model.imaging import images
from sr_model.imaging.images import Picture


def fit(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture shrunk to (width, height) by Lanczos, alpha and 16 bits kept; itself where it has that size."""
    if picture.size == size:
        return picture
    alpha = None if picture.alpha is None else resized(picture.alpha, size)
    picture = images.bleed_colours(picture)
    channels = [resized(picture.pixels[..., c], size) for c in range(3)]
    return replace(picture, pixels=np.stack(channels, axis=2), alpha=alpha)


def resized(
    channel: np.ndarray, size: tuple[int, int], method: Image.Resampling = Image.Resampling.LANCZOS
) -> np.ndarray:
    """(H, W) uint8 or uint16 at another (width, height)."""
    if channel.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(channel)).resize(size, method))
    large = np.asarray(Image.fromarray(channel.astype(np.float32)).resize(size, method))
    return large.clip(0, np.iinfo(channel.dtype).max).round().astype(channel.dtype)
