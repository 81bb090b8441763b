"""Measure time, memory and start-up of every preset on every engine."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from sr_model.benchmark import measuring
from sr_model.commands.common import add_weights
from sr_model.errors import ConfigError
from sr_model.inference.devices import DEVICES
from sr_model.models import places, weights


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("benchmark", help="time, memory and start-up of every preset on every engine")
    many: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument("--preset", **many, metavar="NAME", help="may be repeated (default: all there are)")
    parser.add_argument("--scale", **many, type=int, metavar="N", help="may be repeated (default: all there are)")
    parser.add_argument("--engine", default="all", help="openvino, torch or all (default: all)")
    parser.add_argument("--device", default="all", help=f"{', '.join(DEVICES)} or all (default: all)")
    add_weights(parser, "of the presets")
    parser.add_argument(
        "--size", **many, metavar="WxH", help="of a picture; may be repeated (default: five of 256x256 to 4000x3000)"
    )
    parser.add_argument("--runs", type=int, default=measuring.RUNS, metavar="N", help="of each size (default: 7)")
    parser.add_argument(
        "--limit",
        type=float,
        default=measuring.LIMIT,
        metavar="SECONDS",
        help="for all runs of a size; a size whose single run would take longer is skipped (default: 60)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object; the table goes to stderr")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw a plot, into a .png")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    folder = places.locate(options.weights).folder
    if options.plot and options.plot.suffix.lower() != ".png":
        raise ConfigError(f"--plot {options.plot} must end in .png.")
    sizes = [measuring.read_size(text) for text in options.size] or measuring.SIZES
    cases = measuring.choose(options.preset, options.scale, options.engine, options.device, folder)
    show = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    report = measuring.benchmark(cases, sizes, options.runs, options.limit, folder, show)
    if options.json:
        print(json.dumps(report, indent=2))
    if options.plot:
        # Drawing takes matplotlib, which is slow to import.
        from sr_model.benchmark.plot import write_plot

        write_plot(report, options.plot)
    failed = [case for case in report["cases"] if "error" in case]
    for case in failed:
        print(f"{weights.name(case['preset'], case['scale'])}, {case['engine']}: {case['error']}", file=sys.stderr)
    return 1 if failed else 0
