"""Photos as one tensor of packed pixels on the device, and random patches cut from it there.

`train.py` cuts patches on the CPU, which feeds some ten thousand of them a second; small networks on a GPU take more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging.resampling import bicubic


def pack(pixels: Tensor) -> Tensor:
    """(H, W, 3) uint8 -> (H * W) int32: one read fetches all three channels of a pixel."""
    return F.pad(pixels, (0, 1)).contiguous().view(torch.int32).flatten()


def unpack(packed: Tensor) -> Tensor:
    """(N, P, P) int32 -> (N, 3, P, P) float in [0, 1], channels last."""
    channels = packed.unsqueeze(-1).view(torch.uint8)[..., :3].permute(0, 3, 1, 2)
    return channels.float().div_(255).contiguous(memory_format=torch.channels_last)


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W, 3) uint8 -> (*size, 3) by antialiased bicubic."""
    x = bicubic(pixels.permute(2, 0, 1)[None].float(), size)
    return x.clamp_(0, 255).round_().byte()[0].permute(1, 2, 0).contiguous()


def shrunk(high: Tensor, scale: int) -> Tensor:
    """(H, W, 3) uint8 -> (H // scale, W // scale, 3), of the part that `scale` divides."""
    h, w = high.shape[0] // scale, high.shape[1] // scale
    return resized(high[: h * scale, : w * scale], (h, w))


@dataclass(frozen=True)
class Plane:
    """Pictures of one resolution, one after another."""

    pixels: Tensor  # (all pixels,) int32
    offset: Tensor  # (K,) int64: where each picture begins
    width: Tensor  # (K,) int64
    height: Tensor  # (K,) int64

    @classmethod
    def of(cls, pictures: Sequence[Tensor]) -> "Plane":
        sizes = torch.tensor([p.shape[:2] for p in pictures], device=pictures[0].device)
        counts = sizes.prod(1)
        return cls(torch.cat([pack(p) for p in pictures]), counts.cumsum(0) - counts, sizes[:, 1], sizes[:, 0])


def cut(pixels: Tensor, start: Tensor, width: Tensor, turn: Tensor, side: int) -> Tensor:
    """Patches (N, side, side) of pictures `width` (N,) wide that begin at `start` (N,).

    `turn` (N,) says how each lies: + 1 transposed, + 2 upside down, + 4 mirrored.
    """
    y = torch.arange(side, device=pixels.device).view(1, -1, 1)
    x = torch.arange(side, device=pixels.device).view(1, 1, -1)
    start, width, turn = (t.view(-1, 1, 1) for t in (start, width, turn))
    row = torch.where(turn & 1 > 0, x, y)
    column = torch.where(turn & 1 > 0, y, x)
    row = torch.where(turn & 2 > 0, side - 1 - row, row)
    column = torch.where(turn & 4 > 0, side - 1 - column, column)
    return pixels[start + row * width + column]


class Cuts(Protocol):
    """Where patches come from."""

    side: int  # of the low patches, in pixels

    def draw(self, count: int) -> Tensor:
        """(count, 5) int64, random: where the low patch begins and its picture's width, the same of high, the turn."""

    def batch(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Low (N, 3, P, P) and high (N, 3, scale * P, scale * P) in [0, 1]."""


class CleanCuts:
    """Patches of photos, and of the same photos shrunk by bicubic."""

    def __init__(self, high: Plane, low: Plane, scale: int, side: int) -> None:
        self.high, self.low, self.scale, self.side = high, low, scale, side
        large_enough = (low.width >= side) & (low.height >= side)
        self.areas = (low.width * low.height * large_enough).double().cumsum(0)

    def draw(self, count: int) -> Tensor:
        low, high, s = self.low, self.high, self.scale
        device = self.areas.device

        def below(limits: Tensor) -> Tensor:
            return (torch.rand(count, device=device, dtype=torch.double) * limits).long()

        at = torch.rand(count, device=device, dtype=torch.double) * self.areas[-1]
        k = torch.searchsorted(self.areas, at, right=True).clamp_(max=len(self.areas) - 1)
        y, x = below(low.height[k] - self.side + 1), below(low.width[k] - self.side + 1)
        low_start = low.offset[k] + y * low.width[k] + x
        high_start = high.offset[k] + (y * high.width[k] + x) * s
        turn = torch.randint(8, (count,), device=device)
        return torch.stack([low_start, low.width[k], high_start, high.width[k], turn], 1)

    def batch(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        return _batch(self.low.pixels, self.high.pixels, drawn, self.side, self.scale)


class MadeCuts:
    """Low patches that were made beforehand, each in its own way, and the photos that they were made from."""

    def __init__(self, high: Plane, low: np.ndarray, place: np.ndarray, scale: int) -> None:
        """`low` (N, P, P, 4) uint8; `place` (N, 2) int64: where the high patch begins, and its photo's width."""
        self.high, self.scale, self.side = high, scale, low.shape[1]
        self.low = torch.from_numpy(low.view(np.int32).reshape(-1)).to(high.pixels.device)
        self.place = torch.from_numpy(place).to(high.pixels.device)

    def draw(self, count: int) -> Tensor:
        device = self.low.device
        k = torch.randint(len(self.place), (count,), device=device)
        width, turn = torch.full_like(k, self.side), torch.randint(8, (count,), device=device)
        return torch.stack([k * self.side**2, width, self.place[k, 0], self.place[k, 1], turn], 1)

    def batch(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        return _batch(self.low, self.high.pixels, drawn, self.side, self.scale)


def _batch(low: Tensor, high: Tensor, drawn: Tensor, side: int, scale: int) -> tuple[Tensor, Tensor]:
    low_start, low_width, high_start, high_width, turn = drawn.unbind(1)
    lows = cut(low, low_start, low_width, turn, side)
    return unpack(lows), unpack(cut(high, high_start, high_width, turn, side * scale))
