"""Make the 8-bit version of a preset's weights, if it is as good."""

import argparse

from sr_model.commands.common import add_remaking
from sr_model.evaluation.promotion import quantize_preset


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("quantize", help="make the 8-bit version of a preset's weights, if it is as good")
    add_remaking(parser, quantize_preset, "photos to choose the value ranges on")
