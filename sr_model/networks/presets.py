"""Presets: names that people type, and the networks they stand for."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from sr_model.errors import ConfigError
from sr_model.networks import Config, with_options
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.networks.base import SCALES
from sr_model.networks.plain import PlainConfig
from sr_model.networks.tutorials import ClassicConfig, KerasConfig


@dataclass(frozen=True)
class Preset:
    """A network, what the page and `--help` call it, and the settings of train.py that it is trained with."""

    title: str
    about: str  # a sentence for people who choose
    network: Config  # its scale is the default
    training: dict[str, Any] = field(default_factory=dict)  # fields of TrainConfig that differ from its defaults


def _plain(width: int, latent_width: int, encoder: int, latent: int, decoder: int) -> PlainConfig:
    return PlainConfig(2, width, latent_width, encoder, latent, decoder)


def _residual(width: int, latent_width: int, encoder: int, latent: int, decoder: int) -> AutoencoderConfig:
    return AutoencoderConfig(2, width, latent_width, encoder, latent, decoder)


_TUTORIAL = {"loss": "mse", "optimizer": "adam", "batch_size": 4, "patch_size": 128, "grad_clip": 0.0}
PRESETS = {
    "nano": Preset("Fast", "A short stack of plain convolutions.", _plain(32, 32, encoder=2, latent=1, decoder=2)),
    "small": Preset("Balanced", "The same, wider and deeper.", _plain(48, 48, encoder=3, latent=2, decoder=3)),
    "base": Preset("Fine", "The same, deeper again.", _plain(48, 48, encoder=8, latent=8, decoder=8)),
    "large": Preset("Finer", "A deep stack of residual blocks.", _residual(64, 96, encoder=4, latent=2, decoder=4)),
    "best": Preset("Best", "Deeper again: for those who can wait.", _residual(64, 96, encoder=4, latent=2, decoder=8)),
    "photo": Preset(
        "Photos",
        "For photos as people have them: compressed, noisy or soft.",
        _residual(48, 64, encoder=2, latent=1, decoder=3),
        {"degradation": "heavy", "loss": "l1=1,ms_ssim=0.5"},
    ),
    "classic": Preset(
        "Classic", "A first tutorial's network: it sharpens a picture at its own size.", ClassicConfig(), _TUTORIAL
    ),
    "keras": Preset(
        "Keras", "A second tutorial's network: it repaints what bicubic has enlarged.", KerasConfig(), _TUTORIAL
    ),
}


INT8 = "-int8"  # suffix of a preset's 8-bit version, which is made from its weights


def is_known(name: str) -> bool:
    """Whether this version has a preset of that name, which may end in INT8."""
    return name.removesuffix(INT8) in PRESETS


def find(name: str) -> Preset:
    """The preset with this name, which may end in INT8. Raises ConfigError with the valid choices."""
    plain = name.removesuffix(INT8)
    if not is_known(name):
        raise ConfigError(f"There is no preset {name!r}; choose one of: {', '.join(PRESETS)}.")
    preset = PRESETS[plain]
    if name == plain:
        return preset
    about = f"“{preset.title}” in 8-bit arithmetic: faster on a CPU, and nearly as good."
    return dataclasses.replace(preset, title=f"{preset.title}, 8-bit", about=about)


def config(preset: str, scale: int, options: str = "") -> Config:
    """The network of `preset` at `scale`, with `options` such as "skips=true,residual_blocks=2" applied.

    Raises ConfigError with the valid choices.
    """
    network = find(preset).network
    if scale not in SCALES:
        raise ConfigError(f"Scale {scale} is not supported; choose one of: {', '.join(map(str, SCALES))}.")
    pairs = [part.partition("=") for part in options.split(",") if part.strip()]
    try:
        values = with_options(network, {name.strip(): value.strip() for name, _, value in pairs})
    except ValueError as error:
        raise ConfigError(f"--network {options}: {error}.") from None
    return dataclasses.replace(network, scale=scale, **values)


def default_scale(preset: str) -> int:
    """The default scale of a preset. Raises ConfigError for an unknown one."""
    return find(preset).network.scale
