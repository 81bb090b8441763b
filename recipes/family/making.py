"""Workers that make low patches of photos in the ways of sr_model/degrading, while the GPU does other things."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from recipes.family.pixels import MadeCuts, Plane
from sr_model.degrading.degradations import make_low
from sr_model.errors import DataError
from sr_model.imaging import images

MARGIN = 8  # low-resolution pixels around a patch, as degradation looks past its border
Mode = Literal["r", "r+", "w+"]
KINDS = ("heavy", "light")
SIDES = {1: 64, 2: 64, 3: 48, 4: 48}  # of the low patches, by scale


@dataclass(frozen=True)
class Store:
    """Files in a folder, best in memory, that workers fill: for each degradation and scale `count` patches."""

    folder: Path
    count: int

    def low(self, kind: str, scale: int, mode: Mode = "r+") -> np.ndarray:
        """(count, P, P, 4) uint8; the last channel is 0."""
        side = SIDES[scale]
        return np.memmap(self.folder / f"{kind}-{scale}.low", np.uint8, mode, shape=(self.count, side, side, 4))

    def place(self, kind: str, scale: int, mode: Mode = "r+") -> np.ndarray:
        """(count, 2) int64: where the high patch begins in `photos`, and its photo's width; 0 until it is made."""
        return np.memmap(self.folder / f"{kind}-{scale}.place", np.int64, mode, shape=(self.count, 2))

    def cuts(self, high: Plane, kind: str, scale: int) -> MadeCuts:
        """What has been made so far."""
        place = self.place(kind, scale, "r")
        made = np.flatnonzero(place[:, 1])
        return MadeCuts(high, self.low(kind, scale, "r")[made], place[made], scale)


@contextmanager
def making(store: Store, photos: Plane, scales: list[int], workers: int) -> Iterator[None]:
    """Fill the store, until it is full or the block ends. Raises DataError if all photos are too small."""
    store.folder.mkdir(parents=True, exist_ok=True)
    photos.pixels.cpu().numpy().tofile(store.folder / "photos")
    table = np.stack([t.cpu().numpy() for t in (photos.offset, photos.width, photos.height)], 1)
    least = max(_whole(scale) for scale in scales)
    if table[:, 1:].min(1).max() < least:
        raise DataError(f"No photo has {least} pixels on each side, as many as a degraded patch needs.")
    for kind in KINDS:
        for scale in scales:
            store.low(kind, scale, "w+")
            store.place(kind, scale, "w+")
    context = multiprocessing.get_context("spawn")  # a fork of a process that uses CUDA is broken
    processes = [context.Process(target=_work, args=(store, table, scales, i, workers)) for i in range(workers)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _work(store: Store, table: np.ndarray, scales: list[int], worker: int, workers: int) -> None:
    torch.set_num_threads(1)
    pixels = np.memmap(store.folder / "photos", np.uint8, "r").reshape(-1, 4)
    rng = np.random.default_rng((7, worker))
    files = {(k, s): (store.low(k, s), store.place(k, s)) for k in KINDS for s in scales}
    for slot in range(worker, store.count, workers):
        for (kind, scale), (low, place) in files.items():
            side = SIDES[scale]
            start, width, around = _draw(table, _whole(scale), MARGIN * scale, rng)
            high = np.ascontiguousarray(_square(pixels, around, width, _whole(scale)))
            made = images.to_array(make_low(images.to_tensor(high), scale, kind, rng))
            low[slot, :, :, :3] = made[MARGIN : MARGIN + side, MARGIN : MARGIN + side]
            place[slot] = start, width


def _whole(scale: int) -> int:
    """Side of a patch with its surroundings, in high-resolution pixels."""
    return (SIDES[scale] + 2 * MARGIN) * scale


def _draw(table: np.ndarray, whole: int, margin: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """(where the patch begins, its photo's width, where its surroundings of `whole` pixels a side begin)."""
    usable = table[table[:, 1:].min(1) >= whole]
    areas = np.cumsum(usable[:, 1] * usable[:, 2])
    offset, width, height = (int(v) for v in usable[np.searchsorted(areas, rng.random() * areas[-1], side="right")])
    around = offset + int(rng.integers(height - whole + 1)) * width + int(rng.integers(width - whole + 1))
    return around + margin * width + margin, width, around


def _square(pixels: np.ndarray, start: int, width: int, side: int) -> np.ndarray:
    rows = start + width * np.arange(side)
    return pixels[rows[:, None] + np.arange(side), :3]
