"""Measure a network against bicubic on a folder of originals."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sr_model.commands.common import add_network, chosen_scale, load_upscaler
from sr_model.errors import ConfigError
from sr_model.evaluation.comparison import Scores, evaluate
from sr_model.evaluation.conditions import CONDITIONS, Figures, evaluate_under
from sr_model.imaging.images import Picture
from sr_model.imaging.metrics import DEFINITION
from sr_model.inference.upscaler import enlarge_bicubic
from sr_model.models import weights


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("evaluate", help="PSNR and SSIM against bicubic, on a folder of originals")
    parser.add_argument(
        "--data", required=True, metavar="SOURCE", help="folder of high-resolution pictures, or CSV of pairs"
    )
    parser.add_argument(
        "--degradation",
        metavar="NAME",
        help=f"how the pictures are degraded, with SSIMULACRA2: {', '.join(CONDITIONS)}",
    )
    parser.add_argument("--degradations", action="store_true", help="a row for each of these")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--record", action="store_true", help="also write the figures beside the weights")
    add_network(parser, also="; bicubic needs no weights")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    options.scale = chosen_scale(options)
    if options.record and options.quality != "normal":
        raise ConfigError("--record writes the figures of a single pass; leave out --quality or --record.")
    conditions = _conditions(options)
    place = None
    if options.preset == "bicubic":
        if options.record:
            raise ConfigError("--record writes beside a network's weights, and bicubic has none.")
        enlarge: Callable[[Picture], Picture] = partial(enlarge_bicubic, scale=options.scale)
    else:
        upscaler = enlarge = load_upscaler(options)
        place = upscaler.place if upscaler.place and upscaler.place.repo else None
        if options.record and place:
            raise ConfigError(f"--record writes beside weights in a folder, and these are of {place}.")
    if conditions:
        return _degraded(options, conditions, enlarge)

    def show(name: str, s: Scores) -> None:
        if not options.json:
            print(f"{s.psnr:7.2f} {s.ssim:7.4f}   {s.bicubic_psnr:7.2f} {s.bicubic_ssim:7.4f}   {name}", flush=True)

    if not options.json:
        print("network          bicubic\n   PSNR    SSIM      PSNR    SSIM")
    report = evaluate(enlarge, options.scale, options.data, show)
    report["preset"] = options.preset
    if place:
        report["weights"] = str(place)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(f"mean of {len(report['pictures'])} pictures of {report['set']}", Scores(**report["mean"]))
        print(report["definition"])
    if options.record:
        folder = Path(options.weights)
        card = weights.read_card(options.preset, options.scale, folder)
        mean = {key: round(value, 4) for key, value in report["mean"].items()}
        card.metrics[report["set"]] = {"pictures": len(report["pictures"]), **mean}
        weights.write_card(card, folder)
    return 0


def _conditions(options: argparse.Namespace) -> list[str]:
    """The names asked for; none for the plain measurement. Raises ConfigError."""
    if options.degradation and options.degradations:
        raise ConfigError("--degradations are all of them; leave out --degradation.")
    if options.degradation and options.degradation not in CONDITIONS:
        raise ConfigError(f"There is no degradation {options.degradation!r}; choose one of: {', '.join(CONDITIONS)}.")
    chosen = list(CONDITIONS) if options.degradations else [options.degradation] if options.degradation else []
    if chosen and options.record:
        raise ConfigError("--record writes the plain figures; leave out --degradation or --record.")
    return chosen


def _degraded(options: argparse.Namespace, conditions: list[str], enlarge: Callable[[Picture], Picture]) -> int:
    def line(name: str, f: Figures, worse: str = "") -> None:
        if not options.json:
            network = f"{f.psnr:7.2f} {f.ssim:7.4f} {f.ssimulacra2:7.1f}"
            bicubic = f"{f.bicubic_psnr:7.2f} {f.bicubic_ssim:7.4f} {f.bicubic_ssimulacra2:7.1f}"
            print(f"{network}   {bicubic}   {worse:>5}  {name}", flush=True)

    if not options.json:
        print("network                  bicubic                   worse")
        print("   PSNR    SSIM SSIMU2      PSNR    SSIM SSIMU2")
    reports = []
    for condition in conditions:
        each = line if len(conditions) == 1 else lambda name, figures: None
        report = evaluate_under(condition, enlarge, options.scale, options.data, each)
        reports.append(report | {"preset": options.preset})
        line(condition, Figures(**report["mean"]), f"{report['worse_than_bicubic']:.0%}")
    if options.json:
        print(json.dumps(reports if options.degradations else reports[0], indent=2))
    else:
        print(DEFINITION)
        print("SSIMULACRA2 (SSIMU2): higher is better, 100 for equal pictures. Worse: the share of pictures on which")
        print("bicubic has the higher SSIMULACRA2.")
    return 0
