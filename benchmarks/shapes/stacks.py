"""Plain stacks of 3x3 convolutions, which ECBSR and ETDS are once they are folded."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.shapes.parts import Repeated


class ECBSR(nn.Module):
    """Zhang et al. 2021: PReLUs between the convolutions, and each pixel repeated is added."""

    def __init__(self, depth: int, width: int, scale: int) -> None:
        super().__init__()
        inner = [layer for _ in range(depth) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width))]
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.PReLU(width),
            *inner,
            nn.Conv2d(width, 3 * scale**2, 3, padding=1),
        )
        self.repeated = Repeated(scale)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shuffle(self.layers(x) + self.repeated(x))
        return y


class ETDS(nn.Module):
    """Chao et al. 2023: a ReLU after each convolution; the picture itself is among the channels."""

    def __init__(self, depth: int, width: int, scale: int) -> None:
        super().__init__()
        colours = 3 * scale**2
        last = colours + colours % 2  # one more at x3, so that they are a multiple of four
        sizes = [3, *[width] * (depth + 1), last]
        convolutions = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes)]
        convolutions.append(nn.Conv2d(last, last, 1))
        self.layers = nn.Sequential(*(layer for conv in convolutions for layer in (conv, nn.ReLU())))
        self.shuffle = nn.PixelShuffle(scale)
        self.colours = colours

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shuffle(torch.narrow(self.layers(x), 1, 0, self.colours))
        return y


SHAPES: dict[str, Callable[[int], nn.Module]] = {
    **{f"ecbsr/M{depth}C{width}": partial(ECBSR, depth, width) for depth, width in ((4, 16), (4, 32), (6, 40))},
    **{f"etds/M{depth}C{width}": partial(ETDS, depth, width) for depth, width in ((5, 16), (4, 32), (6, 32), (7, 48))},
}
