"""What a network makes of a picture's outermost pixels, kept near to what is there."""

from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging.resampling import is_traced

RING = 4  # pixels of the small picture: how far in from each side results are bounded
REACH = 2  # pixels of the small picture around a pixel, in each direction, that bound what it becomes
ROOM = 2  # how many times their range beyond its ends: real detail stays within, so no PSNR is lost


def bounded(large: Tensor, small: Tensor) -> Tensor:
    """`large` (N, C, s * H, s * W), its outermost RING * s pixels bounded by what `small` (N, C, H, W) has around them.

    Convolutions see zeros beyond the border, which tints flat colours there, by up to 23 levels of 255 where they are
    saturated. Flat areas stay as they are, and texture is not touched. `large` is changed in place, unless it has to be
    traced or differentiated.
    """
    if is_traced() or large.requires_grad:
        return _bounded_by_mask(large, small)
    scale = large.shape[-1] // small.shape[-1]
    for rows, around in ((large, small), (large.mT, small.mT)):
        _bound(rows[..., : RING * scale, :], around[..., : RING + REACH, :], slice(None, RING))
        _bound(rows[..., -RING * scale :, :], around[..., -RING - REACH :, :], slice(-RING, None))
    return large


def _bound(rows: Tensor, around: Tensor, kept: slice) -> None:
    least, most = (_enlarged(x[..., kept, :], rows) for x in _bounds(around))
    torch.clamp(rows, least, most, out=rows)


def _bounded_by_mask(large: Tensor, small: Tensor) -> Tensor:
    """The same, more slowly, without slices, whose lengths are not known where a program is traced for all sizes."""
    h, w = small.shape[-2:]
    y, x = torch.arange(h, device=small.device)[:, None], torch.arange(w, device=small.device)
    inside = (y >= RING) & (y < h - RING) & (x >= RING) & (x < w - RING)
    least, most = _bounds(small)
    least, most = torch.where(inside, -torch.inf, least), torch.where(inside, torch.inf, most)
    return large.clamp(_enlarged(least, large), _enlarged(most, large))


def _bounds(x: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the most that each pixel may become."""
    least, most = -_greatest(-x), _greatest(x)
    room = ROOM * (most - least)
    return least - room, most + room


def _greatest(x: Tensor) -> Tensor:
    """The greatest value within REACH of each pixel."""
    if is_traced():  # one operation in the file; run by torch it takes ten times as long
        return F.max_pool2d(x, 2 * REACH + 1, stride=1, padding=REACH)
    x = F.pad(x, (REACH,) * 4, mode="replicate")
    for dim in (-2, -1):
        length = x.shape[dim] - 2 * REACH
        x = reduce(torch.maximum, [x.narrow(dim, first, length) for first in range(2 * REACH + 1)])
    return x


def _enlarged(x: Tensor, large: Tensor) -> Tensor:
    return F.interpolate(x, size=large.shape[-2:], mode="nearest")
