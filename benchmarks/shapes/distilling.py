"""Networks that keep a part of what each of their layers makes and fuse these parts: IMDN and its heirs."""

from collections.abc import Callable, Sequence
from functools import partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shapes.channels import GatedChannels, SparseChannels, transformer
from benchmarks.shapes.modulating import VarianceModulation
from benchmarks.shapes.parts import (
    Added,
    Centred,
    PixelNorm,
    Scaled,
    SpatialGate,
    bilinear,
    blueprint,
    conv,
    depthwise,
    enlarging,
    local_variance,
    max_pooled,
    unit,
)
from sr_model.networks.layers import conv3x3


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


class ContrastAttention(nn.Module):
    """Weighs channels by their mean and their standard deviation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Conv2d(width, width // 16, kernel_size=1),
            nn.ReLU(),
            nn.Conv2d(width // 16, width, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        deviation = (x - mean).square().mean((2, 3), keepdim=True).sqrt()
        return x * self.weights(mean + deviation)


class Distillation(nn.Module):
    """Four convolutions in a row, each of which keeps a quarter of the channels for the end of the block."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.sizes = [width // 4, width - width // 4]
        kept, passed = self.sizes
        self.steps = nn.ModuleList([conv3x3(width, width), conv3x3(passed, width), conv3x3(passed, width)])
        self.last = conv3x3(passed, kept)
        self.merge = nn.Sequential(attention, nn.Conv2d(4 * kept, width, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        all_kept, passed = [], x
        for step in self.steps:
            kept, passed = F.leaky_relu(step(passed), 0.05).split(self.sizes, dim=1)
            all_kept.append(kept)
        return x + self.merge(torch.cat([*all_kept, self.last(passed)], dim=1))


def imdn(scale: int) -> nn.Module:
    """IMDN (Hui et al. 2019)."""
    blocks = [Distillation(64, ContrastAttention(64)) for _ in range(6)]
    fuse = nn.Sequential(nn.Conv2d(6 * 64, 64, kernel_size=1), nn.LeakyReLU(0.05), conv3x3(64, 64))
    return Fused(conv3x3(3, 64), blocks, fuse, enlarging(64, scale))


def imdn_rtc(scale: int) -> nn.Sequential:
    """IMDN-RTC (Hui et al. 2021), IMDN made small for a contest in video calls."""
    blocks = [Distillation(12, nn.Identity()) for _ in range(5)]
    return nn.Sequential(conv3x3(3, 12), Added(*blocks, nn.Conv2d(12, 12, kernel_size=1)), enlarging(12, scale))


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


def local(width: int) -> nn.Module:
    """What DAN does before its attention."""
    half = width // 2
    stages = [nn.Sequential(Added(nn.Conv2d(width, width, 1), depthwise(width)), nn.GELU()) for _ in range(3)]
    return Distilled(width, half, stages, nn.Conv2d(width, half, 3, padding=1, groups=half))


def dan(scale: int, width: int, depth: int, weighted: bool = False) -> nn.Module:
    """Ren et al. 2025, the NTIRE report: team 20's dual attention network; ZenoSR (2026) has its blocks `weighted`."""

    def block() -> nn.Module:
        return Added(local(width), ContextGate(width), transformer(width, GatedChannels(width)))

    weights = [Scaled(depth * width)] if weighted else []
    fuse = nn.Sequential(*weights, nn.Conv2d(depth * width, width, 1, bias=False), nn.GELU(), local(width))
    refine = [layer for _ in range(4) for layer in (nn.GELU(), depthwise(3, bias=False))]
    tail = nn.Sequential(enlarging(width, scale, 1, bias=False), *refine)
    head = nn.Conv2d(3, width, 3, padding=1, bias=False)
    return Centred(Fused(head, [block() for _ in range(depth)], fuse, tail))


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
    """The variance in each window."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        return local_variance(F.pad(x, (1, 1, 1, 1), "reflect"), (self.window, self.window), (3, 3))


class VarianceGate(nn.Module):
    """AGDN's spatial gate: local maxima and variances at two sizes; HannahSR has a 3x3 convolution and a bias more."""

    def __init__(self, width: int, refine: Callable[[int], nn.Module], hannah: bool = False) -> None:
        super().__init__()
        few = width // 4
        self.squeeze, self.expand = nn.Conv2d(width, few, 1), nn.Conv2d(few, width, 1)
        self.fine = nn.ModuleList(nn.Conv2d(few, few, n, padding=n // 2) for n in ((1, 3) if hannah else (1,)))
        self.coarse = nn.ModuleList(
            nn.Sequential(blueprint(few, few, 2, reflect=True), pool)
            for window in (5, 7)
            for pool in (nn.MaxPool2d(window, 3, 1), Variance(window))
        )
        self.refine = nn.ModuleList(refine(few) for _ in range(2))
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
    def refine(width: int) -> nn.Module:
        return nn.Sequential(blueprint(width, width, reflect=True), nn.GELU(), blueprint(width, width, reflect=True))

    stages = [nn.Sequential(Added(blueprint(24, 24, reflect=True)), nn.GELU()) for _ in range(3)]
    near = Distilled(24, 12, stages, nn.Conv2d(24, 12, 3, padding=1, groups=12))
    return Added(near, VarianceGate(24, refine, hannah), Contrast(24), transformer(24, SparseChannels(24)))


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


class Cascade(nn.Module):
    """Depthwise convolutions of parts of the channels, each of which is given the result of the one before."""

    def __init__(self, dim: int, parts: int, activated: bool = True) -> None:
        super().__init__()
        n = dim // parts
        last = [nn.Sequential(conv(n, n, 3, n), conv(n, n, 3, n))] * (parts - 3)
        self.parts = nn.ModuleList([conv(n, n, 3, n), conv(n, n, (5, 3), n), conv(n, n, (3, 5), n), *last])
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        results: list[Tensor] = []
        for part, layer in zip(x.chunk(len(self.parts), dim=1), self.parts, strict=True):
            y = layer(part + results[-1] if results else part)
            results.append(F.gelu(y) if self.activated else y)
        return torch.cat(results, dim=1)


class Mixed(nn.Module):
    """A cascade after a 1x1 convolution, the input of which is added, and a GELU."""

    def __init__(self, dim: int, parts: int) -> None:
        super().__init__()
        self.layers = Added(conv(dim, dim), Cascade(dim, parts))

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.layers(x))


class Parallel(nn.Module):
    """FMDN's split into what the modulation and what a cascade of convolutions find."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = conv(dim, 2 * dim)
        self.modulate, self.details = VarianceModulation(dim), Added(Cascade(dim, 3))
        self.mix = conv(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x, details = self.project(unit(x)).chunk(2, dim=1)
        y: Tensor = self.mix(self.details(details) + self.modulate(x))
        return y


class GatedPair(nn.Module):
    """FMDN's feed-forward part: a gate after two long depthwise convolutions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = 4 * dim
        self.widen = nn.Sequential(
            conv(dim, hidden, bias=False),
            conv(hidden, hidden, (5, 2), groups=hidden, bias=False),
            conv(hidden, hidden, (2, 5), groups=hidden, bias=False),
        )
        self.narrow = conv(2 * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, x = self.widen(x).chunk(2, dim=1)
        y: Tensor = self.narrow(F.gelu(gate) * x)
        return y


def fmdn(scale: int) -> nn.Module:
    """FMDN, XUPTBoys' entry to NTIRE 2025 (Efficient Super-Resolution): AGDN's gates, and cascades."""

    def refine(width: int) -> nn.Module:
        return nn.Sequential(Mixed(width, 3), nn.ReLU(), Mixed(width, 3))

    def block(channels: nn.Module) -> nn.Module:
        stages = [nn.Sequential(Added(Mixed(24, 4)), nn.GELU()) for _ in range(3)]
        near = Distilled(24, 12, stages, blueprint(24, 12, reflect=True))
        return Added(near, VarianceGate(24, refine), channels, Added(PixelNorm(24), GatedPair(24)))

    fuse = nn.Sequential(conv(3 * 24, 24), block(Contrast(24)), nn.GELU(), blueprint(24, 24, reflect=True))
    return Centred(Fused(conv(3, 24, 3), [block(Added(Parallel(24))) for _ in range(3)], fuse, enlarging(24, scale)))


class FourTimes(nn.Module):
    """The picture four times, as BSRN and its kin take it."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x] * 4, 1)


def bsrn(scale: int, width: int, depth: int, small: bool = False) -> nn.Module:
    """Li et al. 2022, BSRN, or its `small` form for the NTIRE challenge, whose 1x1 convolutions have biases."""

    def separable(a: int, b: int) -> nn.Sequential:
        return blueprint(a, b, bias=small)

    def block() -> nn.Module:
        few = width // 4
        stages = [nn.Sequential(Added(separable(width, width)), nn.GELU()) for _ in range(3)]
        near = Distilled(width, width // 2, stages, separable(width, width // 2))
        inner = [separable(few, few), nn.GELU(), separable(few, few), nn.GELU(), separable(few, few)]
        if small:
            return Added(near, SpatialGate(width, few, *inner), Scaled(width), nn.Conv2d(width, width, 1))
        return Added(near, SpatialGate(width, few, *inner, reduce=blueprint(few, few, 2, 0)), ContrastAttention(width))

    fuse = nn.Sequential(nn.Conv2d(depth * width, width, 1), nn.GELU(), separable(width, width))
    head = nn.Sequential(FourTimes(), separable(12, width))
    return Fused(head, [block() for _ in range(depth)], fuse, enlarging(width, scale))


SHAPES: dict[str, Callable[[int], nn.Module]] = {
    "imdn": imdn,
    "imdn/RTC": imdn_rtc,
    "bsrn": partial(bsrn, width=64, depth=8),
    "bsrn/S": partial(bsrn, width=48, depth=5, small=True),
    "ntire24_agdn": agdn,
    "ntire25_dan": partial(dan, width=16, depth=6),
    "ntire26_zenosr": partial(dan, width=18, depth=4, weighted=True),
    "ntire25_fmdn": fmdn,
    "ntire25_hannahsr": lambda scale: Centred(HannahSR(scale)),
    "ntire26_vscinet": vscinet,
}
