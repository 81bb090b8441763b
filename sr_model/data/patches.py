"""Pictures -> pairs of patches (low, high) for training."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sr_model.data import augment
from sr_model.data.augment import Warp
from sr_model.data.photos import Photo
from sr_model.degrading.degradations import make_low
from sr_model.imaging import images

MARGIN = 8  # low-resolution pixels around a patch that is degraded on its own, as degradation looks past its border


class Patches(Dataset[tuple[Tensor, ...]]):
    """Random patches of photos; one epoch covers each photo's area once on average.

    Item i of an epoch depends only on (seed, epoch, i), so a resumed run sees the same patches as an uninterrupted one:
    low (P, P, 3) and high (scale * P, scale * P, 3), uint8, flipped and turned together; `augmentation` names further
    changes (augment.CHOICES). With a degradation other than bicubic the low patch is made anew each time, unless the
    photo is one of a pair.

    If the photos have been taught, a third patch follows: what the teacher makes of the low one or, where that was
    changed, `high` again.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        patch_size: int,
        scale: int,
        seed: int,
        degradation: str = "bicubic",
        augmentation: Collection[str] = (),
    ) -> None:
        self.photos = photos
        self.patch_size = patch_size
        self.scale = scale
        self.seed = seed
        self.degradation = degradation
        self.augmentation = augmentation
        self.epoch = 0
        counts = [max(1, round(p.low.shape[0] * p.low.shape[1] / patch_size**2)) for p in photos]
        self.photo_of_item = np.repeat(np.arange(len(photos)), counts)

    def __len__(self) -> int:
        return len(self.photo_of_item)

    def order(self, epoch: int) -> list[int]:
        """The items of an epoch in training order."""
        order: list[int] = np.random.default_rng((self.seed, epoch)).permutation(len(self)).tolist()
        return order

    def __getitem__(self, item: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng((self.seed, self.epoch, item))
        patches = self._cut(self.photos[self.photo_of_item[item]], rng)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        # Always copies: a patch that is a whole picture must not alias the cache, which is read-only.
        turned = (np.array(augment.turn(patch, turns, mirrored), order="C") for patch in patches)
        return tuple(torch.from_numpy(patch) for patch in turned)

    def _cut(self, photo: Photo, rng: np.random.Generator) -> list[np.ndarray]:
        p, s = self.patch_size, self.scale
        h, w = photo.low.shape[:2]
        change = augment.draw_warp(rng, self.augmentation)
        if math.ceil((p + 2 * MARGIN) * change.stretch) + 1 > min(h, w):
            change = Warp()  # the photo is too small
        made = not photo.paired and (self.degradation != "bicubic" or not change.is_identity)
        wanted = p + 2 * MARGIN * made
        side = min(math.ceil(wanted * change.stretch), h, w)
        if not change.is_identity:
            side += (side - wanted) % 2  # even differences, so that the centres of low and high coincide

        top, left = int(rng.integers(h - side + 1)), int(rng.integers(w - side + 1))
        low = photo.low[top : top + side, left : left + side]
        place = (slice(top * s, (top + side) * s), slice(left * s, (left + side) * s))
        high = photo.high[place]
        if not change.is_identity:
            reduced = math.ceil(side * change.factor)
            reduced += (reduced - wanted) % 2
            high = augment.warp(high, change, reduced * s, wanted * s)
            low = high if made else augment.warp(low, change, reduced, wanted)
        if "colour" in self.augmentation:
            colour = augment.draw_colour(rng)
            low, high = colour(low), colour(high)
        if made:
            low = images.to_array(make_low(images.to_tensor(high), s, self.degradation, rng))
        start = (low.shape[0] - p) // 2
        end = start + p
        patches = [low[start:end, start:end], high[start * s : end * s, start * s : end * s]]
        if photo.taught:
            unchanged = not made and change.is_identity and "colour" not in self.augmentation
            patches.append(np.load(photo.taught, mmap_mode="r")[place] if unchanged else patches[1])
        return patches


def to_batch(patches: Tensor) -> Tensor:
    """(N, P, P, 3) uint8 -> (N, 3, P, P) float32 in [0, 1], channels last in memory."""
    return patches.permute(0, 3, 1, 2).float().div(255)
