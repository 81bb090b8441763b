"""Early networks, as distributed for Keras, MXNet, OpenCV and UpscalerJS; some see only the luma."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shapes.distilling import Fused
from benchmarks.shapes.parts import Added, conv


def enlarged(scale: int) -> nn.Module:
    """Comes before a network that works at full size."""
    return nn.Upsample(scale_factor=float(scale), mode="bicubic")


class OnLuma(nn.Module):
    """Runs a network on Y of a YCbCr picture; Cb and Cr are enlarged bilinearly, as OpenCV does."""

    def __init__(self, network: nn.Module, scale: int) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        colours = x[:, 1:]
        if self.scale > 1:
            colours = F.interpolate(colours, scale_factor=float(self.scale), mode="bilinear")
        return torch.cat([self.network(x[:, :1]), colours], 1)


def srcnn(scale: int) -> nn.Module:
    """Dong et al. 2014, SRCNN: the 9-1-5 of titu1994's Image-Super-Resolution, of RGB."""
    return nn.Sequential(enlarged(scale), conv(3, 64, 9), nn.ReLU(), conv(64, 32), nn.ReLU(), conv(32, 3, 5))


def dsrcnn(scale: int) -> nn.Module:
    """titu1994's denoising autoencoder, whose transposed convolutions of stride 1 are convolutions."""

    def layer(ins: int = 64) -> nn.Module:
        return nn.Sequential(conv(ins, 64, 3), nn.ReLU())

    return nn.Sequential(enlarged(scale), layer(3), Added(layer(), Added(layer()), layer()), conv(64, 3, 5))


class Dilated(nn.Module):
    """MSSRNet: convolutions of three dilations."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(ins, outs, 3, padding=d, dilation=d) for d in (1, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([layer(x) for layer in self.layers], 1)


def mssrnet(scale: int) -> nn.Module:
    """Shi et al. 2017, MSSRNet: dilated convolutions at full size, of Y."""
    layers = [
        layer for ins in (1, 24, 24, 24, 24) for layer in (Dilated(ins, 8), nn.ReLU(), conv(24, 24, 3), nn.ReLU())
    ]
    return nn.Sequential(enlarged(scale), OnLuma(Added(*layers, conv(24, 1, 3)), 1))


def espcn(scale: int) -> nn.Module:
    """Shi et al. 2016, ESPCN: fannymonori's, of Y, for OpenCV."""
    first = nn.Sequential(conv(1, 64, 5), nn.ReLU(), conv(64, 32, 3), nn.ReLU())
    return OnLuma(nn.Sequential(first, conv(32, scale**2, 3), nn.Tanh(), nn.PixelShuffle(scale)), scale)


class OneBias(nn.Module):
    """Adds the same learned value to all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.rand(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def fsrcnn(scale: int, width: int, narrow: int, depth: int) -> nn.Module:
    """Dong et al. 2016, FSRCNN: Saafke's, of Y, for OpenCV, with a pixel shuffle as the last layer."""
    sizes = [(1, width, 5), (width, narrow, 1), *[(narrow, narrow, 3)] * depth, (narrow, width, 1)]
    layers = [layer for ins, outs, size in sizes for layer in (conv(ins, outs, size), nn.PReLU(outs))]
    tail = nn.Sequential(conv(width, scale**2, bias=False), OneBias(), nn.PixelShuffle(scale))
    return OnLuma(nn.Sequential(*layers, tail), scale)


class Dense(nn.Module):
    """A block of RDN (Zhang et al. 2018), here of one layer, which adds `few` channels."""

    def __init__(self, width: int, few: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(conv(width, few, 3), nn.ReLU())
        self.fuse = conv(width + few, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(torch.cat([x, self.layer(x)], 1)) + x


def rdn(scale: int, width: int = 64) -> nn.Module:
    """UpscalerJS's esrgan-slim, its default model: a small RDN of idealo's, which enlarges by repeating pixels."""
    colours = 3 * scale**2
    blocks = [nn.Sequential(conv(width, width, 3), Dense(width, 4)), Dense(width, 4)]
    fuse = nn.Sequential(conv(2 * width, width), conv(width, width, 3))
    tail = nn.Sequential(
        *(conv(width, 64, 5), nn.ReLU(), conv(64, 32, 3), nn.ReLU(), conv(32, colours, 3)),
        nn.Upsample(scale_factor=float(scale)),
        conv(colours, 3, 3),
    )
    return Fused(conv(3, width, 3), blocks, fuse, tail)


SHAPES: dict[str, Callable[[int], nn.Module]] = {
    "titu_autoencoder/srcnn915": srcnn,
    "titu_autoencoder/dsrcnn": dsrcnn,
    "mxnet_zoo/MSSRNet": mssrnet,
    "opencv_superres/ESPCN": espcn,
    "opencv_superres/FSRCNN": partial(fsrcnn, width=56, narrow=12, depth=4),
    "opencv_superres/FSRCNN-small": partial(fsrcnn, width=32, narrow=5, depth=1),
    "upscalerjs/slim": rdn,
}
