"""Enlarge a picture, or every picture of a folder."""

import argparse
import sys
from pathlib import Path

from sr_model.commands.common import add_network, chosen_scale, load_upscaler
from sr_model.errors import SRError
from sr_model.imaging import images
from sr_model.inference.folders import jobs, upscale_file


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("upscale", help="enlarge a picture, or every picture of a folder")
    parser.add_argument("input", type=Path, metavar="IN", help="a picture, or a folder that is searched recursively")
    parser.add_argument("output", type=Path, metavar="OUT", help="the file to write, or a folder")
    parser.add_argument(
        "--format",
        choices=("png", "webp", "jpg"),
        default="png",
        help="of files written into a folder; png and webp are lossless (default: png)",
    )
    parser.add_argument("--timing", action="store_true", help="also print where the time went")
    add_network(parser)
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    options.scale = chosen_scale(options)
    todo = jobs(options.input, options.output, options.format)
    for _, target in todo:
        images.check_writable(target)
    upscaler = load_upscaler(options)
    failed = 0
    for source, target in todo:
        try:
            timing = upscale_file(upscaler, source, target)
        except SRError as error:
            failed += 1
            print(f"{source}: {error}", file=sys.stderr)
        else:
            print(f"{target}  {timing.text()}" if options.timing else target)
    return 1 if failed else 0
