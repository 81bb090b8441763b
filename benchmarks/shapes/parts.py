"""Parts that several shapes share."""

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(ins: int, outs: int, size: int | tuple[int, int] = 1, groups: int = 1, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps height and width."""
    return nn.Conv2d(ins, outs, size, padding="same", groups=groups, bias=bias)


def depthwise(width: int, kernel: int = 3, dilation: int = 1, bias: bool = True) -> nn.Conv2d:
    padding = kernel // 2 * dilation
    return nn.Conv2d(width, width, kernel, padding=padding, dilation=dilation, groups=width, bias=bias)


def blueprint(
    a: int, b: int, stride: int = 1, padding: int = 1, reflect: bool = False, bias: bool = False
) -> nn.Sequential:
    """Haase and Amthor 2020: a 1x1 convolution, with a bias if `bias`, before a depthwise one."""
    across = nn.Conv2d(b, b, 3, stride, padding, groups=b, padding_mode="reflect" if reflect else "zeros")
    return nn.Sequential(nn.Conv2d(a, b, 1, bias=bias), across)


def enlarging(width: int, scale: int, kernel: int = 3, bias: bool = True) -> nn.Sequential:
    convolution = nn.Conv2d(width, 3 * scale**2, kernel, padding=kernel // 2, bias=bias)
    return nn.Sequential(convolution, nn.PixelShuffle(scale))


def unit(x: Tensor) -> Tensor:
    """F.normalize over the channels, written so that OpenVINO makes one operation of it."""
    return x / x.square().sum(1, keepdim=True).clamp_min(1e-24).sqrt()


def max_pooled(x: Tensor, step: int) -> Tensor:
    """Adaptive max pooling to a `step`-th of each side, rounded down, by plain pooling, which is faster."""
    sides = (int(x.shape[2]), int(x.shape[3]))
    counts = [max(1, side // step) for side in sides]
    even = [side // count if side % count == 0 else 1 for side, count in zip(sides, counts, strict=True)]
    if max(even) > 1:
        x = F.max_pool2d(x, even)
    for dim, side, count, length in zip((2, 3), sides, counts, even, strict=True):
        if length == 1 and side > count:  # windows overlap: each is copied, and shorter ones repeat their last element
            starts = torch.arange(count) * side // count
            ends = -(-(torch.arange(count) + 1) * side // count)
            longest = int((ends - starts).max())
            places = torch.minimum(starts[:, None] + torch.arange(longest), ends[:, None] - 1)
            x = F.max_pool2d(x.index_select(dim, places.flatten()), (longest, 1) if dim == 2 else (1, longest))
    return x


def local_variance(x: Tensor, size: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """The unbiased variance of each window, from the means of values and of squares."""
    n = size[0] * size[1]
    mean = F.avg_pool2d(x, size, stride)
    y: Tensor = (F.avg_pool2d(x * x, size, stride) - mean * mean) * (n / (n - 1))
    return y


def bilinear(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


class Added(nn.Sequential):
    """x + f(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


class PixelNorm(nn.LayerNorm):
    """Over the channels of each pixel, written so that OpenVINO finds an operation for it and reorders nothing."""

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.uniform_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = (p.view(-1, 1, 1) for p in (self.weight * sqrt(len(self.weight)), self.bias))
        x = x - x.mean(1, keepdim=True)
        return x / (x.square().sum(1, keepdim=True) + self.eps * len(self.weight)).sqrt() * weight + bias


class Centred(nn.Module):
    """Runs a network on pictures minus DIV2K's mean colour, which is added back if `restored`."""

    mean: Tensor

    def __init__(self, network: nn.Module, restored: bool = True) -> None:
        super().__init__()
        self.network, self.restored = network, restored
        self.register_buffer("mean", torch.tensor((0.4488, 0.4371, 0.4040)).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network(x - self.mean)
        return y + self.mean if self.restored else y


class Repeated(nn.Module):
    """Each colour as often as a pixel shuffle wants it: `repeat_interleave`, but OpenVINO adds it without copies."""

    weight: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(3).repeat_interleave(scale**2, dim=0)[:, :, None, None].contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight)


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


class SpatialGate(nn.Module):
    """Liu et al. 2020, RFANet: pixels weighed by few channels and a coarse map of them, which `inner` goes on with."""

    def __init__(self, width: int, few: int, *inner: nn.Module, reduce: nn.Module | None = None) -> None:
        super().__init__()
        self.squeeze, self.expand = nn.Conv2d(width, few, 1), nn.Conv2d(few, width, 1)
        self.fine = nn.Conv2d(few, few, 1)
        self.coarse = nn.Sequential(reduce or nn.Conv2d(few, few, 3, 2), nn.MaxPool2d(7, 3), *inner)

    def forward(self, x: Tensor) -> Tensor:
        y = self.squeeze(x)
        return x * torch.sigmoid(self.expand(bilinear(self.coarse(y), x) + self.fine(y)))
