"""Measure a network against bicubic on a folder of originals."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sr_model.commands.common import add_network, chosen_scale, load_upscaler
from sr_model.errors import ConfigError
from sr_model.evaluation.comparison import Scores, evaluate
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import enlarge_bicubic
from sr_model.models import weights


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("evaluate", help="PSNR and SSIM against bicubic, on a folder of originals")
    parser.add_argument(
        "--data", required=True, metavar="SOURCE", help="folder of high-resolution pictures, or CSV of pairs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--record", action="store_true", help="also write the figures beside the weights")
    add_network(parser, also="; bicubic needs no weights")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    options.scale = chosen_scale(options)
    if options.record and options.quality != "normal":
        raise ConfigError("--record writes the figures of a single pass; leave out --quality or --record.")
    if options.preset == "bicubic":
        if options.record:
            raise ConfigError("--record writes beside a network's weights, and bicubic has none.")
        enlarge: Callable[[Picture], Picture] = partial(enlarge_bicubic, scale=options.scale)
    else:
        enlarge = load_upscaler(options)

    def show(name: str, s: Scores) -> None:
        if not options.json:
            print(f"{s.psnr:7.2f} {s.ssim:7.4f}   {s.bicubic_psnr:7.2f} {s.bicubic_ssim:7.4f}   {name}", flush=True)

    if not options.json:
        print("network          bicubic\n   PSNR    SSIM      PSNR    SSIM")
    report = evaluate(enlarge, options.scale, options.data, show)
    report["preset"] = options.preset
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(f"mean of {len(report['pictures'])} pictures of {report['set']}", Scores(**report["mean"]))
        print(report["definition"])
    if options.record:
        folder = Path(options.weights or weights.SHIPPED)
        card = weights.read_card(options.preset, options.scale, folder)
        mean = {key: round(value, 4) for key, value in report["mean"].items()}
        card.metrics[report["set"]] = {"pictures": len(report["pictures"]), **mean}
        weights.write_card(card, folder)
    return 0
