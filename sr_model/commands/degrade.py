"""Make training pairs: photos, degraded copies, and the CSV that lists them."""

import argparse
import sys
from pathlib import Path

from sr_model.data.make_pairs import HIGH, write_pairs
from sr_model.degrading.degradations import DEGRADATIONS
from sr_model.imaging import images
from sr_model.networks import SCALES


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("degrade", help="make training pairs: photos, degraded copies, and their CSV")
    parser.add_argument("input", type=Path, metavar="FOLDER", help="photos, searched recursively")
    parser.add_argument("output", type=Path, metavar="OUT", help="the folder to write")
    parser.add_argument("--scale", type=int, choices=SCALES, default=2, help="times smaller, per side (default: 2)")
    parser.add_argument(
        "--degradation", choices=DEGRADATIONS, default="bicubic", help="photo adds blur, noise and JPEG"
    )
    parser.add_argument(
        "--shrink",
        type=int,
        metavar="N",
        help="at x1: shrink N times and enlarge back (default: 2 or 4)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also write a sheet of examples of the first photo")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    if options.sheet:
        images.check_writable(options.sheet)
    failed: list[str] = []

    def warn(text: str) -> None:
        failed.append(text)
        print(text, file=sys.stderr)

    count = write_pairs(
        options.input, options.output, options.scale, options.degradation, options.seed, options.shrink, print, warn
    )
    print(f"{count:,} pairs; train on them with: python train.py --data {options.output}")
    if options.sheet:
        # Drawing takes matplotlib, which is slow to import.
        from sr_model.figures.sheets import degradation_sheet

        first = images.load(images.find_images(options.output / HIGH)[0])
        images.save(degradation_sheet(first, options.scale, options.seed), options.sheet)
        print(options.sheet)
    return 1 if failed else 0
