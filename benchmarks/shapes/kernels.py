"""Networks whose attention looks far by large depthwise kernels: LKDN, VapSR and CFSR."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from benchmarks.shapes.distilling import Distilled, FourTimes, Fused
from benchmarks.shapes.parts import Added, Centred, PixelNorm, Scaled, Times, blueprint, conv, depthwise, enlarging


def large_kernel(width: int) -> nn.Module:
    """Guo et al. 2023, VAN: each pixel is weighed by those around it."""
    return Times(conv(width, width), depthwise(width, 5), depthwise(width, 5, 3))


def lkdn(scale: int, width: int, depth: int) -> nn.Module:
    """Xie et al. 2023, LKDN; the skips and branches that LKDN-S has in training are folded."""

    def block() -> nn.Module:
        stages = [nn.Sequential(blueprint(width, width), nn.GELU()) for _ in range(3)]
        near = Distilled(width, width // 2, stages, blueprint(width, width // 2))
        return Added(near, large_kernel(width), conv(width, width), PixelNorm(width))

    head = nn.Sequential(FourTimes(), blueprint(12, width))
    fuse = nn.Sequential(conv(depth * width, width), nn.GELU(), blueprint(width, width))
    return Fused(head, [block() for _ in range(depth)], fuse, enlarging(width, scale))


def vapsr(scale: int, width: int, depth: int, groups: int = 1, wide: int = 64) -> nn.Module:
    """Zhou et al. 2022, VapSR: pixel attention of a vast receptive field."""

    def block() -> nn.Module:
        attention = Added(conv(width, wide), nn.GELU(), large_kernel(wide), conv(wide, width))
        return nn.Sequential(attention, PixelNorm(width))

    body = Added(*(block() for _ in range(depth)), conv(width, width, 3, groups))
    if scale == 4:
        tail = nn.Sequential(conv(width, 64, 3), nn.PixelShuffle(2), nn.LeakyReLU(0.1), enlarging(16, 2))
    else:
        tail = nn.Sequential(conv(width, 56, 3), nn.LeakyReLU(0.1), enlarging(56, scale))
    return nn.Sequential(conv(3, width, 3), body, tail)


class Modulated(nn.Module):
    """CFSR: values times what a large kernel makes of the features."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(conv(width, width), nn.GELU(), depthwise(width, size))
        self.values = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.weights(x) * self.values(x)
        return y


def cfsr(scale: int, width: int = 48) -> nn.Module:
    """Wu et al. 2024, CFSR: a transformer of convolutions, with its edge filters folded into them."""

    def block() -> nn.Module:
        far = Added(PixelNorm(width, 1e-6), Modulated(width, 9), conv(width, width), Scaled(width))
        near = Added(depthwise(2 * width), nn.GELU())
        layers = nn.Sequential(conv(width, 2 * width), nn.GELU(), near, conv(2 * width, width))
        return nn.Sequential(far, Added(PixelNorm(width, 1e-6), layers, Scaled(width)))

    stages = [nn.Sequential(*(block() for _ in range(6)), Added(conv(width, width))) for _ in range(2)]
    body = Added(*stages, PixelNorm(width, 1e-6), conv(width, width, 3))
    return Centred(nn.Sequential(conv(3, width, 3), body, enlarging(width, scale)))


SHAPES: dict[str, Callable[[int], nn.Module]] = {
    "lkdn": partial(lkdn, width=56, depth=8),
    "lkdn/S": partial(lkdn, width=42, depth=5),
    "vapsr": lambda scale: vapsr(scale, width=48, depth=21 if scale == 4 else 20),
    "vapsr/S": partial(vapsr, width=32, depth=11, groups=2),
    "cfsr": cfsr,
}
