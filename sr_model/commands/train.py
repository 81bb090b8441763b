"""The command line of train.py: each field of TrainConfig is an option."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from sr_model.commands.common import run
from sr_model.data import list_of_pairs, pairs
from sr_model.networks import presets
from sr_model.training import TrainConfig, train
from sr_model.training.config import flag


def train_main(arguments: Sequence[str] | None = None) -> int:
    """Run train.py with these arguments; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train the autoencoder on a folder of photos, or on pairs listed in a CSV.",
        epilog=_preset_defaults(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        # Options that are not given keep the preset's defaults.
        argument_default=argparse.SUPPRESS,
    )
    for field in dataclasses.fields(TrainConfig):
        _add_field(parser, field)
    given = vars(parser.parse_args(arguments))

    def work() -> int:
        if "data" in given:
            given["data"] = tuple(given["data"])
            listing = next(filter(None, (list_of_pairs(Path(source)) for source in given["data"])), None)
            if listing and "scale" not in given:
                given["scale"] = pairs.scale_of(listing, given.get("low_dir"), given.get("high_dir"))
        train(TrainConfig.of_preset(**given))
        return 0

    return run(work)


def _add_field(parser: argparse.ArgumentParser, field: dataclasses.Field) -> None:
    """Add the option for a dataclass field: its type from the annotation, its help from the metadata."""
    option = flag(field.name)
    text, choices = field.metadata["help"], field.metadata.get("choices")
    if field.type is bool:
        parser.add_argument(option, action="store_true", help=text)
    elif field.name == "data":
        parser.add_argument(option, action="append", metavar="SOURCE", help=text)
    else:
        kind = next(t for t in (int, float, str) if t.__name__ in str(field.type))
        shown = "" if field.default in (None, "") else f" (default: {field.default})"
        metavar = None if choices else {int: "N", float: "X", str: "NAME"}[kind]
        parser.add_argument(option, type=kind, choices=choices, metavar=metavar, help=text + shown)


def _preset_defaults() -> str:
    """The defaults that presets change, for the end of `--help`."""
    lines = []
    for name, preset in presets.PRESETS.items():
        values = {"scale": preset.network.scale} | preset.training
        different = [f"{flag(key)} {value}" for key, value in values.items() if value != getattr(TrainConfig, key)]
        if different:
            lines.append(f"--preset {name}: {' '.join(different)}")
    return "presets with other defaults:\n  " + "\n  ".join(lines)
