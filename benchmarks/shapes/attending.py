"""Networks that weigh pixels by attention: EFDN, PFDN Lite, SGSDN, RLFN, FMEN, AMCANet and PAN."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shapes.parts import Added, Repeated, SpatialGate, Times, bilinear, conv, depthwise, enlarging, unit


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


def rlfn(scale: int, width: int, inner: int, depth: int) -> nn.Module:
    """Kong et al. 2022, RLFN: of one width, or pruned for the NTIRE challenge."""

    def block() -> nn.Module:
        layers = [
            layer
            for a, b in ((width, inner), (inner, inner), (inner, width))
            for layer in (nn.Conv2d(a, b, 3, padding=1), nn.LeakyReLU(0.05))
        ]
        gate = SpatialGate(width, 16, nn.Conv2d(16, 16, 3, padding=1))
        return nn.Sequential(Added(*layers), nn.Conv2d(width, width, 1), gate)

    body = Added(*(block() for _ in range(depth)), nn.Conv2d(width, width, 3, padding=1))
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), body, enlarging(width, scale))


def fmen(scale: int, width: int = 50) -> nn.Module:
    """Du et al. 2022, FMEN: pixels weighed by few channels at full size, and convolutions in pairs."""

    def pair(n: int) -> list[nn.Module]:
        return [conv(n, n, 3), nn.LeakyReLU(0.1), conv(n, n, 3)]

    def gate(few: int, pairs: int) -> nn.Module:
        inner = [layer for _ in range(pairs) for layer in pair(few)]
        ends = conv(width, few, 3), conv(few, width, 3)
        return Times(ends[0], nn.LeakyReLU(0.1), *inner, nn.LeakyReLU(0.1), ends[1], nn.Sigmoid())

    blocks = [layer for _ in range(4) for layer in (*pair(width), gate(16, 1))]
    body = Added(conv(width, width, 3), gate(12, 2), *blocks, conv(width, width, 3))
    return nn.Sequential(conv(3, width, 3), body, enlarging(width, scale))


class Head(nn.Module):
    """AMCANet: one half of the channels weighs the other, also at a quarter of the size if `coarse`."""

    def __init__(self, width: int, few: int, coarse: bool) -> None:
        super().__init__()
        self.enter = conv(width, 2 * few)
        self.near, self.values = depthwise(few), depthwise(few)
        pool = [nn.MaxPool2d(7, 4)] if coarse else []
        self.far = nn.Sequential(*pool, depthwise(few), depthwise(few), conv(few, few))
        self.mix = nn.Sequential(conv(few, few), nn.Sigmoid())
        self.coarse = coarse

    def forward(self, x: Tensor) -> Tensor:
        weights, values = self.enter(x).chunk(2, 1)
        near = self.near(weights)
        far = self.far(near)
        return self.mix((bilinear(far, x) if self.coarse else far) + near) * self.values(values)


class Heads(nn.Module):
    """AMCANet: the outputs of a fine and a coarse head, fused."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(width, width // 2, coarse) for coarse in (False, True))
        self.fuse = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = unit(x)
        return self.fuse(torch.cat([head(x) for head in self.heads], 1))


class GatedHalf(nn.Module):
    """AMCANet: one half of the channels gates the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter, self.leave = conv(width, 2 * width), conv(width, width)
        self.gate = nn.Sequential(depthwise(width), conv(width, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        gate, x = self.enter(unit(x)).chunk(2, 1)
        return self.leave(self.gate(gate) * x)


def amcanet(scale: int, width: int = 32) -> nn.Module:
    """AMCANet, team 17's entry to NTIRE 2026."""
    blocks = [layer for _ in range(7) for layer in (Added(Heads(width)), Added(GatedHalf(width)))]
    return nn.Sequential(conv(3, width, 3), Added(*blocks, conv(width, width)), enlarging(width, scale))


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
    "efdn": EFDN,
    "ntire25_efdn": EFDN,
    "ntire24_pfdnlite": PFDNLite,
    "ntire25_sgsdn": sgsdn,
    "rlfn": partial(rlfn, width=52, inner=52, depth=6),
    "rlfn/s": partial(rlfn, width=48, inner=48, depth=6),
    "rlfn/ntire": partial(rlfn, width=46, inner=48, depth=4),
    "fmen": fmen,
    "ntire26_amcanet": amcanet,
    "pan": PAN,
}
