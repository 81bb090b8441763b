"""Folders of photos -> pairs of patches (low, high) for training, and whole pictures for validation."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sr_model import degrade, images
from sr_model.errors import DataError, ImageError

T = TypeVar("T")

VALIDATION_PICTURES = 48  # at most this many are validated on, evenly spread over the sorted names
VALIDATION_SIDE = 512  # pixels: only the centre of larger ones
MAX_CORRUPT_SHARE = 0.01


@dataclass(frozen=True)
class Photo:
    """One picture, decoded once: uint8 RGB, `high` (H, W, 3) and `low` (H / scale, W / scale, 3)."""

    set_name: str
    high: np.ndarray
    low: np.ndarray


@dataclass(frozen=True)
class ListedFile:
    """A picture's path and the name of the set that it belongs to, for the model card."""

    path: Path
    set_name: str


def list_photos(folders: Sequence[str | os.PathLike]) -> list[ListedFile]:
    """All pictures below the folders. A set is named after the folder given or, inside it, the first folder below.

    Raises DataError for a folder that is missing or holds no picture.
    """
    found: list[ListedFile] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise DataError(f"There is no folder {folder}. Name a folder of photos; it is searched recursively.")
        paths = images.find_images(folder)
        if not paths:
            raise DataError(
                f"There is no photo in {folder} or below it. Put photos there with one of the endings "
                f"{', '.join(images.SUFFIXES)}."
            )
        for path in paths:
            parts = path.relative_to(folder).parts
            found.append(ListedFile(path, parts[0] if len(parts) > 1 else folder.resolve().name))
    return found


def split(files: Sequence[ListedFile], fraction: float, seed: int) -> tuple[list[ListedFile], list[ListedFile]]:
    """(training, validation): a random `fraction` of the files, at least one, is held out; the same for one seed."""
    if len(files) < 2:
        raise DataError(
            "One photo cannot be split into training and validation. Add photos, or name others with --val-data."
        )
    count = min(len(files) - 1, max(1, round(len(files) * fraction)))
    held_out = set(np.random.default_rng(seed).permutation(len(files))[:count].tolist())
    return (
        [file for i, file in enumerate(files) if i not in held_out],
        [file for i, file in enumerate(files) if i in held_out],
    )


def load_photos(
    files: Sequence[ListedFile], scale: int, min_side: int, warn: Callable[[str], None], side: int | None = None
) -> list[Photo]:
    """Decode the files and make the low resolution of each whole picture by antialiased bicubic.

    Pictures with a side under `min_side` and unreadable files are named to `warn` and left out; with `side`, only the
    central side x side pixels are kept. Raises DataError where nothing is left or over 1 % cannot be read.
    """
    photos: list[Photo] = []
    corrupt = 0
    largest = (0, 0)
    for file in files:
        try:
            picture = images.without_alpha(images.load(file.path))
        except ImageError as error:
            corrupt += 1
            warn(f"{file.path.name} is left out. {error}")
            if corrupt > max(1, MAX_CORRUPT_SHARE * len(files)):
                raise DataError(
                    f"{corrupt} of {len(files)} pictures cannot be read, more than 1 %. Please mend or remove them."
                ) from None
            continue
        w, h = picture.size
        largest = max(largest, (w, h), key=min)
        if min(w, h) < min_side:
            warn(f"{file.path.name} is left out: it is {w}x{h}, and training needs {min_side} pixels each way.")
            continue
        high = degrade.crop_to_multiple(_centre(images.to_tensor(picture.pixels), side), scale)
        low = degrade.shrink(high, scale)
        photos.append(Photo(file.set_name, images.to_array(high), images.to_array(low)))
    if not photos:
        raise DataError(
            f"No picture is large enough: one of {min_side}x{min_side} pixels at least is needed, "
            f"and the largest is {largest[0]}x{largest[1]}. Use larger photos or a smaller --patch-size."
        )
    return photos


class Patches(Dataset[tuple[Tensor, Tensor]]):
    """Random patches of photos, where one epoch covers each photo's area once on average.

    Item i of an epoch is a function of (seed, epoch, i) alone, so that a resumed run sees what an uninterrupted one
    does: low (P, P, 3) and high (scale * P, scale * P, 3), uint8, flipped and turned together.
    """

    def __init__(self, photos: Sequence[Photo], patch_size: int, scale: int, seed: int) -> None:
        self.photos = photos
        self.patch_size = patch_size
        self.scale = scale
        self.seed = seed
        self.epoch = 0
        counts = [max(1, round(p.low.shape[0] * p.low.shape[1] / patch_size**2)) for p in photos]
        self.photo_of_item = np.repeat(np.arange(len(photos)), counts)

    def __len__(self) -> int:
        return len(self.photo_of_item)

    def order(self, epoch: int) -> list[int]:
        """The items of an epoch in the order in which they are seen."""
        order: list[int] = np.random.default_rng((self.seed, epoch)).permutation(len(self)).tolist()
        return order

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, self.epoch, item))
        photo = self.photos[self.photo_of_item[item]]
        p, s = self.patch_size, self.scale
        top = rng.integers(photo.low.shape[0] - p + 1)
        left = rng.integers(photo.low.shape[1] - p + 1)
        low = photo.low[top : top + p, left : left + p]
        high = photo.high[top * s : (top + p) * s, left * s : (left + p) * s]
        turns, mirrored = int(rng.integers(4)), rng.integers(2)
        pair = []
        for patch in (low, high):
            patch = np.rot90(patch, turns)
            patch = patch[:, ::-1] if mirrored else patch
            pair.append(torch.from_numpy(np.ascontiguousarray(patch)))
        return pair[0], pair[1]


def to_batch(patches: Tensor) -> Tensor:
    """(N, P, P, 3) uint8 -> (N, 3, P, P) float32 in [0, 1], channels last in memory."""
    return patches.permute(0, 3, 1, 2).float().div(255)


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _centre(x: Tensor, side: int | None) -> Tensor:
    if side is None:
        return x
    h, w = x.shape[-2:]
    top, left = max(0, h - side) // 2, max(0, w - side) // 2
    return x[..., top : top + side, left : left + side]
