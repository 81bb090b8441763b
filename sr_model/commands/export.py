"""Write a network as a file for another runtime."""

import argparse
from pathlib import Path

from sr_model.commands.common import add_weights
from sr_model.networks import presets


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("export", help="write a network as ONNX, OpenVINO IR or torch.export")
    parser.add_argument("preset", metavar="PRESET", help=f"one of {', '.join(presets.PRESETS)}")
    parser.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .onnx, .xml or .pt2")
    parser.add_argument("--half", action="store_true", help="store weights in 16 bits: half the size")
    parser.add_argument("--int8", action="store_true", help="the preset's 8-bit version")
    parser.add_argument("--body", action="store_true", help="without the bicubic enlargement that the network adds to")
    add_weights(parser, "where its weights are")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    from sr_model.exporting.formats import export  # torch's exporters are slow to import

    scale = presets.default_scale(options.preset) if options.scale is None else options.scale
    chosen = options.out, options.half, options.int8, options.body
    for path in export(options.preset, scale, *chosen, options.weights):
        print(path)
    return 0
