"""The command line `python -m sr_model COMMAND ...`."""

import argparse
from collections.abc import Sequence

from sr_model.commands import (
    benchmark,
    degrade,
    deploy,
    evaluate,
    export,
    figures,
    mix,
    promote,
    prune,
    push,
    quantize,
    upscale,
)
from sr_model.commands.common import run

COMMANDS = (upscale, evaluate, benchmark, promote, prune, mix, push, deploy, quantize, export, figures, degrade)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m sr_model`. Exit status 0 if everything asked for was done, 2 for a usage error, else 1."""
    options = build_parser().parse_args(arguments)
    return run(lambda: options.work(options))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `work` to the function to call."""
    parser = argparse.ArgumentParser(
        prog="python -m sr_model", description="Enlarge pictures with an autoencoder, and measure the results."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
