"""Networks that weigh pixels or channels by attention, most of them from the NTIRE challenges."""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shapes.parts import (
    Added,
    Centred,
    PixelNorm,
    Repeated,
    bilinear,
    blueprint,
    depthwise,
    enlarging,
    max_pooled,
    unit,
)


class Times(nn.Sequential):
    """x * f(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(x)


class Scaled(nn.Module):
    """A factor for each channel; random, as all that could be dropped if it were one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.rand(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class FourTimes(nn.Module):
    """The picture four times, as BSRN and its kin take it."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x] * 4, 1)


class Fused(nn.Module):
    """Hui et al. 2019, IMDN: blocks in a row, whose results are fused and added to what went into the first one."""

    def __init__(self, head: nn.Module, blocks: Sequence[nn.Module], fuse: nn.Module, tail: nn.Module) -> None:
        super().__init__()
        self.head, self.fuse, self.tail = head, fuse, tail
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        first = x = self.head(x)
        results = [x := block(x) for block in self.blocks]
        return self.tail(self.fuse(torch.cat(results, 1)) + first)


class Distilled(nn.Module):
    """Liu et al. 2020, RFDN: `few` channels of what goes into each stage, and of the last result, are fused."""

    def __init__(self, width: int, few: int, stages: Sequence[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.stages, self.last = nn.ModuleList(stages), last
        self.taps = nn.ModuleList(nn.Conv2d(width, few, 1) for _ in stages)
        self.fuse = nn.Conv2d(few * (len(stages) + 1), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for tap, stage in zip(self.taps, self.stages, strict=True):
            parts.append(F.gelu(tap(x)))
            x = stage(x)
        return self.fuse(torch.cat([*parts, F.gelu(self.last(x))], 1))


class SpatialGate(nn.Module):
    """Liu et al. 2020, RFANet: pixels weighed by few channels and a coarse map of them, which `inner` goes on with."""

    def __init__(self, width: int, few: int, *inner: nn.Module) -> None:
        super().__init__()
        self.squeeze, self.expand = nn.Conv2d(width, few, 1), nn.Conv2d(few, width, 1)
        self.fine = nn.Conv2d(few, few, 1)
        self.coarse = nn.Sequential(nn.Conv2d(few, few, 3, 2), nn.MaxPool2d(7, 3), *inner)

    def forward(self, x: Tensor) -> Tensor:
        y = self.squeeze(x)
        return x * torch.sigmoid(self.expand(bilinear(self.coarse(y), x) + self.fine(y)))


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


class ContextGate(nn.Module):
    """DAN's spatial gate, by local maxima and the channels' variances; VSCINet has both `weighted`."""

    def __init__(self, width: int, weighted: bool = False) -> None:
        super().__init__()
        half = width // 2
        self.squeeze, self.expand = nn.Conv2d(width, half, 1, bias=False), nn.Conv2d(half, width, 1, bias=False)
        self.around, self.mix = depthwise(half, bias=False), nn.Conv2d(half, half, 1, bias=False)
        self.weights = nn.ModuleList(Scaled(half) if weighted else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        h, w = (int(n) for n in x.shape[-2:])
        y = self.squeeze(unit(x))
        maxima = self.around(max_pooled(y, 8))
        context = self.weights[0](maxima) + self.weights[1](y.var((-2, -1), keepdim=True))
        gate = F.interpolate(F.gelu(self.mix(context)), (h, w), mode="nearest")
        return self.expand(y * gate) + x


class Local(nn.Module):
    """What DAN does before its attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.stages = nn.ModuleList(
            nn.Sequential(Added(nn.Conv2d(width, width, 1), depthwise(width)), nn.GELU()) for _ in range(3)
        )
        self.taps = nn.ModuleList(nn.Conv2d(width, half, 1) for _ in range(3))
        self.last = nn.Conv2d(width, half, 3, padding=1, groups=half)
        self.fuse = nn.Conv2d(4 * half, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for tap, stage in zip(self.taps, self.stages, strict=True):
            parts.append(F.gelu(tap(x)))
            x = stage(x)
        return self.fuse(torch.cat([*parts, F.gelu(self.last(x))], 1))


def dan(scale: int) -> nn.Module:
    """Ren et al. 2025, the NTIRE report: team 20's dual attention network."""

    def block() -> nn.Module:
        return Added(Local(16), ContextGate(16), transformer(16, GatedChannels(16)))

    fuse = nn.Sequential(nn.Conv2d(6 * 16, 16, 1, bias=False), nn.GELU(), Local(16))
    refine = [layer for _ in range(4) for layer in (nn.GELU(), depthwise(3, bias=False))]
    tail = nn.Sequential(enlarging(16, scale, 1, bias=False), *refine)
    head = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    return Centred(Fused(head, [block() for _ in range(6)], fuse, tail))


class Inception(nn.Module):
    """Depthwise kernels of four sizes, one for each quarter of the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(
            nn.Sequential(*(nn.Conv2d(n, n, size, padding="same", groups=n, bias=False) for size in sizes))
            for n, sizes in ((width // 4, sizes) for sizes in ([3], [(5, 3)], [(3, 5)], [3, 3]))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([kernel(part) for kernel, part in zip(self.kernels, x.chunk(4, 1), strict=True)], 1)


def vscinet(scale: int) -> nn.Module:
    """NTIRE 2026: team 11's variance-guided spatial-channel context interaction network."""

    def mixed() -> list[nn.Module]:
        return [nn.Conv2d(20, 20, 1, bias=False), Inception(20)]

    def stage() -> nn.Module:
        return nn.Sequential(Added(*mixed()), nn.GELU())

    def block() -> nn.Module:
        local = Distilled(20, 10, [stage(), stage()], nn.Conv2d(20, 10, 3, padding=1, groups=10))
        return Added(local, stage(), ContextGate(20, weighted=True), transformer(20, GatedChannels(20)))

    fuse = nn.Sequential(nn.Conv2d(5 * 20, 20, 1, bias=False), nn.GELU(), *mixed())
    head = nn.Conv2d(3, 20, 3, padding=1, bias=False)
    return Centred(Fused(head, [block() for _ in range(5)], fuse, enlarging(20, scale, 1, bias=False)))


class Variance(nn.Module):
    """The variance in each window, as the mean of the squares less the squared mean."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        x, n = F.pad(x, (1, 1, 1, 1), "reflect"), self.window**2
        mean, squares = (F.avg_pool2d(y, self.window, 3) for y in (x, x.square()))
        return (squares - mean.square()) * (n / (n - 1))


class VarianceGate(nn.Module):
    """AGDN's spatial gate: local maxima and variances at two sizes; HannahSR has a 3x3 convolution and a bias more."""

    def __init__(self, width: int, hannah: bool) -> None:
        super().__init__()
        few = width // 4
        self.squeeze, self.expand = nn.Conv2d(width, few, 1), nn.Conv2d(few, width, 1)
        self.fine = nn.ModuleList(nn.Conv2d(few, few, n, padding=n // 2) for n in ((1, 3) if hannah else (1,)))
        self.coarse = nn.ModuleList(
            nn.Sequential(blueprint(few, few, 2, reflect=True), pool)
            for window in (5, 7)
            for pool in (nn.MaxPool2d(window, 3, 1), Variance(window))
        )
        self.refine = nn.ModuleList(
            nn.Sequential(blueprint(few, few, reflect=True), nn.GELU(), blueprint(few, few, reflect=True))
            for _ in range(2)
        )
        self.bias = nn.Parameter(torch.rand(1, width, 1, 1)) if hannah else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.squeeze(x)
        parts = [fine(y) for fine in self.fine]
        for i, refine in enumerate(self.refine):
            parts.append(bilinear(refine(self.coarse[2 * i](y) + self.coarse[2 * i + 1](y)), x))
        gate = torch.sigmoid(self.expand(reduce(torch.add, parts)))
        return x * gate + x if self.bias is None else x * (gate - self.bias)


class Contrast(nn.Module):
    """AGDN's channel gate, by the channels' means and deviations."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around, self.shared, self.sigma = depthwise(width), nn.Conv2d(width, 1, 1), Scaled(width)
        self.gate = nn.Sequential(nn.Conv2d(width, 4, 1), nn.ReLU(), nn.Conv2d(4, width, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.around(x))
        gate = self.gate(y.var((-2, -1), correction=0, keepdim=True).sqrt() + y.mean((-2, -1), keepdim=True))
        return self.sigma(y - F.gelu(self.shared(y))) + y * gate + x


def agdn_block(hannah: bool = False) -> nn.Module:
    stages = [nn.Sequential(Added(blueprint(24, 24, reflect=True)), nn.GELU()) for _ in range(3)]
    local = Distilled(24, 12, stages, nn.Conv2d(24, 12, 3, padding=1, groups=12))
    return Added(local, VarianceGate(24, hannah), Contrast(24), transformer(24, SparseChannels(24)))


def agdn(scale: int) -> nn.Module:
    """Ren et al. 2024, the NTIRE report: team 31's attention guidance distillation network."""
    fuse = nn.Sequential(nn.Conv2d(4 * 24, 24, 1), nn.GELU(), blueprint(24, 24, reflect=True))
    head = nn.Conv2d(3, 24, 3, padding=1)
    return Centred(Fused(head, [agdn_block() for _ in range(4)], fuse, enlarging(24, scale)))


class HannahSR(nn.Module):
    """Ren et al. 2025, the NTIRE report: team 13's blocks of AGDN, beside which the picture goes once more."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.blocks = Added(*(agdn_block(hannah=True) for _ in range(4)))
        self.head = nn.Conv2d(3, 24, 3, padding=1)
        self.beside = nn.Sequential(nn.Conv2d(3, 24, 3, padding=1), nn.Conv2d(24, 24, 1))
        self.tail = enlarging(24, scale, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.blocks(self.head(x)) + self.beside(x))


def lkdn_s(scale: int) -> nn.Module:
    """Xie et al. 2023, LKDN: large kernel attention, with what was added in training folded away."""

    def block() -> nn.Module:
        stages = [nn.Sequential(blueprint(42, 42), nn.GELU()) for _ in range(3)]
        attention = Times(nn.Conv2d(42, 42, 1), depthwise(42, 5), depthwise(42, 5, 3))
        return Added(Distilled(42, 21, stages, blueprint(42, 21)), attention, nn.Conv2d(42, 42, 1), PixelNorm(42))

    head = nn.Sequential(FourTimes(), blueprint(12, 42))
    fuse = nn.Sequential(nn.Conv2d(5 * 42, 42, 1), nn.GELU(), blueprint(42, 42))
    return Fused(head, [block() for _ in range(5)], fuse, enlarging(42, scale))


def bsrn_s(scale: int) -> nn.Module:
    """Li et al. 2022, BSRN: the smaller network of the NTIRE challenge, whose 1x1 convolutions have biases."""

    def separable(a: int, b: int) -> nn.Sequential:
        return blueprint(a, b, bias=True)

    def block() -> nn.Module:
        stages = [nn.Sequential(Added(separable(48, 48)), nn.GELU()) for _ in range(3)]
        inner = [separable(12, 12), nn.GELU(), separable(12, 12), nn.GELU(), separable(12, 12)]
        gate = SpatialGate(48, 12, *inner)
        return Added(Distilled(48, 24, stages, separable(48, 24)), gate, Scaled(48), nn.Conv2d(48, 48, 1))

    fuse = nn.Sequential(nn.Conv2d(5 * 48, 48, 1), nn.GELU(), separable(48, 48))
    head = nn.Sequential(FourTimes(), separable(12, 48))
    return Fused(head, [block() for _ in range(5)], fuse, enlarging(48, scale))


class EFDNCell(nn.Module):
    """A block of EFDN."""

    def __init__(self, width: int) -> None:
        super().__init__()
        few = width // 4
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, n, padding=n // 2), nn.PReLU(width)) for n in (1, 3, 3)
        )
        self.taps = nn.ModuleList(nn.Conv2d(width, width // 2, 1) for _ in range(4))
        three = [nn.Conv2d(few, few, 3, padding=1) for _ in range(3)]
        gate = SpatialGate(width, few, three[0], nn.ReLU(), three[1], nn.ReLU(), three[2])
        self.fuse = nn.Sequential(nn.Conv2d(2 * width, width, 1), gate)

    def forward(self, x: Tensor) -> Tensor:
        results = [y := x, *(y := stage(y) for stage in self.stages)]
        taps = [tap(result) for tap, result in zip(self.taps, results, strict=True)]
        return self.fuse(torch.cat(taps, 1)) + x


class EFDN(nn.Module):
    """Wang 2022: edge-enhanced feature distillation, with what detects edges folded into the convolutions."""

    def __init__(self, scale: int, width: int = 48) -> None:
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, width, 3, padding=1), enlarging(width, scale)
        self.cells = nn.ModuleList(EFDNCell(width) for _ in range(4))
        self.fuse = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first = self.head(x)
        one = self.cells[0](first)
        two = self.cells[1](one)
        three = self.cells[2](self.fuse[0](torch.cat([one, two], 1)))
        four = self.cells[3](self.fuse[1](torch.cat([two, three], 1)))
        return self.tail(self.fuse[2](torch.cat([two, four], 1)) + first).clamp(0, 1)


class CoarseGate(nn.Module):
    """PFDN Lite: pixels weighed by a coarse map and by their first channel."""

    def __init__(self, width: int, few: int = 16) -> None:
        super().__init__()
        self.coarse = nn.Sequential(
            nn.Conv2d(width, few, 1),
            nn.MaxPool2d(7, 3),
            nn.Conv2d(few, few, 3, 2, padding=1),
            nn.Conv2d(few, width, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return bilinear(self.coarse(x), x) * torch.sigmoid(x[:, :1]) * x


class PFDNBlock(nn.Module):
    """PFDN Lite: layers of which one makes half of the channels only; pruned ones have it alone before the last."""

    def __init__(self, width: int, pruned: bool) -> None:
        super().__init__()
        half = width // 2
        self.first = None if pruned else nn.Conv2d(width, width, 3, padding=1)
        self.partial = nn.Conv2d(width if pruned else half, half, 3, padding=1)
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.first is None else F.silu(self.first(x))
        left, right = y.chunk(2, 1)
        left = F.silu(self.partial(y if self.first is None else left))
        return F.silu(self.last(torch.cat([left, right], 1))) + x


class PFDNLite(nn.Module):
    """Ren et al. 2024, the NTIRE report: team 1's network, to which each pixel repeated is added."""

    def __init__(self, scale: int, width: int = 48) -> None:
        super().__init__()
        blocks = [layer for p in (False, True, True, False) for layer in (CoarseGate(width), PFDNBlock(width, p))]
        head, tail = (nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, width), (width, 3 * scale**2)))
        self.layers = nn.Sequential(head, *blocks, tail)
        self.shuffle = nn.PixelShuffle(scale)
        self.repeated = Repeated(scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.layers(x) + self.repeated(x))


class Separated(nn.Module):
    """SGSDN: half of the channels by a small depthwise kernel and half by large ones, both with a gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.near, self.near_out = depthwise(width), nn.Conv2d(width, width // 2, 1)
        self.far_out = nn.Conv2d(width, width // 2, 1, bias=False)
        self.far = nn.Sequential(
            nn.Conv2d(width, width, (1, 5), padding=(0, 2), groups=width),
            nn.Conv2d(width, width, (1, 11), padding=(0, 15), dilation=3, groups=width),
            nn.Conv2d(width, width, (5, 1), padding=(2, 0), groups=width),
            nn.Conv2d(width, width, (11, 1), padding=(15, 0), dilation=3, groups=width),
        )

    def forward(self, x: Tensor) -> Tensor:
        x, gate = F.gelu(self.enter(unit(x))).chunk(2, 1)
        return torch.cat([F.gelu(self.near_out(self.near(x) * gate)), self.far_out(self.far(x) * gate)], 1)


def sgsdn(scale: int) -> nn.Module:
    """Ren et al. 2025, the NTIRE report: team 18's network of spatially separated kernels."""

    def block() -> nn.Module:
        wider = nn.Conv2d(24, 48, 3, padding=1, groups=24)
        return nn.Sequential(Added(*(Separated(24) for _ in range(3))), Added(wider, nn.GELU(), nn.Conv2d(48, 24, 1)))

    return nn.Sequential(nn.Conv2d(3, 24, 3, padding=1), Added(*(block() for _ in range(8))), enlarging(24, scale))


def rlfn_ntire(scale: int) -> nn.Module:
    """Kong et al. 2022, RLFN: the pruned network of the NTIRE challenge."""

    def block() -> nn.Module:
        layers = [
            layer
            for a, b in ((46, 48), (48, 48), (48, 46))
            for layer in (nn.Conv2d(a, b, 3, padding=1), nn.LeakyReLU(0.05))
        ]
        gate = SpatialGate(46, 16, nn.Conv2d(16, 16, 3, padding=1))
        return nn.Sequential(Added(*layers), nn.Conv2d(46, 46, 1), gate)

    body = Added(*(block() for _ in range(4)), nn.Conv2d(46, 46, 3, padding=1))
    return nn.Sequential(nn.Conv2d(3, 46, 3, padding=1), body, enlarging(46, scale))


class PixelGate(nn.Module):
    """PAN: its second branch, in which a convolution is weighed by another one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(width, width, 1)
        self.first, self.last = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x) * torch.sigmoid(self.gate(x)))


class PANBlock(nn.Module):
    """PAN: two branches, one of them with attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, half, 1, bias=False), nn.LeakyReLU(0.2), inner, nn.LeakyReLU(0.2))
            for inner in (nn.Conv2d(half, half, 3, padding=1, bias=False), PixelGate(half))
        )
        self.fuse = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(torch.cat([branch(x) for branch in self.branches], 1)) + x


class PAN(nn.Module):
    """Zhao et al. 2020: pixel attention, in blocks and after each enlargement; x4 is twice x2."""

    def __init__(self, scale: int, width: int = 40, narrow: int = 24, depth: int = 16) -> None:
        super().__init__()
        trunk = Added(*(PANBlock(width) for _ in range(depth)), nn.Conv2d(width, width, 3, padding=1))
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), trunk)
        for factor in (2, 2) if scale == 4 else (scale,):
            self.layers += nn.Sequential(
                nn.Upsample(scale_factor=float(factor)),
                nn.Conv2d(width, narrow, 3, padding=1),
                Times(nn.Conv2d(narrow, narrow, 1), nn.Sigmoid()),
                nn.LeakyReLU(0.2),
                nn.Conv2d(narrow, narrow, 3, padding=1),
                nn.LeakyReLU(0.2),
            )
            width = narrow
        self.layers.append(nn.Conv2d(narrow, 3, 3, padding=1))
        self.bilinear = nn.Upsample(scale_factor=float(scale), mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + self.bilinear(x)


SHAPES: dict[str, Callable[[int], nn.Module]] = {
    "ntire25_dan": dan,
    "ntire26_vscinet": vscinet,
    "ntire24_agdn": agdn,
    "ntire25_hannahsr": lambda scale: Centred(HannahSR(scale)),
    "efdn": EFDN,
    "ntire25_efdn": EFDN,
    "ntire24_pfdnlite": PFDNLite,
    "ntire25_sgsdn": sgsdn,
    "lkdn/S": lkdn_s,
    "rlfn/ntire": rlfn_ntire,
    "bsrn/S": bsrn_s,
    "pan": PAN,
}
