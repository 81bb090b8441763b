"""Networks that modulate or gate their features by what they pool from them, as SAFMN and its heirs do."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shapes.parts import Added, PixelNorm, conv, enlarging, local_variance, max_pooled, unit


class Network(nn.Module):
    """A convolution, a body and a pixel shuffle, to whose result the picture, enlarged, may be added."""

    def __init__(self, dim: int, body: nn.Module, scale: int, bias: bool = True, enlarged: bool = False) -> None:
        super().__init__()
        self.first = conv(3, dim, 3, bias=bias)
        self.body = body
        self.last = enlarging(dim, scale, bias=bias)
        self.scale, self.enlarged = scale, enlarged

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.body(self.first(x)))
        return y + F.interpolate(x, scale_factor=float(self.scale), mode="bilinear") if self.enlarged else y


class SAFM(nn.Module):
    """Spatially-adaptive feature modulation (SAFMN, Sun et al. 2023), of four parts of the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.ModuleList(conv(dim // 4, dim // 4, 3, groups=dim // 4) for _ in range(4))
        self.mix = nn.Sequential(conv(dim, dim), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        size = (int(x.shape[2]), int(x.shape[3]))
        first, *parts = x.chunk(4, dim=1)
        levels = [self.depthwise[0](first)]
        for i, part in enumerate(parts, 1):
            levels.append(F.interpolate(self.depthwise[i](max_pooled(part, 2**i)), size=size))
        y: Tensor = self.mix(torch.cat(levels, dim=1)) * x
        return y


def safmn_deep15(scale: int) -> nn.Module:
    """SAFMN_Deep15, MDAP's entry to NTIRE 2026 (Efficient Super-Resolution)."""

    def block(dim: int) -> nn.Module:
        mlp = nn.Sequential(conv(dim, 2 * dim), nn.GELU(), conv(2 * dim, dim))
        return nn.Sequential(
            Added(nn.GroupNorm(1, dim), SAFM(dim)),
            Added(nn.GroupNorm(1, dim), mlp),
        )

    return Network(40, Added(*(block(40) for _ in range(15))), scale, enlarged=True)


class SimpleSAFM(nn.Module):
    """The modulation of `part` of the channels in SAFMN++ (Sun et al. 2024) and, with their variance, in SAFMNv3."""

    def __init__(self, dim: int, part: int, variance: bool) -> None:
        super().__init__()
        self.parts = (part, dim - part)
        projections = self.parts if variance else (dim,)
        self.project = nn.ModuleList(conv(dim, n, 3, bias=False) for n in projections)
        self.depthwise = conv(part, part, 3, groups=part, bias=False)
        self.mix_variance = conv(part, part, bias=False) if variance else None
        self.mix = conv(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projected = [project(x) for project in self.project]
        part, rest = projected if self.mix_variance else projected[0].split(self.parts, dim=1)
        low = self.depthwise(max_pooled(part, 8))
        if self.mix_variance:
            low = self.mix_variance(low + part.var(dim=(2, 3), keepdim=True))
        low = F.interpolate(low, size=(int(x.shape[2]), int(x.shape[3])), mode="bilinear")
        y: Tensor = self.mix(F.gelu(torch.cat([rest, F.gelu(low) * part], dim=1)))
        return y


def simple_safmn(
    scale: int, dim: int, blocks: int, part: int, mixer: int, variance: bool = False, light: bool = False
) -> nn.Module:
    """SAFMN++ (Sun et al. 2024), its light form, or SAFMNv3 (NTIRE 2025); `mixer` is the side of the mixer's kernel."""
    hidden = dim * 3 // 2
    sequence = nn.Sequential if light else Added
    body = (
        sequence(
            SimpleSAFM(dim, part, variance),
            conv(dim, hidden, mixer, bias=False),
            nn.GELU(),
            conv(hidden, dim, bias=False),
        )
        for _ in range(blocks)
    )
    return Network(dim, (Added if light else nn.Sequential)(*body), scale, bias=False, enlarged=not light)


class VarianceModulation(nn.Module):
    """Features times a gate of their pooled maxima and their variance, that of each window or of all (SMFANet)."""

    def __init__(self, dim: int, step: int = 8, local: bool = False, weighted: bool = True) -> None:
        super().__init__()
        self.depthwise = conv(dim, dim, 3, groups=dim)
        self.mix = nn.Sequential(conv(dim, dim), nn.GELU())
        self.alpha = nn.Parameter(torch.ones(1, dim, 1, 1)) if weighted else None
        self.beta = nn.Parameter(torch.zeros(1, dim, 1, 1)) if weighted else None
        self.step, self.local = step, local

    def forward(self, x: Tensor) -> Tensor:
        h, w = int(x.shape[2]), int(x.shape[3])
        largest = self.depthwise(max_pooled(x, self.step))
        if self.local:
            rows, columns = h // self.step, w // self.step
            tall, wide = h // rows, w // columns  # the windows' strides
            variance = local_variance(x, (h - (rows - 1) * tall, w - (columns - 1) * wide), (tall, wide))
        else:
            variance = x.var(dim=(2, 3), keepdim=True)
        if self.alpha is not None and self.beta is not None:
            largest, variance = largest * self.alpha, variance * self.beta
        return x * F.interpolate(self.mix(largest + variance), size=(h, w))


class SMFA(nn.Module):
    """SMFANet's aggregation (Zheng et al. 2024): the modulation beside local details."""

    def __init__(self, dim: int, weighted: bool) -> None:
        super().__init__()
        self.project = conv(dim, 2 * dim)
        self.modulate = VarianceModulation(dim, weighted=weighted)
        self.details = nn.Sequential(
            conv(2 * dim, 2 * dim, 3, groups=2 * dim), conv(2 * dim, 2 * dim), nn.GELU(), conv(2 * dim, dim)
        )
        self.mix = conv(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        details, x = self.project(unit(x)).chunk(2, dim=1)
        # Theirs is a convolution with two filters for each channel: this is faster, and the same but for their order.
        y: Tensor = self.mix(self.modulate(x) + self.details(torch.cat([details, details], dim=1)))
        return y


class PCFN(nn.Module):
    """SMFANet's feed-forward part: a quarter of the hidden channels has a 3x3 convolution."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.parts = (hidden // 4, hidden - hidden // 4)
        self.widen, self.narrow = conv(dim, hidden), conv(hidden, dim)
        self.partial = conv(hidden // 4, hidden // 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        part, rest = F.gelu(self.widen(unit(x))).split(self.parts, dim=1)
        y: Tensor = self.narrow(torch.cat([F.gelu(self.partial(part)), rest], dim=1))
        return y


def smfanet(scale: int, dim: int, blocks: int, hidden: int, entry: bool = False) -> nn.Module:
    """SMFANet (Zheng et al. 2024) or its entry to NTIRE 2024, which has fewer biases and no weights of the variance."""
    body = (nn.Sequential(Added(SMFA(dim, weighted=not entry)), Added(PCFN(dim, hidden))) for _ in range(blocks))
    return Network(dim, Added(*body), scale, bias=not entry)


class MVFMB(nn.Module):
    """MVFMNet's modulation: by the variances of windows of two sizes."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = conv(dim, 3 * dim)
        self.coarse = VarianceModulation(dim, 7, local=True)
        self.fine = VarianceModulation(dim, 5, local=True)
        self.details = nn.Sequential(
            conv(dim, 2 * dim), nn.GELU(), conv(2 * dim, 2 * dim, 3, groups=2 * dim), nn.GELU()
        )
        self.mix = conv(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        coarse, details, fine = self.project(x).chunk(3, dim=1)
        modulated = torch.cat([self.coarse(coarse), self.fine(fine)], dim=1)
        y: Tensor = self.mix(self.details(details) + modulated)
        return y


class SGFN(nn.Module):
    """MVFMNet's feed-forward part, which gates twice."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.widen = nn.Sequential(
            conv(dim, 4 * dim, bias=False), conv(4 * dim, 4 * dim, 3, groups=4 * dim, bias=False)
        )
        self.narrow = conv(2 * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d = self.widen(x).chunk(4, dim=1)
        y: Tensor = self.narrow(torch.cat([F.gelu(b) * a, F.gelu(c) * d], dim=1))
        return y


def mvfmnet(scale: int) -> nn.Module:
    """MVFMNet, the multi-level variance feature modulation network, an entry to NTIRE 2025."""

    def block(dim: int) -> nn.Module:
        norm = PixelNorm(dim)  # one for both
        return nn.Sequential(Added(norm, MVFMB(dim)), Added(norm, SGFN(dim)))

    return Network(26, Added(*(block(26) for _ in range(6))), scale)


SHAPES: dict[str, Callable[[int], nn.Module]] = {
    "ntire26_safmn_deep15": safmn_deep15,
    "ntire24_smfan": partial(smfanet, dim=24, blocks=8, hidden=36, entry=True),
    "ntire25_mvfmnet": mvfmnet,
    "ntire25_safmnv3": partial(simple_safmn, dim=40, blocks=6, part=12, mixer=1, variance=True),
    "ntire24_safmnpp": partial(simple_safmn, dim=36, blocks=6, part=12, mixer=3),
    "light_safmnpp": partial(simple_safmn, dim=32, blocks=2, part=16, mixer=3, light=True),
    **{f"smfanet/{data}": partial(smfanet, dim=36, blocks=8, hidden=72) for data in ("DIV2K", "DF2K")},
    **{f"smfanet/plus_{data}": partial(smfanet, dim=48, blocks=12, hidden=96) for data in ("DIV2K", "DF2K")},
}
