"""The command line `python -m sr_model ...`: it parses, calls, and turns errors into a sentence."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sr_model import images, presets, weights
from sr_model.benchmark import measuring
from sr_model.data import list_of_pairs, pairs
from sr_model.data.make_pairs import HIGH, example_sheet, write_pairs
from sr_model.degradations import DEGRADATIONS
from sr_model.devices import limit_threads
from sr_model.engines import ENGINES
from sr_model.errors import ConfigError, ImageError, SRError
from sr_model.evaluation import Scores, evaluate
from sr_model.images import Picture
from sr_model.model import SCALES
from sr_model.promotion import promote, quantize_preset
from sr_model.upscale import Upscaler, enlarge_bicubic, upscale_file


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m sr_model`. Exit status 0 when everything asked for was done, 2 for a wrong call, else 1."""
    options = build_parser().parse_args(arguments)
    return run(lambda: options.work(options))


def run(work: Callable[[], int]) -> int:
    """Exit status of `work`: its own, 2 for settings that are wrong, 1 for other errors that a person can mend."""
    limit_threads()
    try:
        return work()
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options; each sets `work` to the function that does it."""
    parser = argparse.ArgumentParser(
        prog="python -m sr_model", description="Enlarge pictures by an autoencoder, and measure how well it does."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    upscaling = commands.add_parser("upscale", help="enlarge a picture, or every picture of a folder")
    upscaling.add_argument("input", type=Path, metavar="IN", help="a picture, or a folder that is searched recursively")
    upscaling.add_argument("output", type=Path, metavar="OUT", help="the file to write, or a folder")
    upscaling.add_argument(
        "--format",
        choices=("png", "webp", "jpg"),
        default="png",
        help="of files written into a folder; png and webp are lossless (default: png)",
    )
    upscaling.add_argument("--timing", action="store_true", help="also print where the time went")
    _add_network(upscaling)
    upscaling.set_defaults(work=_upscale)

    evaluating = commands.add_parser("evaluate", help="PSNR and SSIM against bicubic, on a folder of originals")
    evaluating.add_argument(
        "--data", required=True, metavar="SOURCE", help="folder of high-resolution pictures, or CSV of pairs"
    )
    evaluating.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    evaluating.add_argument("--record", action="store_true", help="also write the figures beside the weights")
    _add_network(evaluating, also="; bicubic needs no weights")
    evaluating.set_defaults(work=_evaluate)

    timing = commands.add_parser("benchmark", help="time, memory and start of every preset on every engine")
    many: dict[str, Any] = {"action": "append", "default": []}
    timing.add_argument("--preset", **many, metavar="NAME", help="may be repeated (default: all there are)")
    timing.add_argument("--scale", **many, type=int, metavar="N", help="may be repeated (default: all there are)")
    timing.add_argument("--engine", default="all", help="openvino, torch or all (default: all)")
    timing.add_argument("--device", default="all", help="cuda, cpu, auto or all (default: all)")
    timing.add_argument("--weights", type=Path, metavar="FOLDER", help="of the presets (default: those shipped)")
    timing.add_argument(
        "--size", **many, metavar="WxH", help="of a picture; may be repeated (default: five of 256x256 to 4000x3000)"
    )
    timing.add_argument("--runs", type=int, default=measuring.RUNS, metavar="N", help="of each size (default: 7)")
    timing.add_argument(
        "--limit",
        type=float,
        default=measuring.LIMIT,
        metavar="SECONDS",
        help="for the runs of a size; where one alone takes longer, it is skipped (default: 60)",
    )
    timing.add_argument("--json", action="store_true", help="print one JSON object; the table goes to stderr")
    timing.add_argument("--plot", type=Path, metavar="FILE", help="also draw it, into a .png")
    timing.set_defaults(work=_benchmark)

    promoting = commands.add_parser("promote", help="put a run's weights into weights/, if they are better")
    promoting.add_argument("run", type=Path, metavar="RUN_DIR", help="the folder that train.py has written")
    promoting.add_argument("--val-data", type=Path, required=True, metavar="SOURCE", help="pictures to compare on")
    promoting.add_argument(
        "--test", type=Path, action="append", default=[], metavar="SOURCE", help="a set to measure too; may be repeated"
    )
    promoting.add_argument("--weights", type=Path, metavar="FOLDER", help="where to put them (default: weights)")
    promoting.add_argument("--device", default="auto", help="cuda, cpu or auto (default: auto)")
    promoting.set_defaults(work=_promote)

    quantizing = commands.add_parser("quantize", help="make the 8-bit version of a preset's weights, if it is as good")
    quantizing.add_argument("preset", metavar="PRESET", help=f"one of {', '.join(presets.PRESETS)}")
    quantizing.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's)")
    quantizing.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="photos to choose the ranges of values on"
    )
    quantizing.add_argument("--val-data", type=Path, required=True, metavar="SOURCE", help="pictures to compare on")
    quantizing.add_argument(
        "--test", type=Path, action="append", default=[], metavar="SOURCE", help="a set to measure too; may be repeated"
    )
    quantizing.add_argument("--weights", type=Path, metavar="FOLDER", help="where they are (default: weights)")
    quantizing.set_defaults(work=_quantize)

    drawing = commands.add_parser("figures", help="draw a network and, with --image, what it makes of a picture")
    drawing.add_argument("preset", metavar="PRESET", help=f"one of {', '.join(presets.PRESETS)}")
    drawing.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's)")
    drawing.add_argument(
        "--network", default="", metavar="OPTIONS", help="changes, such as skips=true,residual_blocks=2"
    )
    drawing.add_argument("--image", type=Path, metavar="FILE", help="a picture for the five panels")
    drawing.add_argument("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="(default: figures)")
    drawing.add_argument("--weights", type=Path, metavar="FOLDER", help="for --image (default: those shipped)")
    drawing.set_defaults(work=_figures)

    degrading = commands.add_parser(
        "degrade", help="make a folder of pairs for training: photos, copies, and their CSV"
    )
    degrading.add_argument("input", type=Path, metavar="FOLDER", help="photos, searched recursively")
    degrading.add_argument("output", type=Path, metavar="OUT", help="the folder to write")
    degrading.add_argument("--scale", type=int, choices=SCALES, default=2, help="times smaller, per side (default: 2)")
    degrading.add_argument(
        "--degradation", choices=DEGRADATIONS, default="bicubic", help="photo adds blur, noise and JPEG"
    )
    degrading.add_argument(
        "--shrink",
        type=int,
        metavar="N",
        help="at x1: shrunk so many times and enlarged again (default: 2 or 4)",
    )
    degrading.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: 0)")
    degrading.add_argument("--sheet", type=Path, metavar="FILE", help="also a sheet of examples of the first photo")
    degrading.set_defaults(work=_degrade)
    return parser


def _add_network(parser: argparse.ArgumentParser, also: str = "") -> None:
    parser.add_argument("--preset", default="base", metavar="NAME", help=f"which network (default: base){also}")
    parser.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's, base 2)")
    parser.add_argument("--weights", metavar="FOLDER", help="where its weights are (default: those shipped)")
    parser.add_argument("--device", default="auto", help="cuda, cpu or auto (default: auto)")
    parser.add_argument("--engine", default="auto", help=f"{', '.join(ENGINES)}: what runs it (default: auto)")
    parser.add_argument(
        "--tile", type=int, default=0, metavar="N", help="largest side of a tile in input pixels (default: the best)"
    )


def _upscaler(options: argparse.Namespace) -> Upscaler:
    folder = options.weights or weights.SHIPPED
    return Upscaler.from_preset(options.preset, options.scale, options.device, folder, options.tile, options.engine)


def _scale(options: argparse.Namespace) -> int:
    """The scale asked for; else that of the pairs to measure on; else the preset's."""
    if options.scale:
        return int(options.scale)
    listing = list_of_pairs(Path(options.data)) if "data" in options else None
    if listing:
        return pairs.scale_of(listing)
    return 2 if options.preset == "bicubic" else presets.default_scale(options.preset)


def _upscale(options: argparse.Namespace) -> int:
    options.scale = _scale(options)
    jobs = _jobs(options.input, options.output, options.format)
    for _, target in jobs:
        images.check_writable(target)
    upscaler = _upscaler(options)
    failed = 0
    for source, target in jobs:
        try:
            timing = upscale_file(upscaler, source, target)
        except ImageError as error:
            failed += 1
            print(f"{source}: {error}", file=sys.stderr)
        else:
            print(f"{target}  {timing.text()}" if options.timing else target)
    return 1 if failed else 0


def _jobs(source: Path, target: Path, ending: str) -> list[tuple[Path, Path]]:
    """(file to read, file to write) for every picture asked for. Raises ConfigError and ImageError."""
    if not source.exists():
        raise ImageError(f"There is no file or folder {source}.")
    if not source.is_dir():
        if target.is_dir():
            target = target / f"{source.stem}.{ending}"
        if target.exists() and target.samefile(source):
            raise ConfigError(f"OUT would replace the original {source}; choose another name.")
        return [(source, target)]

    if target.exists() and not target.is_dir():
        raise ConfigError(f"IN is a folder, so OUT must be one too, and {target} is a file.")
    if target.resolve() == source.resolve():
        raise ConfigError("OUT is the same folder as IN, and originals could be replaced; choose another one.")
    # A folder inside IN that an earlier call has written to is not input again.
    found = [path for path in images.find_images(source) if target.resolve() not in path.resolve().parents]
    if not found:
        raise ImageError(f"There is no picture in {source}; looked for {', '.join(images.SUFFIXES)}.")
    taken: set[Path] = set()
    jobs = []
    for path in found:
        relative = path.relative_to(source)
        new = relative.with_suffix(f".{ending}")
        if new in taken:  # cat.jpg and cat.png
            new = relative.with_name(f"{relative.name}.{ending}")
        taken.add(new)
        jobs.append((path, target / new))
    return jobs


def _evaluate(options: argparse.Namespace) -> int:
    options.scale = _scale(options)
    if options.preset == "bicubic":
        if options.record:
            raise ConfigError("--record writes beside a network's weights, and bicubic has none.")
        enlarge: Callable[[Picture], Picture] = partial(enlarge_bicubic, scale=options.scale)
    else:
        enlarge = _upscaler(options).enlarge

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


def _benchmark(options: argparse.Namespace) -> int:
    folder = options.weights or weights.SHIPPED
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


def _figures(options: argparse.Namespace) -> int:
    # Drawing takes matplotlib, which is slow to import.
    from sr_model.figures.files import write_architecture, write_panels

    scale = options.scale or presets.default_scale(options.preset)
    for path in write_architecture(options.preset, scale, options.out, options.network):
        print(path)
    if options.image:
        print(write_panels(options.preset, scale, options.image, options.out, options.weights or weights.SHIPPED))
    return 0


def _promote(options: argparse.Namespace) -> int:
    target = options.weights or weights.SHIPPED
    promote(options.run, options.val_data, options.test, target, partial(print, flush=True), options.device)
    return 0


def _quantize(options: argparse.Namespace) -> int:
    scale = options.scale or presets.default_scale(options.preset)
    folder = options.weights or weights.SHIPPED
    say = partial(print, flush=True)
    quantize_preset(options.preset, scale, options.data, options.val_data, options.test, folder, say)
    print(f"Installed {weights.name(options.preset + presets.INT8, scale)} in {folder}")
    return 0


def _degrade(options: argparse.Namespace) -> int:
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
        first = images.load(images.find_images(options.output / HIGH)[0])
        images.save(example_sheet(first, options.scale, options.seed), options.sheet)
        print(options.sheet)
    return 1 if failed else 0
