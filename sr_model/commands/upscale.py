"""Enlarge a picture, or every picture of a folder, a list or a shard."""

import argparse
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from sr_model.bulk import storage
from sr_model.bulk.job import Job, file_job, folder_job
from sr_model.bulk.outputs import FORMATS, Output
from sr_model.bulk.plan import plan
from sr_model.bulk.records import Record
from sr_model.commands.common import add_network, chosen_scale, load_upscaler
from sr_model.commands.display import Display, FrameDisplay, Report
from sr_model.errors import ConfigError
from sr_model.inference.batches import Tick
from sr_model.inference.engines import default_streams
from sr_model.inference.upscaler import Upscaler
from sr_model.system.remote import is_remote
from sr_model.video import clips

NOT_OF_VIDEOS = (
    "cluster",
    "column",
    "dry_run",
    "format",
    "from_file",
    "glob",
    "keep_exif",
    "max_side",
    "report",
    "suffix",
    "timing",
    "workers",
)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("upscale", help="enlarge a picture, or every picture of a folder")
    parser.add_argument("input", metavar="IN", help="a picture, a folder (searched recursively), a .tar, or a URL")
    parser.add_argument("output", metavar="OUT", help="the file to write, or a folder; or a URL")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="of files written into a folder; png and webp are lossless (default: png)",
    )
    parser.add_argument("--suffix", default="", metavar="TEXT", help="behind the names, before the ending: _x2")
    parser.add_argument(
        "--glob", action="append", default=[], metavar="PATTERN", help="only files like *.jpg; may be repeated"
    )
    parser.add_argument(
        "--from-file",
        default="",
        metavar="LIST",
        help="names below IN, or whole ones: lines (- for stdin), .csv, .tsv, .parquet",
    )
    parser.add_argument("--column", default="", metavar="NAME", help="of the list's names (default: path)")
    parser.add_argument("--keep-exif", action="store_true", help="camera, date, place: all that the originals hold")
    parser.add_argument("--max-side", type=int, metavar="N", help="shrink results that have more pixels on a side")
    parser.add_argument("--cluster", default="", metavar="local|ADDRESS", help="work on a Ray cluster")
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="networks on it (default: one a GPU, or for two processors)",
    )
    parser.add_argument("--report", metavar="FILE", help="what became of each file, as lines of JSON")
    parser.add_argument("--dry-run", action="store_true", help="say how many files, how long, and how much disk")
    parser.add_argument("--timing", action="store_true", help="also print where the time went")
    add_network(parser, files=True)
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    options.scale = chosen_scale(options)
    numbers = [int(text) for text in options.quality if text.isdecimal()]
    options.quality = next((text for text in reversed(options.quality) if not text.isdecimal()), "normal")
    output = Output(
        options.format or FORMATS[0],
        numbers[-1] if numbers else None,
        options.suffix,
        options.keep_exif,
        options.max_side,
    )
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd files, which they do not name
    for name in ("PIL", "gcsfs"):  # what goes wrong is told by our own sentences, once
        logging.getLogger(name).addHandler(logging.NullHandler())
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    is_video = storage.ending(options.input) in clips.SUFFIXES
    job = None if is_video else replace(_job(options, output), measure=bool(options.report))
    if job:
        _check(options, one_file=not job.journal)
    try:
        return _pictures(options, job) if job else _video(options, output)
    except KeyboardInterrupt:
        if job and not job.journal:
            raise
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _pictures(options: argparse.Namespace, job: Job) -> int:
    upscaler = load_upscaler(options, default_streams() if job.journal else 1)
    if options.dry_run:
        print(plan(job, upscaler).text())
        return 0
    with (
        closing(Report(Path(options.report))) if options.report else nullcontext() as report,
        Display(upscaler.scale, report, options.timing, one_file=not job.journal) as display,
    ):
        display.count(job.items)
        wait = _waiting(options)
        for step in _on_cluster(options, job, upscaler, wait) if options.cluster else job.steps(upscaler, wait):
            display.show(step)
    return 1 if display.counts["refused"] else 0


def _check(options: argparse.Namespace, one_file: bool) -> None:
    """Raise ConfigError for options that would do nothing."""
    if options.column and not options.from_file:
        raise ConfigError("--column is the column of a list; give the list by --from-file, or leave it out.")
    if options.workers and not options.cluster:
        raise ConfigError("--workers is for a cluster; give --cluster local or its address, or leave it out.")
    if options.report and is_remote(options.report):
        raise ConfigError(f"--report is a file on a disk, and {options.report} is a URL; give a path.")
    if one_file and options.glob:
        raise ConfigError("--glob chooses files of a folder, and IN is one picture; leave it out.")
    into_folder = not one_file or options.output.endswith("/") or storage.is_folder(options.output)
    if (options.suffix or options.format) and not into_folder:
        raise ConfigError("--suffix and --format name files in a folder, and OUT names the file; leave them out.")


def _waiting(options: argparse.Namespace) -> Callable[[], None]:
    return partial(print, f"waiting for another job on {options.output} to end", file=sys.stderr, flush=True)


def _job(options: argparse.Namespace, output: Output) -> Job:
    if options.from_file or storage.is_folder(options.input):
        return folder_job(options.input, options.output, output, tuple(options.glob), options.from_file, options.column)
    return file_job(options.input, options.output, output)


def _on_cluster(
    options: argparse.Namespace, job: Job, upscaler: Upscaler, wait: Callable[[], None]
) -> Iterator[Tick | Record]:
    from sr_model.bulk import cluster

    asked = {name: getattr(options, name) for name in ("device", "tile", "engine", "quality", "strength")}
    with job.lock(wait):
        yield from cluster.run(job, upscaler, asked, options.cluster, options.workers)


def _video(options: argparse.Namespace, output: Output) -> int:
    others = [name for name in NOT_OF_VIDEOS if getattr(options, name)] + ["quality N"] * (output.quality is not None)
    if others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise ConfigError(f"{names} cannot be used with a video.")
    if is_remote(options.input) or is_remote(options.output):
        raise ConfigError("Videos are read from a disk and written to one, not behind URLs; copy the video first.")
    source, target = Path(options.input), Path(options.output)
    if target.is_dir() or options.output.endswith(os.sep):
        target /= source.name
    if target.suffix.lower() not in clips.SUFFIXES:
        raise ConfigError(f"OUT of a video must end in one of {', '.join(clips.SUFFIXES)}.")
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigError(f"OUT would replace the original {source}; choose another name.")
    upscaler = load_upscaler(options)
    settings = str(output.settings(upscaler, target.suffix))
    with FrameDisplay() as display:
        for step in clips.enlarge(upscaler, source, target, settings, wait=_waiting(options)):
            display.show(step.done, step.total)
    print(target)
    return 0
