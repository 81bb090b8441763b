"""Weights on disk: `<preset>-x<scale>.safetensors`, described by a json beside it."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from sr_model import networks
from sr_model.errors import WeightsError
from sr_model.models import places
from sr_model.networks import Network, presets, quantization
from sr_model.networks.layers import parameter_count
from sr_model.system.files import write_atomically

log = logging.getLogger(__name__)

SHIPPED = places.SHIPPED
UPDATE = "update this one with: pip install -U sr-model"
MIDDLE = 0.5  # the strength of mixed weights where none is given


@dataclass(frozen=True)
class Card:
    """The content of the json. Its config rebuilds the network; its metrics were measured, never typed in."""

    preset: str
    scale: int
    config: dict[str, Any]  # of the network: its config's fields
    parameters: int
    architecture: str = "autoencoder"  # one of networks.ARCHITECTURES
    quantized: bool = False  # to 8 bits, by quantization.py
    training: dict[str, Any] = field(default_factory=dict)  # arguments, sets, steps, hours
    metrics: dict[str, Any] = field(default_factory=dict)  # by set: psnr and ssim, of the network and of bicubic
    sha256: str = ""  # of the safetensors file
    made_of: str = ""  # sha256 of the weights that an 8-bit version was made from
    made: str = ""  # date, such as 2026-11-25
    # Of weights that are mixed: the names of the sets, each before its tensors' names in the file, and the strength
    # that each stands for. They begin with that of 0, the parent.
    strengths: dict[str, float] = field(default_factory=dict)


def name(preset: str, scale: int) -> str:
    return f"{preset}-x{scale}"


def available(folder: Path = SHIPPED) -> list[tuple[str, int]]:
    """(preset, scale) of all weights in a folder, in the order of PRESETS.

    Of those that are shipped, the ones too that only have their json there and are fetched when they are loaded.
    """
    return [entry for entry in described(folder) if folder == SHIPPED or places.has_weights(folder, name(*entry))]


def described(folder: Path) -> list[tuple[str, int]]:
    """(preset, scale) of all that a folder has a json of, in the order of PRESETS."""
    found = []
    for path in folder.glob("*-x*.json"):
        preset, _, scale = path.stem.rpartition("-x")
        if scale.isdecimal():
            found.append((preset, int(scale)))
    return sorted(found, key=order)


def order(entry: tuple[str, int]) -> tuple[int, str, int]:
    """Sorts (preset, scale) in the order of PRESETS, each 8-bit version after its own; unknown presets come last."""
    names = [name + suffix for name in presets.PRESETS for suffix in ("", presets.INT8)]
    return names.index(entry[0]) if entry[0] in names else len(names), *entry


def save(
    model: Network,
    preset: str,
    folder: Path,
    training: dict[str, Any],
    metrics: dict[str, Any],
    made_of: str = "",
) -> Card:
    """Write a network's weights and its card into `folder`, as `install` does."""
    return save_sets({"": model}, preset, folder, training, metrics, made_of, {})


def save_sets(
    models: Mapping[str, Network],
    preset: str,
    folder: Path,
    training: dict[str, Any],
    metrics: dict[str, Any],
    made_of: str,
    strengths: dict[str, float],
) -> Card:
    """The same of networks of one shape that are mixed, by the names in `strengths`; if that is empty, of only one."""
    state = {
        f"{name}.{key}" if strengths else key: value.detach().cpu().contiguous()
        for name, model in models.items()
        for key, value in model.state_dict().items()
    }
    data = save_tensors(state)
    model = next(iter(models.values()))
    card = Card(
        preset=preset,
        scale=model.scale,
        config=asdict(model.config),
        parameters=parameter_count(model),
        architecture=networks.name_of(model.config),
        quantized=quantization.is_quantized(model),
        training=training,
        metrics=metrics,
        sha256=hashlib.sha256(data).hexdigest(),
        made_of=made_of,
        made=datetime.now(UTC).date().isoformat(),
        strengths=strengths,
    )
    install(data, card, folder)
    return card


def install(data: bytes, card: Card, folder: Path) -> None:
    """Write weights, the bytes of a safetensors file, and their card into `folder`, which is created if missing.

    A crash at any moment leaves a valid pair, old or new: the new weights wait under another name until the json is
    written, whose sha256 says which of the two files it belongs to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name(card.preset, card.scale)}.safetensors"
    write_atomically(places.waiting(path), data)
    write_card(card, folder)
    os.replace(places.waiting(path), path)


def write_card(card: Card, folder: Path) -> None:
    path = folder / f"{name(card.preset, card.scale)}.json"
    write_atomically(path, (json.dumps(asdict(card), indent=2) + "\n").encode())


def read_card(preset: str, scale: int, folder: Path = SHIPPED) -> Card:
    """The json of a preset at a scale. Raises ConfigError for unknown names and WeightsError for missing files."""
    path = folder / f"{name(preset, scale)}.json"
    if not path.exists():
        presets.config(preset, scale)  # raises a better message for an unknown preset or scale
        have = ", ".join(name(*entry) for entry in described(folder)) or "none"
        raise WeightsError(
            f"There are no weights for {name(preset, scale)}; there are: {have}. {how_to_make(preset, scale)}"
        )
    return parse_card(path.name, path.read_bytes())


def parse_card(file: str, data: bytes) -> Card:
    """The card that a json holds. Raises WeightsError, which names the file."""
    try:
        return Card(**json.loads(data))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise WeightsError(
            f"{file} is not a valid description of weights: {error}. If a newer version wrote it, {UPDATE}"
        ) from None


def how_to_make(preset: str, scale: int) -> str:
    """A sentence with the command that makes missing or stale weights."""
    plain = preset.removesuffix(presets.INT8)
    if plain == preset:
        return f"Train them with: python train.py --preset {preset} --scale {scale}"
    return f"Make them with: python -m sr_model quantize {plain} --scale {scale}"


def read(preset: str, scale: int, folder: Path) -> tuple[bytes, Card]:
    """The bytes of the safetensors file, verified, and its card. Raises WeightsError.

    If `install` was cut off, the file that belongs to the card still waits under its other name.
    """
    card = read_card(preset, scale, folder)
    path = folder / f"{name(preset, scale)}.safetensors"
    for candidate in (path, places.waiting(path)):
        try:
            data = candidate.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise WeightsError(f"{path.name} cannot be read: {error.strerror}.") from None
        if hashlib.sha256(data).hexdigest() == card.sha256:
            return data, card
    if not path.exists():
        raise WeightsError(f"{path.name} is missing beside {path.stem}.json.")
    raise WeightsError(f"{path.name} does not match its sha256 in {path.stem}.json: it is damaged or was replaced.")


def mixed(
    tensors: dict[str, Tensor], strengths: dict[str, float], strength: float, quantized: bool = False
) -> dict[str, Tensor]:
    """The weights at a strength from 0 to 1: a linear mix of the two sets beside it, exactly a set at its own.

    Sets that begin with the same parent can be mixed: what lies between them works as well as they do.
    """
    names = sorted(strengths, key=lambda name: strengths[name])
    upper = next((i for i, name in enumerate(names) if i and strengths[name] >= strength), len(names) - 1)
    below, above = names[upper - 1], names[upper]
    share = (strength - strengths[below]) / (strengths[above] - strengths[below])
    sets = [
        {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        for name in (below, above)
    ]
    if quantized:
        return quantization.mixed(sets[0], sets[1], share)
    return {key: torch.lerp(value, sets[1][key], share) for key, value in sets[0].items()}


def load(
    preset: str, scale: int, folder: str | os.PathLike = SHIPPED, strength: float = MIDDLE
) -> tuple[Network, Card]:
    """The network of a preset at a scale, in evaluation mode on the CPU, and its card.

    `strength`, 0 to 1, is that of weights that are mixed, and is ignored for others.

    `folder` is what `places.locate` takes. Raises WeightsError if a file is missing, does not match its sha256, or does
    not fit its config, and HubError if it cannot be downloaded.
    """
    folder = places.locate(folder, [name(preset, scale)]).folder
    path = f"{name(preset, scale)}.safetensors"
    card = read_card(preset, scale, folder)
    if card.architecture not in networks.ARCHITECTURES:
        raise WeightsError(
            f"{name(preset, scale)} is a network of the kind {card.architecture!r}, which this version does not know; "
            f"{UPDATE}"
        )
    data, card = read(preset, scale, folder)
    _warn_if_stale(card, folder)
    try:
        model = networks.build(networks.read_config(card.architecture, card.config))
        if card.quantized:
            model = quantization.prepared(model)
        tensors = quantization.without_sums(load_tensors(data))
        if card.strengths:
            tensors = mixed(tensors, card.strengths, strength, card.quantized)
        model.load_state_dict(tensors, strict=True)
    except (RuntimeError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise WeightsError(f"{path} does not fit the config in {name(preset, scale)}.json: {error}") from None
    return model.eval(), card


def _warn_if_stale(card: Card, folder: Path) -> None:
    """Log a warning if an 8-bit version was made from other weights than those beside it."""
    parent = card.preset.removesuffix(presets.INT8)
    path = folder / f"{name(parent, card.scale)}.json"
    if card.made_of and path.exists() and read_card(parent, card.scale, folder).sha256 != card.made_of:
        log.warning(
            "%s was made from other weights than those of %s beside it. %s",
            name(card.preset, card.scale),
            path.stem,
            how_to_make(card.preset, card.scale),
        )
