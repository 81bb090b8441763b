"""Leave residual blocks that do nothing out of a preset's weights, if nothing is lost by it."""

import argparse
from functools import partial
from pathlib import Path

from sr_model.evaluation.promotion import prune_preset
from sr_model.models import weights
from sr_model.networks import presets


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("prune", help="leave residual blocks that do nothing out of a preset's weights")
    parser.add_argument("preset", metavar="PRESET", help=f"one of {', '.join(presets.PRESETS)}")
    parser.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's)")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="photos on which blocks are looked at"
    )
    parser.add_argument("--val-data", type=Path, required=True, metavar="SOURCE", help="pictures to compare on")
    parser.add_argument(
        "--test", type=Path, action="append", default=[], metavar="SOURCE", help="further set to measure; repeatable"
    )
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="where they are (default: weights)")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    scale = presets.default_scale(options.preset) if options.scale is None else options.scale
    folder = options.weights or weights.SHIPPED
    say = partial(print, flush=True)
    prune_preset(options.preset, scale, options.data, options.val_data, options.test, folder, say)
    print(f"Installed {weights.name(options.preset, scale)} in {folder}")
    return 0
