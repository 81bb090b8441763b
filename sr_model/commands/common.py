"""Shared by commands: errors become a sentence, options that choose a network, and those that make new weights."""

import argparse
import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sr_model.data import list_of_pairs, pairs
from sr_model.errors import ConfigError, SRError
from sr_model.inference.devices import DEVICES, limit_threads
from sr_model.inference.engines import ENGINES
from sr_model.inference.ensemble import QUALITIES
from sr_model.inference.mixing import AUTO
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.models.weights import Card
from sr_model.networks import SCALES, presets

# What is not installed with the core, and the extra of pyproject.toml that brings it.
EXTRAS = {
    **dict.fromkeys(("gradio", "starlette", "ssimulacra2", "onnx", "onnxscript"), "app"),
    **dict.fromkeys(("torchvision", "matplotlib", "tensorboard"), "train"),
    **dict.fromkeys(("s3fs", "aiohttp"), "remote"),
    "pyarrow": "lists",
    "av": "video",
    "ray": "cluster",
}


def run(work: Callable[[], int]) -> int:
    """Run `work` and return the exit status: its own, 2 for wrong settings, 1 for other errors that a user can fix."""
    limit_threads()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold any bytes
    try:
        return work()
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if not extra:
            raise
        print(f"error: This needs {error.name}; install it with: pip install 'sr-model[{extra}]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def add_network(parser: argparse.ArgumentParser, also: str = "", files: bool = False) -> None:
    """Options for a network: its preset, scale, weights, device, engine and tiles.

    With `files`, --quality takes numbers too, those of the files that are written, and is a list.
    """
    parser.add_argument("--preset", default="base", metavar="NAME", help=f"which network (default: base){also}")
    parser.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's, base 2)")
    add_weights(parser, "where its weights are")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--engine", default="auto", help=f"{', '.join(ENGINES)}: what runs it (default: auto)")
    parser.add_argument(
        "--tile", type=int, default=0, metavar="N", help="largest side of a tile in input pixels (default: the best)"
    )
    text = f"{' or '.join(QUALITIES)}: max averages over 8 flips and turns, in 8 times the time (default: normal)"
    if files:
        text += "; a number from 1 to 100: of jpg (default: 95) and webp (default: lossless); may be given twice"
        parser.add_argument("--quality", action="append", default=[], help=text)
    else:
        parser.add_argument("--quality", default="normal", help=text)
    parser.add_argument(
        "--strength",
        default=AUTO,
        metavar="auto|0..1",
        help="how strongly the preset photo repairs; auto looks at each picture (default: auto)",
    )


def add_weights(parser: argparse.ArgumentParser, meaning: str) -> None:
    """The option --weights, which takes what `places.locate` takes."""
    parser.add_argument(
        "--weights",
        default=weights.SHIPPED,
        metavar="PLACE",
        help=f"{meaning}: a folder, or hf://owner/name[@revision] on the Hub (default: those shipped)",
    )


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Options for the pictures that new weights are measured on."""
    parser.add_argument("--val-data", type=Path, required=True, metavar="SOURCE", help="pictures to compare on")
    parser.add_argument(
        "--test", type=Path, action="append", default=[], metavar="SOURCE", help="further set to measure; repeatable"
    )


def add_remaking(parser: argparse.ArgumentParser, photos: str) -> None:
    """Options of a command that makes a preset's weights into others; `photos` says what those of --data are for."""
    parser.add_argument("preset", metavar="PRESET", help=f"one of {', '.join(presets.PRESETS)}")
    parser.add_argument("--scale", type=int, metavar="N", help="times larger, per side (default: the preset's)")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help=photos)
    add_measuring(parser)
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="where they are (default: weights)")


def remake(options: argparse.Namespace, how: Callable[..., Card]) -> int:
    """The work of such a command: `how` is `promotion.quantize_preset` or its like."""
    scale = presets.default_scale(options.preset) if options.scale is None else options.scale
    folder = options.weights or weights.SHIPPED
    say = partial(print, flush=True)
    card = how(options.preset, scale, options.data, options.val_data, options.test, folder, say)
    print(f"Installed {weights.name(card.preset, card.scale)} in {folder}")
    return 0


def load_upscaler(options: argparse.Namespace, streams: int = 1) -> Upscaler:
    """The network that `add_network`'s options name, for so many pictures at a time. Raises SRError."""
    upscaler = Upscaler.from_preset(
        options.preset,
        options.scale,
        options.device,
        options.weights,
        options.tile,
        options.engine,
        options.quality,
        options.strength,
        streams,
    )
    if options.strength != AUTO and not upscaler.is_mixed:
        raise ConfigError(
            f"--strength is for weights that repair, as photo's; {options.preset} does not: leave it out."
        )
    limit_threads(upscaler.streams)
    if upscaler.place and upscaler.place.repo:
        print(f"Weights: {upscaler.place}", file=sys.stderr)
    return upscaler


def chosen_scale(options: argparse.Namespace) -> int:
    """The scale asked for, else the scale of the pairs to measure on, else the default of the preset."""
    if options.scale is not None:
        if options.scale not in SCALES:
            raise ConfigError(f"--scale is {options.scale}; choose one of: {', '.join(map(str, SCALES))}.")
        return int(options.scale)
    listing = list_of_pairs(Path(options.data)) if "data" in options else None
    if listing:
        return pairs.scale_of(listing)
    return 2 if options.preset == "bicubic" else presets.default_scale(options.preset)
