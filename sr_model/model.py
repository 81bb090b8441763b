"""The super-resolution autoencoder. Knows no files and no images: tensors in, tensors out.

All spatial operations are local with a known receptive field and stride, so a picture can be cut into tiles
and put together again without a difference.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

SCALES = (1, 2, 3, 4)  # 1 restores a picture at its own size


@dataclass(frozen=True)
class AutoencoderConfig:
    """What rebuilds an `Autoencoder`; it is saved beside the weights."""

    scale: int  # how many times larger the output is, per side: one of SCALES
    width: int  # channels at the input's resolution
    latent_width: int  # channels of the latent, at half the input's resolution
    encoder_blocks: int  # residual blocks at the input's resolution, before the latent
    latent_blocks: int  # residual blocks at half resolution
    decoder_blocks: int  # residual blocks at the input's resolution, after the latent

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"scale is {self.scale}; it must be one of {', '.join(map(str, SCALES))}")


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)


def bicubic(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, H, W) to (N, C, *size) by the antialiased bicubic of Keys with a = -0.5, as Pillow and MATLAB do.

    The result may lie slightly outside of the input's range.
    """
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), as in EDSR (Lim et al. 2017): no normalisation, which would blur the range."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width)
        self.conv2 = conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


class Encoder(nn.Module):
    """(N, 3, H, W) -> three tensors: stem and skip (N, width, H, W), latent (N, latent_width, H/2, W/2)."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.stem = conv3x3(3, config.width)
        self.blocks = nn.Sequential(*(ResidualBlock(config.width) for _ in range(config.encoder_blocks)))
        self.down = conv3x3(config.width, config.latent_width, stride=2)
        self.latent_blocks = nn.Sequential(*(ResidualBlock(config.latent_width) for _ in range(config.latent_blocks)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stem = self.stem(x)
        skip = self.blocks(stem)
        latent = self.latent_blocks(F.relu(self.down(skip)))
        return stem, skip, latent


class Decoder(nn.Module):
    """The three tensors of `Encoder` -> (N, 3, scale * H, scale * W), what bicubic misses."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        up = nn.Conv2d(config.latent_width, config.width * 4, kernel_size=1)
        tail = conv3x3(config.width, 3 * config.scale**2)
        self.up = nn.Sequential(up, nn.PixelShuffle(2))
        self.blocks = nn.Sequential(*(ResidualBlock(config.width) for _ in range(config.decoder_blocks)))
        self.tail = nn.Sequential(tail, nn.PixelShuffle(config.scale))
        # The latent's way starts silent and the whole network starts as bicubic: at the default scale the coarse
        # features drown the skip path and training lags by a whole dB.
        for conv in (up, tail):
            nn.init.normal_(conv.weight, std=1e-3)
            nn.init.zeros_(conv.get_parameter("bias"))

    def forward(self, stem: Tensor, skip: Tensor, latent: Tensor) -> Tensor:
        x = self.blocks(skip + self.up(latent))  # (N, width, H, W)
        return self.tail(x + stem)


class Autoencoder(nn.Module):
    """Bicubic enlargement plus what the encoder and decoder add to it.

    Input (N, 3, H, W), RGB, [0, 1], any H and W from 1. Output (N, 3, scale * H, scale * W), not clamped.
    """

    stride = 2  # total stride of the encoder: tile origins are multiples of it

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @property
    def scale(self) -> int:
        return self.config.scale

    @property
    def receptive_field(self) -> int:
        """Radius in input pixels: how far an input pixel can lie from the output pixel that it changes.

        Each 3x3 convolution adds 1 at full and 2 at half resolution; at most 1 more where the grids do not align.
        """
        c = self.config
        full = 1 + 2 * c.encoder_blocks + 1 + 2 * c.decoder_blocks + 1
        return full + 4 * c.latent_blocks + 1

    @property
    def features(self) -> int:
        """Most numbers that a layer makes of an input pixel: what memory grows with."""
        return max(self.config.width, 3 * self.scale**2)

    def latent(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, latent_width, H/2, W/2), rounded up."""
        return self.encoder(self.prepare(x))[2]

    def prepare(self, x: Tensor) -> Tensor:
        """What `body` takes. Odd sizes: the last row or column is repeated, and cut off again at the end."""
        h, w = x.shape[-2:]
        return F.pad(x, (0, w % self.stride, 0, h % self.stride), mode="replicate")

    def body(self, x: Tensor) -> Tensor:
        """What bicubic misses, of sides that are multiples of the stride. All that is slow, and no more, is here."""
        return self.decoder(*self.encoder(x))

    def finish(self, y: Tensor, enlarged: Tensor) -> Tensor:
        """The output, of what `body` returned and the input enlarged by bicubic (N, 3, scale * H, scale * W)."""
        h, w = enlarged.shape[-2:]
        return enlarged + y[..., :h, :w]

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        return self.finish(self.body(self.prepare(x)), bicubic(x, (h * self.scale, w * self.scale)))


def parameter_count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
