"""Put the weights of several runs into one file, to be mixed at a strength for each picture."""

import argparse
from pathlib import Path

from sr_model.evaluation.promotion import write_model_card
from sr_model.models import mixtures, weights


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser(
        "mix", help="put a preset and runs that began with it into one file, as photo has them"
    )
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN_DIR", help="folders of train.py, from weak to strong"
    )
    parser.add_argument(
        "--parent",
        default="photo",
        metavar="NAME",
        help="the preset of strength 0 (default: photo, its own strength 0)",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="where the parent is and the result goes (default: weights)"
    )
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    target = options.weights or weights.SHIPPED
    card = mixtures.mix(options.parent, options.runs, target, target)
    write_model_card(target)
    sets = ", ".join(f"{name} {strength:g}" for name, strength in card.strengths.items())
    print(f"{weights.name(card.preset, card.scale)} is in {target}, its sets by strength: {sets}.")
    return 0
