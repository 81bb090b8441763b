"""Copy a run's weights to weights/ if they are better."""

import argparse
from functools import partial
from pathlib import Path

from sr_model.commands.common import add_measuring
from sr_model.evaluation.promotion import promote
from sr_model.inference.devices import DEVICES
from sr_model.models import weights


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("promote", help="copy a run's weights to weights/ if they are better")
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the folder that train.py wrote")
    add_measuring(parser)
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="where to put them (default: weights)")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    target = options.weights or weights.SHIPPED
    promote(options.run, options.val_data, options.test, target, partial(print, flush=True), options.device)
    return 0
