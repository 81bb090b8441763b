"""The networks of the two Keras tutorials that this project grew out of, layer for layer.

By default both are as they were, with Keras' initialisation (Glorot and Bengio 2010, biases 0); their options are what
the authors wished for. They pool, so sizes that are not multiples of their stride are padded by repeating the border,
and the result is cropped.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.imaging.resampling import bicubic_times
from sr_model.networks.base import Network, check_scale
from sr_model.networks.layers import ResidualBlock, conv3x3

POOLED = 4  # both halve twice on the way to their latent


class _Tutorial(Network):
    """A network whose body makes the whole output: bicubic, if any, comes before the body, not beside it."""

    float_modules = ("tail",)

    def finish(self, y: Tensor, x: Tensor, enlarged: Tensor) -> Tensor:
        """What `body` returned, cropped to the size of the enlarged input."""
        h, w = enlarged.shape[-2:]
        return y[..., :h, :w]

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        return self.body(self.prepare(x))[..., : h * self.scale, : w * self.scale]


@dataclass(frozen=True)
class ClassicConfig:
    """Everything needed to rebuild a `ClassicAutoencoder`."""

    scale: int = 1  # 1 restores, as the original; above 1, the last layer makes scale² pixels of each
    width: int = 32  # channels at the input's resolution
    latent_width: int = 64  # channels at half and quarter resolution
    skips: bool = False  # add the encoder's features to the decoder's of the same resolution
    residual_blocks: int = 0  # between encoder and decoder

    def __post_init__(self) -> None:
        check_scale(self.scale)


class ClassicAutoencoder(_Tutorial):
    """128x128 in, 128x128 out, latent 32x32x64; other sizes accordingly. A sigmoid keeps the output in [0, 1]."""

    stride = POOLED

    def __init__(self, config: ClassicConfig) -> None:
        super().__init__(config)
        width, latent = config.width, config.latent_width
        self.encoder1 = conv3x3(3, width)
        self.encoder2 = conv3x3(width, latent)
        self.blocks = nn.Sequential(*(ResidualBlock(latent) for _ in range(config.residual_blocks)))
        self.decoder1 = conv3x3(latent, latent)
        self.decoder2 = conv3x3(latent, width)
        self.tail = conv3x3(width, 3 * config.scale**2)
        self.apply(_as_keras)

    @property
    def receptive_field(self) -> int:
        """Radius in input pixels: 1 for each 3x3 convolution times its resolution's step, 3 for the grid of 4."""
        return (1 + 2) + 4 * (2 * self.config.residual_blocks + 1) + (2 + 1) + 3

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, H, W), multiples of 4 -> features of full and half resolution, and the latent (N, 64, H/4, W/4)."""
        full = F.relu(self.encoder1(x))
        half = F.relu(self.encoder2(F.max_pool2d(full, 2)))
        return full, half, self.blocks(F.max_pool2d(half, 2))

    @property
    def features(self) -> int:
        return max(self.config.width, 3 * self.scale**2)

    def latent(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, latent_width, H/4, W/4), rounded up."""
        return self.encode(self.prepare(x))[2]

    def prepare(self, x: Tensor) -> Tensor:
        """Pad the sides to multiples of 4."""
        return _pad(x)

    def body(self, x: Tensor) -> Tensor:
        """The network proper: (N, 3, H, W), multiples of 4 -> (N, 3, scale * H, scale * W)."""
        full, half, latent = self.encode(x)
        y = _double(F.relu(self.decoder1(latent)))  # (N, latent_width, H/2, W/2)
        y = F.relu(self.decoder2(y + half if self.config.skips else y))
        y = _double(y)  # (N, width, H, W)
        y = self.tail(y + full if self.config.skips else y)
        return torch.sigmoid(F.pixel_shuffle(y, self.scale))


@dataclass(frozen=True)
class KerasConfig:
    """Everything needed to rebuild a `KerasAutoencoder`."""

    scale: int = 2
    width: int = 64  # channels of the enlarged picture; twice and four times as many after each pooling

    def __post_init__(self) -> None:
        check_scale(self.scale)


class KerasAutoencoder(_Tutorial):
    """128x128 in, enlarged to 256x256 by bicubic, latent 64x64x256, 256x256 out; other sizes accordingly."""

    def __init__(self, config: KerasConfig) -> None:
        super().__init__(config)
        width = config.width
        self.encoder1 = _two(3, width)
        self.encoder2 = _two(width, 2 * width)
        self.encoder3 = conv3x3(2 * width, 4 * width)
        self.decoder1 = _two(4 * width, 2 * width)
        self.decoder2 = _two(2 * width, width)
        self.tail = conv3x3(width, 3)
        self.apply(_as_keras)

    @property
    def stride(self) -> int:
        """In input pixels: where the input's grid and the enlarged picture's grid of 4 meet."""
        return POOLED // math.gcd(POOLED, self.scale)

    @property
    def receptive_field(self) -> int:
        """Radius in input pixels: 20 enlarged ones, and 2 of the bicubic on the way there."""
        return math.ceil(20 / self.scale) + 2

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The enlarged picture, multiples of 4 -> features of full and half size, the latent (N, 4 * width, ...)."""
        full = self.encoder1(x)
        half = self.encoder2(F.max_pool2d(full, 2))
        return full, half, F.relu(self.encoder3(F.max_pool2d(half, 2)))

    @property
    def features(self) -> int:
        return self.config.width * self.scale**2

    def latent(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 4 * width, scale * H / 4, scale * W / 4), rounded up."""
        return self.encode(self.prepare(x))[2]

    def prepare(self, x: Tensor) -> Tensor:
        """Enlarge by bicubic, and pad the sides to multiples of 4."""
        return _pad(bicubic_times(x, self.scale))

    def body(self, x: Tensor) -> Tensor:
        """The network proper: (N, 3, H, W), multiples of 4 -> the same size."""
        full, half, latent = self.encode(x)
        y = self.decoder1(_double(latent)) + half
        y = self.decoder2(_double(y)) + full
        return self.tail(y)


def _two(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv3x3(inputs, outputs), nn.ReLU(), conv3x3(outputs, outputs), nn.ReLU())


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _pad(x: Tensor) -> Tensor:
    h, w = x.shape[-2:]
    return F.pad(x, (0, -w % POOLED, 0, -h % POOLED), mode="replicate")


def _as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
