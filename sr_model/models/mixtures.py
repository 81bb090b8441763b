"""Weights that are mixed at a strength: several sets that were trained from one parent, in one file."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from sr_model.errors import ConfigError
from sr_model.models import weights
from sr_model.models.weights import Card

PARENT = "parent"


def mix(parent: str, runs: Sequence[Path], target: Path, folder: Path) -> Card:
    """Install in `target` the parent's weights, of strength 0, and those of each run, the last one's of strength 1.

    `runs` are folders of train.py, from weak to strong; each set is named after the degradation that it was trained on.
    `parent` is a preset in `folder`, of the runs' scale and shape; if it is mixed itself, its weights of strength 0 are
    the parent. Raises WeightsError for missing or damaged weights, and ConfigError for runs that do not fit together.
    """
    found = [_only_weights(run) for run in runs]
    preset, scale = found[0]
    sources = [(parent, scale, folder), *((*entry, run) for entry, run in zip(found, runs, strict=True))]
    read = [weights.read(*source) for source in sources]
    cards = [card for _, card in read]
    for card, run in zip(cards[1:], runs, strict=True):
        if (card.preset, card.config) != (preset, cards[0].config) or card.strengths:
            raise ConfigError(
                f"The weights in {run.name} are {weights.name(card.preset, card.scale)}, which cannot be mixed with "
                f"{weights.name(preset, scale)} and {weights.name(parent, scale)}: all must have one shape and scale."
            )
    names = [PARENT, *(_degradation(card) for card in cards[1:])]
    if len(set(names)) < len(names):
        raise ConfigError(f"Each run must be trained on a degradation of its own; these are: {', '.join(names[1:])}.")
    sets = [load_tensors(data) for data, _ in read]
    began = {PARENT: {"name": weights.name(parent, scale), "sha256": cards[0].sha256}, "earlier": cards[0].training}
    if cards[0].strengths:
        sets[0] = weights.mixed(sets[0], cards[0].strengths, 0.0)
        began = {key: cards[0].training[key] for key in began}
    data = save_tensors(
        {f"{name}.{key}": value for name, values in zip(names, sets, strict=True) for key, value in values.items()}
    )
    hours = [float(training.get("hours", 0)) for training in (began["earlier"], *(card.training for card in cards[1:]))]
    card = Card(
        preset=preset,
        scale=scale,
        config=cards[0].config,
        parameters=cards[0].parameters,
        architecture=cards[0].architecture,
        training={
            "sets": {name: count for card in cards[1:] for name, count in card.training.get("sets", {}).items()},
            # The parent's count once; it may have been trained on since the runs began with it.
            "hours": round(hours[0] + sum(max(0.0, hour - hours[0]) for hour in hours[1:]), 2),
            "steps": max(int(card.training.get("steps", 0)) for card in cards[1:]),
            **{
                name: {key: value for key, value in card.training.items() if key != "earlier"}
                for name, card in zip(names[1:], cards[1:], strict=True)
            },
            **began,
        },
        sha256=hashlib.sha256(data).hexdigest(),
        made=datetime.now(UTC).date().isoformat(),
        strengths={name: i / len(runs) for i, name in enumerate(names)},
    )
    weights.install(data, card, target)
    return card


def _only_weights(run: Path) -> tuple[str, int]:
    have = weights.described(run)
    if len(have) != 1:
        raise ConfigError(
            f"{run} must hold the weights of one run of train.py; it holds: "
            f"{', '.join(weights.name(*entry) for entry in have) or 'none'}."
        )
    return have[0]


def _degradation(card: Card) -> str:
    arguments = card.training.get("arguments", {})
    return str(arguments.get("degradation", "run"))
