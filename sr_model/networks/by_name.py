"""All networks by the name that their cards in weights/ use."""

from dataclasses import fields
from typing import Any

import torch

from sr_model.networks.autoencoder import Autoencoder, AutoencoderConfig
from sr_model.networks.base import Network
from sr_model.networks.plain import PlainAutoencoder, PlainConfig
from sr_model.networks.tutorials import ClassicAutoencoder, ClassicConfig, KerasAutoencoder, KerasConfig

Config = AutoencoderConfig | PlainConfig | ClassicConfig | KerasConfig

ARCHITECTURES: dict[str, tuple[type[Any], type[Network]]] = {
    "autoencoder": (AutoencoderConfig, Autoencoder),
    "plain": (PlainConfig, PlainAutoencoder),
    "classic": (ClassicConfig, ClassicAutoencoder),
    "keras": (KerasConfig, KerasAutoencoder),
}


def build(config: Config, seed: int = 0) -> Network:
    """A new network whose weights depend only on `seed`; the global random state is left untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Network = ARCHITECTURES[name_of(config)][1](config)
        return network


def name_of(config: Config) -> str:
    """The name of a config's network."""
    return next(name for name, (kind, _) in ARCHITECTURES.items() if type(config) is kind)


def read_config(name: str, values: dict[str, Any]) -> Config:
    """The config that a card holds. Raises KeyError for an unknown name, TypeError and ValueError for wrong values."""
    config: Config = ARCHITECTURES[name][0](**values)
    return config


def with_options(config: Config, options: dict[str, str]) -> dict[str, Any]:
    """Options as typed on a command line, converted to the types of the config's fields.

    Raises ValueError with a sentence for unknown names and for values of the wrong type.
    """
    values: dict[str, Any] = {}
    kinds = {field.name: type(getattr(config, field.name)) for field in fields(config) if field.name != "scale"}
    for name, text in options.items():
        if name not in kinds:
            raise ValueError(f"there is no {name!r}; choose from: {', '.join(kinds)}")
        kind = kinds[name]
        allowed = {"true": True, "false": False} if kind is bool else None
        try:
            values[name] = int(text) if allowed is None else allowed[text.lower()]
        except (ValueError, KeyError):
            wanted = "true or false" if kind is bool else "a whole number"
            raise ValueError(f"{name} is {text!r}; it must be {wanted}") from None
        if kind is int and not 0 <= values[name] <= 1024:
            raise ValueError(f"{name} is {text}; it must be at least 0 and at most 1024")
    return values
