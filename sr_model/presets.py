"""Names that people type, and the networks they stand for."""

from dataclasses import dataclass

from sr_model.errors import ConfigError
from sr_model.model import SCALES, AutoencoderConfig


@dataclass(frozen=True)
class Preset:
    """A network's size, without its scale, and what the page and `--help` call it."""

    title: str
    width: int
    latent_width: int
    encoder_blocks: int
    latent_blocks: int
    decoder_blocks: int


PRESETS = {
    "nano": Preset("Fast", width=16, latent_width=32, encoder_blocks=1, latent_blocks=1, decoder_blocks=1),
    "base": Preset("Best", width=48, latent_width=64, encoder_blocks=2, latent_blocks=3, decoder_blocks=2),
}


def config(preset: str, scale: int) -> AutoencoderConfig:
    """The network of `preset` at `scale`. Raises ConfigError with the valid choices."""
    if preset not in PRESETS:
        raise ConfigError(f"There is no preset {preset!r}; choose one of: {', '.join(PRESETS)}.")
    if scale not in SCALES:
        raise ConfigError(f"Scale {scale} is not supported; choose one of: {', '.join(map(str, SCALES))}.")
    p = PRESETS[preset]
    return AutoencoderConfig(
        scale=scale,
        width=p.width,
        latent_width=p.latent_width,
        encoder_blocks=p.encoder_blocks,
        latent_blocks=p.latent_blocks,
        decoder_blocks=p.decoder_blocks,
    )
