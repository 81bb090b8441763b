"""The fast autoencoder: plain convolutions, each followed by a ReLU, which suit 8-bit arithmetic."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.networks.base import BicubicPlus, check_scale
from sr_model.networks.layers import Doubled, conv3x3

OFFSET = 0.2


@dataclass(frozen=True)
class PlainConfig:
    """Everything needed to rebuild a `PlainAutoencoder`; saved with the weights."""

    scale: int  # how many times larger the output is, per side: one of SCALES
    width: int  # channels at the input's resolution
    latent_width: int  # channels of the latent, at half the input's resolution
    encoder_layers: int  # convolutions at the input's resolution, before the latent
    latent_layers: int  # convolutions at half resolution
    decoder_layers: int  # convolutions at the input's resolution, after the latent has joined the skip path

    def __post_init__(self) -> None:
        check_scale(self.scale)


def _layers(width: int, count: int) -> nn.Sequential:
    """`count` times a 3x3 convolution and a ReLU."""
    return nn.Sequential(*(layer for _ in range(count) for layer in (passing_conv3x3(width), nn.ReLU())))


def passing_conv3x3(width: int) -> nn.Conv2d:
    """A 3x3 convolution that starts as the identity plus noise: a residual connection in one kernel.

    A stack of these trains like a residual network and runs without its additions, as in RepVGG (Ding et al. 2021).
    """
    conv = conv3x3(width, width)
    with torch.no_grad():
        identity = nn.init.dirac_(torch.empty_like(conv.weight))
        conv.weight.mul_(0.5).add_(identity)
        nn.init.zeros_(conv.get_parameter("bias"))
    return conv


class Encoder(nn.Module):
    """(N, 3, H, W) -> skip (N, width, H, W) and latent (N, latent_width, H/2, W/2), neither negative."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.stem = conv3x3(3, config.width)
        self.layers = _layers(config.width, config.encoder_layers)
        self.down = conv3x3(config.width, config.latent_width, stride=2)
        self.latent_layers = _layers(config.latent_width, config.latent_layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.layers(F.relu(self.stem(x)))
        latent = self.latent_layers(F.relu(self.down(skip)))
        return skip, latent


class Decoder(nn.Module):
    """The two tensors of `Encoder` -> (N, 3 * scale**2, H, W), the detail that bicubic misses."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        up = nn.Conv2d(config.latent_width, config.width, kernel_size=1)
        tail = conv3x3(config.width, 3 * config.scale**2)
        self.up = nn.Sequential(up, nn.ReLU(), Doubled())
        self.join = passing_conv3x3(config.width)
        self.layers = _layers(config.width, config.decoder_layers)
        self.tail = nn.Sequential(tail)  # a sequence, as the files of weights name it
        self.shuffle = nn.PixelShuffle(config.scale)  # of what `forward` returns, where the whole is put together
        # The latent's path starts near zero, so the network starts as bicubic, as in `autoencoder`.
        for conv in (up, tail):
            nn.init.normal_(conv.weight, std=1e-3)
            nn.init.zeros_(conv.get_parameter("bias"))
        # What the latent adds may be negative: OFFSET lifts it above its ReLU, and `join` subtracts it again.
        nn.init.constant_(up.get_parameter("bias"), OFFSET)
        nn.init.constant_(self.join.get_parameter("bias"), -OFFSET)

    def forward(self, skip: Tensor, latent: Tensor) -> Tensor:
        x = F.relu(self.join(skip) + self.up(latent))  # (N, width, H, W)
        return self.tail(self.layers(x))


class PlainAutoencoder(BicubicPlus):
    """A stack of plain convolutions with a latent beside it.

    The only sum can be fused into a convolution, and no tensor between layers is negative: in 8 bits every layer reads
    and writes bytes.
    """

    float_modules = ("decoder.shuffle",)  # of the result

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config, Encoder(config), Decoder(config))

    @property
    def receptive_field(self) -> int:
        """Each 3x3 convolution adds 1 at full and 2 at half resolution; at most 1 more where the grids do not align."""
        c = self.config
        full = 1 + c.encoder_layers + 1 + c.decoder_layers + 1
        return int(full + 2 * c.latent_layers + 1)
