"""Networks of few and plain convolutions: PlainUSR, FSRCNN, ESPCN, XLSR, ABPN and CARN-M."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.shapes.parts import Added, Repeated, enlarging
from sr_model.networks.layers import conv3x3


class OnFirst(nn.Module):
    """Changes the first channels and passes the others on; its authors write the first ones in place."""

    def __init__(self, changed: int, others: int, body: nn.Module) -> None:
        super().__init__()
        self.sizes = [changed, others]
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        first, others = x.split(self.sizes, dim=1)
        return torch.cat([self.body(first), others], dim=1)


class SoftPool(nn.Module):
    """The mean of 7x7 pixels, weighed by their exponentials, at a third of the size."""

    def forward(self, x: Tensor) -> Tensor:
        weights = x.exp()
        return F.avg_pool2d(weights * x, 7, stride=3) / F.avg_pool2d(weights, 7, stride=3)


class LocalAttention(nn.Module):
    """Weighs pixels by their importance, which is found at a sixth of the size, and by the first channel."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.importance = nn.Sequential(
            nn.Conv2d(width, inner, kernel_size=1),
            SoftPool(),
            conv3x3(inner, inner, stride=2),
            conv3x3(inner, width),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        importance = F.interpolate(self.importance(x), (x.shape[2], x.shape[3]), mode="bilinear")
        return x * importance * x[:, :1].sigmoid()


class FullSizeAttention(nn.Module):
    """Weighs pixels by their importance, found by one convolution, and by the first channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.importance = conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x * x[:, :1].sigmoid() * self.importance(x).sigmoid()


def plain_block(width: int, convolutions: int = 2) -> nn.Sequential:
    """Convolutions with leaky ReLUs between them; each is an inverted bottleneck with a skip in training."""
    activated = [layer for _ in range(convolutions - 1) for layer in (conv3x3(width, width), nn.LeakyReLU(0.05))]
    return nn.Sequential(*activated, conv3x3(width, width))


def plain_usr(
    scale: int, widths: list[int], block: Callable[[int], nn.Module], innermost: Callable[[int], nn.Module]
) -> nn.Sequential:
    """PlainUSR (Wang et al. 2024): blocks of ever fewer of the channels, and back; the colours pass by all of them."""
    body = innermost(widths[-1])
    for outer, inner in reversed(list(pairwise(widths))):
        body = nn.Sequential(block(outer), OnFirst(inner, outer - inner, body), block(outer))
    width = widths[0]
    return nn.Sequential(conv3x3(3, width + 3), OnFirst(width, 3, body), enlarging(width + 3, scale))


def small_plain_usr(scale: int, widths: list[int]) -> nn.Sequential:
    """PlainUSR with attention in the innermost block alone."""
    return plain_usr(scale, widths, plain_block, lambda w: nn.Sequential(plain_block(w), FullSizeAttention(w)))


def large_plain_usr(scale: int, widths: list[int], attention: int, convolutions: int = 2) -> nn.Sequential:
    """PlainUSR with attention in every block."""

    def block(width: int) -> nn.Sequential:
        return nn.Sequential(plain_block(width, convolutions), LocalAttention(width, attention))

    return plain_usr(scale, widths, block, block)


def fsrcnn(scale: int) -> nn.Sequential:
    """FSRCNN (Dong et al. 2016), of RGB as in ETDS (Chao et al. 2023)."""
    middle = [layer for _ in range(4) for layer in (conv3x3(12, 12), nn.PReLU(12))]
    return nn.Sequential(
        nn.Conv2d(3, 56, kernel_size=5, padding=2),
        nn.PReLU(56),
        nn.Conv2d(56, 12, kernel_size=1),
        nn.PReLU(12),
        *middle,
        nn.Conv2d(12, 56, kernel_size=1),
        nn.PReLU(56),
        nn.ConvTranspose2d(56, 3, kernel_size=9, stride=scale, padding=4, output_padding=scale - 1),
    )


def espcn(scale: int) -> nn.Sequential:
    """ESPCN (Shi et al. 2016), of RGB as in ETDS (Chao et al. 2023)."""
    return nn.Sequential(
        nn.Conv2d(3, 64, kernel_size=5, padding=2),
        nn.Tanh(),
        conv3x3(64, 32),
        nn.Tanh(),
        conv3x3(32, 3 * scale**2),
        nn.Sigmoid(),  # theirs is after the shuffle, which makes no difference
        nn.PixelShuffle(scale),
    )


class XLSR(nn.Module):
    """XLSR (Ayazoglu 2021), with its first four convolutions of 8 channels as one of 32."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        grouped = [
            layer
            for _ in range(3)
            for layer in (
                nn.Conv2d(32, 32, kernel_size=3, padding=1, groups=4),
                nn.ReLU(),
                nn.Conv2d(32, 32, kernel_size=1),
            )
        ]
        self.body = nn.Sequential(conv3x3(3, 32), nn.ReLU(), nn.Conv2d(32, 32, kernel_size=1), *grouped)
        self.side = conv3x3(3, 16)
        self.tail = nn.Sequential(nn.Conv2d(48, 32, kernel_size=1), nn.ReLU(), conv3x3(32, 3 * scale**2))
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.tail(torch.cat([self.body(x), self.side(x)], dim=1)).clamp(0, 1))


class ABPN(nn.Module):
    """ABPN (Du et al. 2021), of the sizes of ETDS (Chao et al. 2023): convolutions add to the repeated picture."""

    def __init__(self, scale: int, blocks: int, width: int) -> None:
        super().__init__()
        outputs = 3 * scale**2
        middle = [layer for _ in range(blocks) for layer in (conv3x3(width, width), nn.ReLU())]
        head = [conv3x3(3, width), nn.ReLU(), *middle, conv3x3(width, outputs), nn.ReLU()]
        self.body = nn.Sequential(*head, conv3x3(outputs, outputs))
        self.repeated = Repeated(scale)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.body(x) + self.repeated(x))


class Cascade(nn.Module):
    """Runs units of 64 channels; all that came before is merged for each next one."""

    def __init__(self, units: Iterable[nn.Module]) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.merges = nn.ModuleList(
            [nn.Conv2d(64 * count, 64, kernel_size=1) for count in range(2, 2 + len(self.units))]
        )

    def forward(self, x: Tensor) -> Tensor:
        before = x
        for unit, merge in zip(self.units, self.merges, strict=True):
            before = torch.cat([before, unit(x)], dim=1)
            x = F.relu(merge(before))
        return x


def grouped_residual() -> nn.Sequential:
    """CARN-M's residual block: two convolutions of four groups and one of single pixels."""
    layers = [layer for _ in range(2) for layer in (nn.Conv2d(64, 64, kernel_size=3, padding=1, groups=4), nn.ReLU())]
    return nn.Sequential(Added(*layers, nn.Conv2d(64, 64, kernel_size=1)), nn.ReLU())


def carn_m(scale: int) -> nn.Sequential:
    """CARN-M (Ahn et al. 2018), for one scale; its blocks run one residual block three times."""
    enlarging = [
        layer
        for step in ([2, 2] if scale == 4 else [scale])
        for layer in (
            nn.Conv2d(64, 64 * step**2, kernel_size=3, padding=1, groups=4),
            nn.ReLU(),
            nn.PixelShuffle(step),
        )
    ]
    return nn.Sequential(
        nn.Conv2d(3, 3, kernel_size=1),  # takes the mean colour away
        conv3x3(3, 64),
        Cascade([Cascade([grouped_residual()] * 3) for _ in range(3)]),
        *enlarging,
        conv3x3(64, 3),
        nn.Conv2d(3, 3, kernel_size=1),  # and adds it again
    )


# The widths of T and M are in no source; these are the only ones that give the published parameters at x2 and x4.
SHAPES: dict[str, Callable[[int], nn.Module]] = {
    "plainusr/U": partial(small_plain_usr, widths=[16, 8]),
    "plainusr/T": partial(small_plain_usr, widths=[32, 16]),
    "plainusr/S": partial(large_plain_usr, widths=[32, 16, 8], attention=4),
    "plainusr/M": partial(large_plain_usr, widths=[48, 32, 16], attention=8),
    "plainusr/B": partial(large_plain_usr, widths=[64, 48, 32], attention=16),
    "plainusr/L": partial(large_plain_usr, widths=[80, 64, 48], attention=16, convolutions=3),
    "fsrcnn_rgb": fsrcnn,
    "espcn_rgb": espcn,
    "xlsr": XLSR,
    "abpn/M4C28": partial(ABPN, blocks=4, width=28),
    "abpn/M6C40": partial(ABPN, blocks=6, width=40),
    "carn_m": carn_m,
}
