"""Attention between channels, in windows: what DAN, VSCINet, AGDN and HannahSR have of Restormer."""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shapes.parts import Added, PixelNorm, depthwise


def starts(length: int, window: int) -> list[int]:
    """Where windows begin, as few as cover `length`, evenly spread."""
    count = -(-length // window)
    step = window if count == 1 else -(-(length - window) // (count - 1))
    return [*range(0, length - window, step), length - window]


def joined(parts: Sequence[Tensor], places: Sequence[int], window: int, dim: int) -> Tensor:
    """Windows that begin at `places` put together, with the mean where they overlap."""
    pieces = []
    for a, b in pairwise(sorted({*places, *(place + window for place in places)})):
        over = [
            part.narrow(dim, a - place, b - a)
            for part, place in zip(parts, places, strict=True)
            if place <= a and b <= place + window
        ]
        pieces.append(reduce(torch.add, over) / len(over) if len(over) > 1 else over[0])
    return torch.cat(pieces, dim)


def in_windows(x: Tensor, window: int, attend: Callable[[Tensor], Tensor]) -> Tensor:
    """Chu et al. 2022, TLC: (N, C, pixels) -> (N, C', pixels) by overlapping windows, as Restormer is tested."""
    h, w = (min(int(n), window) for n in x.shape[-2:])
    rows, columns = starts(int(x.shape[-2]), h), starts(int(x.shape[-1]), w)
    windows = torch.cat([x[:, :, i : i + h, j : j + w] for i in rows for j in columns])
    results = attend(windows.flatten(2)).reshape(len(rows), len(columns), -1, h, w)
    return joined(joined(results.unbind(1), columns, w, 3).split(1), rows, h, 2)


def similarity(q: Tensor, k: Tensor) -> Tensor:
    """Cosines of the rows; the norms divide the products, which are fewer than what is multiplied."""
    norms = [x.norm(dim=-1, keepdim=True).clamp_min(1e-12) for x in (q, k)]
    return q @ k.transpose(-2, -1) / (norms[0] * norms[1].transpose(-2, -1))


class GatedChannels(nn.Module):
    """Attention between channels as in DAN: what is attended to is the value itself, and a gate comes before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(width, 4 * width, 1, bias=False), nn.Conv2d(width, width, 1, bias=False)
        self.mix = depthwise(2 * width, bias=False)
        self.temperature = nn.Parameter(torch.rand(1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.enter(x).chunk(2, 1)
        return self.leave(in_windows(self.mix(x) * gate, 72, self.attend))

    def attend(self, x: Tensor) -> Tensor:
        q, v = x.chunk(2, 1)
        return torch.softmax(similarity(q, v) * self.temperature, -1) @ v


class SparseChannels(nn.Module):
    """Zamir et al. 2022, Restormer: attention between channels, here by a ReLU instead of a softmax."""

    def __init__(self, width: int, heads: int = 3) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(width, 3 * width, 1, bias=False), nn.Conv2d(width, width, 1, bias=False)
        self.mix = depthwise(3 * width, bias=False)
        self.temperature = nn.Parameter(torch.rand(heads, 1, 1))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(in_windows(self.mix(self.enter(x)), 96, self.attend))

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = x.unflatten(1, (3, self.heads, -1)).unbind(1)
        return (torch.relu(similarity(q, k) * self.temperature) @ v).flatten(1, 2)


class GatedLayers(nn.Module):
    """Zamir et al. 2022, Restormer: the layers after the attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(width, 4 * width, 1, bias=False), nn.Conv2d(2 * width, width, 1, bias=False)
        self.mix = depthwise(4 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.mix(self.enter(x)).chunk(2, 1)
        return self.leave(F.gelu(x) * gate)


def transformer(width: int, attention: nn.Module) -> nn.Sequential:
    return nn.Sequential(Added(PixelNorm(width), attention), Added(PixelNorm(width), GatedLayers(width)))
