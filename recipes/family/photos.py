"""Photos of folders -> planes of pixels on the device."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recipes.family.pixels import Plane, resized, shrunk
from sr_model.imaging import images

REDUCED = (0.5, 0.85)  # each photo is there a second time, so many times as large and therefore sharper
LEAST_SIDE = 200  # pixels of a reduced photo


def decoded(paths: Sequence[Path]) -> list[np.ndarray]:
    """(H, W, 3) uint8 of each file, on white where it is transparent."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        return list(pool.map(_decode, paths, chunksize=8))


def _decode(path: Path) -> np.ndarray:
    pixels = images.without_alpha(images.load(path)).pixels
    return pixels if pixels.dtype == np.uint8 else images.to_array(images.to_tensor(pixels))


def planes(photos: Sequence[np.ndarray], scales: Sequence[int], device: torch.device) -> tuple[Plane, dict[int, Plane]]:
    """The photos and, by scale, the photos shrunk."""
    rng = np.random.default_rng(1)
    high: list[Tensor] = []
    for pixels in photos:
        photo = torch.from_numpy(pixels.copy()).to(device)
        high.append(photo)
        factor = rng.uniform(*REDUCED)
        height, width = round(photo.shape[0] * factor), round(photo.shape[1] * factor)
        if min(height, width) >= LEAST_SIDE:
            high.append(resized(photo, (height, width)))
    return Plane.of(high), {scale: Plane.of([shrunk(photo, scale) for photo in high]) for scale in scales if scale > 1}
