"""Make the 8-bit version of a preset's weights, if it is as good."""

import argparse
from functools import partial

from sr_model.commands.common import add_remaking, remake
from sr_model.evaluation.promotion import quantize_preset
from sr_model.networks.fine_tuning import STEPS


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("quantize", help="make the 8-bit version of a preset's weights, if it is as good")
    add_remaking(parser, "photos to choose the value ranges on, and to fine-tune on")
    parser.add_argument(
        "--steps", type=int, default=STEPS, metavar="N", help=f"of fine-tuning; 0 for none (default: {STEPS})"
    )
    parser.set_defaults(work=lambda options: remake(options, partial(quantize_preset, steps=options.steps)))
