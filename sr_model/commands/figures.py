"""Draw a network and, with --image, what it makes of a picture."""

import argparse
from pathlib import Path

from sr_model.commands.common import add_weights
from sr_model.networks import presets


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("figures", help="draw a network and, with --image, what it makes of a picture")
    parser.add_argument("preset", metavar="PRESET", help=f"one of {', '.join(presets.PRESETS)}")
    parser.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's)")
    parser.add_argument(
        "--network", default="", metavar="OPTIONS", help="changes, such as skips=true,residual_blocks=2"
    )
    parser.add_argument("--image", type=Path, metavar="FILE", help="a picture for the five panels")
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="(default: figures)")
    add_weights(parser, "for --image")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    # Drawing takes matplotlib, which is slow to import.
    from sr_model.figures.save import write_architecture, write_panels

    scale = presets.default_scale(options.preset) if options.scale is None else options.scale
    for path in write_architecture(options.preset, scale, options.out, options.network):
        print(path)
    if options.image:
        print(write_panels(options.preset, scale, options.image, options.out, options.weights))
    return 0
