"""Networks of SPAN's blocks, whose attention has no parameters: SPAN, DSCF, ESPAN, SPANF and PDS."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.shapes.parts import Centred, conv, enlarging


class SPAB(nn.Module):
    """The parameter-free attention of SPAN (Wan et al. 2024), its branches folded into `depth` convolutions."""

    def __init__(self, dim: int, depth: int = 3, enter: nn.Module | None = None) -> None:
        super().__init__()
        self.enter = nn.Sequential(enter or conv(dim, dim, 3), nn.SiLU())
        middle = [layer for _ in range(depth - 2) for layer in (conv(dim, dim, 3), nn.SiLU())]
        self.leave = nn.Sequential(*middle, conv(dim, dim, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x, self.enter(x))

    def attend(self, x: Tensor, inside: Tensor) -> Tensor:
        y = self.leave(inside)
        return (y + x) * (torch.sigmoid(y) - 0.5)


class SPAN(nn.Module):
    """Wan et al. 2024: fuses an activation inside the last block (its SiLU is in place); ESPAN, the block's output."""

    def __init__(self, scale: int, dim: int, head: int = 3, espan: bool = False) -> None:
        super().__init__()
        self.head, self.first = conv(3, dim, head), SPAB(dim)
        self.middle = nn.Sequential(*(SPAB(dim) for _ in range(4)))
        self.last, self.after = SPAB(dim, 2 if espan else 3), conv(dim, dim, 3)
        self.tail = nn.Sequential(conv(4 * dim, dim), enlarging(dim, scale))
        self.espan = espan

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        first = self.first(head)
        x = self.middle(first)
        inside = self.last.enter(x)
        last = self.last.attend(x, inside)
        y: Tensor = self.tail(torch.cat([head, self.after(last), first, last if self.espan else inside], dim=1))
        return y


def span(scale: int, dim: int) -> nn.Module:
    """SPAN, SPAN-tiny (NTIRE 2024) and DSCF (NTIRE 2025), which differ only in width and training."""
    return Centred(SPAN(scale, dim), restored=False)


class DSCFFused(nn.Module):
    """VARH-AI's entry to NTIRE 2026: DSCF with two pairs of convolutions folded into one each."""

    def __init__(self, scale: int, dim: int = 26) -> None:
        super().__init__()
        self.head, self.first = conv(3, dim, 3), SPAB(dim, enter=conv(3, dim, 5))
        self.middle, self.last = nn.Sequential(*(SPAB(dim) for _ in range(4))), SPAB(dim)
        self.fuse, self.after = conv(3 * dim, dim), conv(dim, dim, 3, bias=False)
        self.tail = enlarging(dim, scale)

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        first = self.first.attend(head, self.first.enter(x))
        x = self.middle(first)
        inside = self.last.enter(x)
        fused = self.fuse(torch.cat([head, first, inside], dim=1))
        y: Tensor = self.tail(fused + self.after(self.last.attend(x, inside)))
        return y


class SPANF(nn.Module):
    """SPANF, an entry to NTIRE 2025, and PDS, one to NTIRE 2026, which is `narrow` before its last convolution."""

    def __init__(self, scale: int, narrow: int, dim: int = 32) -> None:
        super().__init__()
        colours = 3 * scale**2
        self.near = conv(3, colours, 3, groups=3, bias=False)
        self.first = nn.Sequential(conv(3, dim, 3), nn.SiLU(), conv(dim, dim, 3), nn.SiLU(), conv(dim, dim, 3))
        self.blocks = nn.Sequential(*(SPAB(dim) for _ in range(4)))
        self.last = nn.Sequential(conv(colours + 2 * dim, narrow), conv(narrow, colours, 3), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        y: Tensor = self.last(torch.cat([self.near(x), self.blocks(first), first], dim=1))
        return y


SHAPES: dict[str, Callable[[int], nn.Module]] = {
    "ntire26_span": partial(span, dim=28),
    "ntire24_spantiny": partial(span, dim=26),
    "ntire25_dscf": partial(span, dim=26),
    "ntire26_dscf_fused": lambda scale: Centred(DSCFFused(scale), restored=False),
    "ntire25_espan": partial(SPAN, dim=32, head=9, espan=True),
    "ntire25_spanf": partial(SPANF, narrow=32),
    "ntire26_pds": partial(SPANF, narrow=20),
}
