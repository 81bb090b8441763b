"""The deep autoencoder: residual blocks around a latent."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.networks.base import BicubicPlus, check_scale
from sr_model.networks.layers import ResidualBlock, conv3x3


@dataclass(frozen=True)
class AutoencoderConfig:
    """Everything needed to rebuild an `Autoencoder`; saved with the weights."""

    scale: int  # how many times larger the output is, per side: one of SCALES
    width: int  # channels at the input's resolution
    latent_width: int  # channels of the latent, at half the input's resolution
    encoder_blocks: int  # residual blocks at the input's resolution, before the latent
    latent_blocks: int  # residual blocks at half resolution
    decoder_blocks: int  # residual blocks at the input's resolution, after the latent

    def __post_init__(self) -> None:
        check_scale(self.scale)


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
    """The three tensors of `Encoder` -> (N, 3 * scale**2, H, W), the detail that bicubic misses."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        up = nn.Conv2d(config.latent_width, config.width * 4, kernel_size=1)
        tail = conv3x3(config.width, 3 * config.scale**2)
        self.up = nn.Sequential(up, nn.PixelShuffle(2))
        self.blocks = nn.Sequential(*(ResidualBlock(config.width) for _ in range(config.decoder_blocks)))
        self.tail = nn.Sequential(tail)  # a sequence, as the files of weights name it
        self.shuffle = nn.PixelShuffle(config.scale)  # of what `forward` returns, where the whole is put together
        # The latent's path starts near zero, so the network starts as bicubic: with torch's default initialisation the
        # coarse features drown the skip path and training lags by a whole dB.
        for conv in (up, tail):
            nn.init.normal_(conv.weight, std=1e-3)
            nn.init.zeros_(conv.get_parameter("bias"))

    def forward(self, stem: Tensor, skip: Tensor, latent: Tensor) -> Tensor:
        x = self.blocks(skip + self.up(latent))  # (N, width, H, W)
        return self.tail(x + stem)


class Autoencoder(BicubicPlus):
    """Residual blocks at full resolution, and between them a latent of residual blocks at half resolution."""

    # In 8 bits the tail would lose 0.05 dB, as its input has a wide range; the shuffle is of the result.
    float_modules = ("decoder.tail", "decoder.shuffle")

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config, Encoder(config), Decoder(config))

    @property
    def receptive_field(self) -> int:
        """Each 3x3 convolution adds 1 at full and 2 at half resolution; at most 1 more where the grids do not align."""
        c = self.config
        full = 1 + 2 * c.encoder_blocks + 1 + 2 * c.decoder_blocks + 1
        return int(full + 4 * c.latent_blocks + 1)
