"""Write a network as a file for another runtime, or as a page that runs it in browsers."""

import argparse
from pathlib import Path

from sr_model.commands.common import add_weights
from sr_model.errors import ConfigError
from sr_model.networks import presets

OF_FILES = ("scale", "half", "int8", "body")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("export", help="write a network as ONNX, OpenVINO IR or torch.export, or as a page")
    parser.add_argument(
        "preset", nargs="?", metavar="PRESET", help=f"one of {', '.join(presets.PRESETS)} (default with --page: nano)"
    )
    parser.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's)")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--out", type=Path, metavar="FILE", help="ends in .onnx, .xml or .pt2")
    kind.add_argument("--page", type=Path, metavar="FOLDER", help="a page without a server, with all scales")
    parser.add_argument("--half", action="store_true", help="store weights in 16 bits: half the size")
    parser.add_argument("--int8", action="store_true", help="the preset's 8-bit version")
    parser.add_argument("--body", action="store_true", help="without the bicubic enlargement that the network adds to")
    add_weights(parser, "where its weights are")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    if options.page:
        return _write_page(options)
    from sr_model.exporting.formats import export  # torch's exporters are slow to import

    if not options.preset:
        raise ConfigError(f"--out needs a PRESET; choose one of: {', '.join(presets.PRESETS)}.")
    scale = presets.default_scale(options.preset) if options.scale is None else options.scale
    chosen = options.out, options.half, options.int8, options.body
    for path in export(options.preset, scale, *chosen, options.weights):
        print(path)
    return 0


def _write_page(options: argparse.Namespace) -> int:
    extra = [f"--{name}" for name in OF_FILES if getattr(options, name)]
    if extra:
        raise ConfigError(f"{' and '.join(extra)} only apply to --out: a page has all scales and 16-bit weights.")
    from sr_model.ui.standalone import static_page

    static_page.write(options.page, options.preset or "nano", options.weights)
    print(f"{options.page}: serve it by any web server, such as python -m http.server --directory {options.page}")
    return 0
