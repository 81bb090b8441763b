"""Layers that several networks share."""

from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size, or halves it at stride 2."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)


class Doubled(nn.Module):
    """(N, C, H, W) -> (N, C, 2 * H, 2 * W): each pixel four times."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), as in EDSR (Lim et al. 2017): no normalisation, which would blur the range."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width)
        self.conv2 = conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


def parameter_count(model: nn.Module) -> int:
    """The number of learned values in a module."""
    return sum(p.numel() for p in model.parameters())
