"""Leave residual blocks that do nothing out of a preset's weights, if nothing is lost by it."""

import argparse

from sr_model.commands.common import add_remaking, remake
from sr_model.evaluation.promotion import prune_preset


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("prune", help="leave residual blocks that do nothing out of a preset's weights")
    add_remaking(parser, "photos on which blocks are looked at")
    parser.set_defaults(work=lambda options: remake(options, prune_preset))
