"""Quality against time, beside the published networks: `python -m benchmarks.frontier --write`.

Measures in one run, by OpenVINO on the CPU, how long every preset takes for a result of 1280x720, from 8-bit to 8-bit
pixels, and how long the networks of benchmarks/shapes take, in float32 and without what comes before and after. Their
weights are random, as time does not depend on them; what the published ones reach is in benchmarks/published.csv. A
network that is not among the shapes is given the time that the fastest of them would take for its multiply-adds: it
takes more. --write puts the table into the README and draws docs/frontier.png; without it the table is printed.
"""

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from torch import Tensor, nn

from benchmarks.shapes import SHAPES
from sr_model.benchmark.plot import COLOURS
from sr_model.figures.drawing import INK, QUIET, own_settings
from sr_model.imaging.images import Picture
from sr_model.inference.devices import available_cpus, limit_threads
from sr_model.inference.engines import to_openvino
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.networks.presets import INT8
from sr_model.system.files import between_marks

ROOT = Path(__file__).parent.parent
README, PUBLISHED, PLOT = ROOT / "README.md", ROOT / "benchmarks" / "published.csv", ROOT / "docs" / "frontier.png"
BEGIN, END = "<!-- frontier: begin -->", "<!-- frontier: end -->"
WIDTH, HEIGHT = 1280, 720  # of the result
OURS = ("nano", "small", "base", "large", "best")
SCALES = (2, 3, 4)


@dataclass(frozen=True)
class Published:
    """A published network and what it reaches, by the protocol of sr_model/imaging/metrics.py."""

    name: str
    scale: int
    parameters: int | None
    gmac: float | None  # for a result of 1280x720
    set5: float  # dB


@dataclass(frozen=True)
class Point:
    """A network on the plot."""

    name: str
    scale: int
    seconds: float
    set5: float  # dB
    ours: bool
    measured: bool = True  # else `seconds` is the least that it can take


def published(scale: int) -> list[Published]:
    """Those of a scale."""

    with PUBLISHED.open(newline="") as file:
        return [
            Published(
                row["network"],
                scale,
                int(row["parameters"]) if row["parameters"] else None,
                float(row["gmac"]) if row["gmac"] else None,
                float(row["set5"]),
            )
            for row in csv.DictReader(file)
            if int(row["scale"]) == scale
        ]


def compiled(network: nn.Module, x: Tensor) -> Callable[[], Any]:
    """A call that runs a network, (N, 3, H, W) -> (N, 3, H', W'), on `x`, for whose size alone it is compiled."""
    model = to_openvino(network.eval(), x)
    model.reshape(list(x.shape))
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": available_cpus(),
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return partial(request.infer, [x.numpy()], share_inputs=True)


def fastest(jobs: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Seconds of each job's fastest run. They take turns, so what else the machine does falls on all of them."""
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(runs + 1):  # the first time kernels are made
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def measure(scale: int, runs: int) -> list[Point]:
    """All points of a scale, the fastest first."""
    h, w = -(-HEIGHT // scale), -(-WIDTH // scale)
    pixels = np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().contiguous() / 255
    theirs = published(scale)
    ours = [name for name, s in weights.available() if s == scale and name.removesuffix(INT8) in OURS]
    jobs: dict[str, Callable[[], object]] = {
        p.name: compiled(SHAPES[p.name](scale), x) for p in theirs if p.name in SHAPES
    }
    for name in ours:
        upscaler = Upscaler.from_preset(name, scale, "cpu")
        upscaler.expect_many()
        jobs[name] = partial(upscaler, Picture(pixels))
    seconds = fastest(jobs, runs)

    points = [
        Point(name, scale, seconds[name], weights.read_card(name, scale).metrics["Set5"]["psnr"], ours=True)
        for name in ours
    ]
    rate = max(p.gmac / seconds[p.name] for p in theirs if p.gmac and p.name in seconds)
    for p in theirs:
        if p.name in seconds:
            points.append(Point(p.name, scale, seconds[p.name], p.set5, ours=False))
        elif p.gmac:
            points.append(Point(p.name, scale, p.gmac / rate, p.set5, ours=False, measured=False))
    return sorted(points, key=lambda point: point.seconds)


def beats(ours: Point, theirs: Point) -> bool:
    """Whether a preset is at least as good as a published network, to two decimals as published, and no slower."""
    return ours.scale == theirs.scale and ours.seconds <= theirs.seconds and round(ours.set5, 2) >= theirs.set5


def beaten(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    """(published network, the best preset that beats it) for each that one does."""
    ours = [p for p in points if p.ours]
    found = ((p, [preset for preset in ours if beats(preset, p)]) for p in points if not p.ours)
    return [(p, max(better, key=lambda preset: preset.set5)) for p, better in found if better]


def presets_table(points: Sequence[Point]) -> str:
    """Markdown: each preset, and how many published networks it beats."""
    lines = ["| scale | preset | ms | Set5 | published networks beaten |", "|---|---|---|---|---|"]
    theirs = [p for p in points if not p.ours]
    for p in points:
        if p.ours:
            count = sum(beats(p, other) for other in theirs)
            of = sum(other.scale == p.scale for other in theirs)
            lines.append(f"| x{p.scale} | {p.name} | {p.seconds * 1e3:.0f} | {p.set5:.2f} | {count} of {of} |")
    return "\n".join(lines)


def published_table(points: Sequence[Point]) -> str:
    """Markdown: the published networks whose time was measured, and the best preset that beats each."""
    by_whom = {theirs: ours.name for theirs, ours in beaten(points)}
    lines = ["| scale | network | ms | Set5 | beaten by |", "|---|---|---|---|---|"]
    for p in points:
        if p.measured and not p.ours:
            lines.append(f"| x{p.scale} | {p.name} | {p.seconds * 1e3:.0f} | {p.set5:.2f} | {by_whom.get(p, '')} |")
    return "\n".join(lines)


def section(points: Sequence[Point]) -> str:
    """The plot, the count and the tables."""
    theirs = [p for p in points if not p.ours]
    timed, slower = sum(p.measured for p in theirs), len(beaten(points))
    return (
        "![Set5 against time for a result of 1280x720](docs/frontier.png)\n\n"
        f"Of {len(theirs)} published networks, {slower} are slower than a preset that is at least as good.\n\n"
        f"{presets_table(points)}\n\n"
        f"<details><summary>The {timed} published networks that were timed</summary>\n\n"
        f"{published_table(points)}\n\n"
        "</details>"
    )


@own_settings()
def plot(points: Sequence[Point]) -> bytes:
    """A PNG: a panel for each scale, Set5 against milliseconds."""
    scales = sorted({p.scale for p in points})
    figure = Figure(figsize=(4.2 * len(scales), 4.4), facecolor="white", dpi=140, layout="constrained")
    for axes, scale in zip(np.atleast_1d(figure.subplots(1, len(scales))), scales, strict=True):
        here = [p for p in points if p.scale == scale]
        for ours, measured, marker, label in (
            (False, False, "<", "published: takes at least this"),
            (False, True, "o", "published: its shape was timed"),
            (True, True, "D", "presets"),
        ):
            chosen = [p for p in here if (p.ours, p.measured) == (ours, measured)]
            axes.scatter(
                [p.seconds * 1e3 for p in chosen],
                [p.set5 for p in chosen],
                s=34 if ours else 16,
                marker=marker,
                color=COLOURS[1] if ours else QUIET,
                facecolor=None if ours or measured else "white",
                label=label,
            )
        for p in here:
            if p.ours:
                # Steep, as neighbours are often on one height: those in 8 bits above, the others below.
                place, angle, side = ((-3, 6), 70, "bottom") if p.name.endswith(INT8) else ((-3, -6), -70, "top")
                at = (p.seconds * 1e3, p.set5)
                style = {"textcoords": "offset points", "fontsize": 7.5, "rotation": angle, "va": side}
                axes.annotate(p.name, at, place, zorder=0.9, **style)  # below all points, so none is hidden
        least = min(p.set5 for p in here if p.ours)
        axes.set(xscale="log", ylim=(least - 0.6, max(p.set5 for p in here) + 0.15))
        axes.set_title(f"x{scale}", color=INK, fontsize=11)
        axes.set_xlabel("ms for 1280x720, OpenVINO on the CPU", color=QUIET, fontsize=8)
        axes.set_ylabel("Set5, dB", color=QUIET, fontsize=8)
        axes.grid(color="#e4e6e8", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.16)  # for the name of the rightmost
        axes.tick_params(which="both", labelsize=8, colors=QUIET, length=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=3, frameon=False)
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="of each network; the fastest counts")
    parser.add_argument("--write", action="store_true", help="put the table into the README and draw docs/frontier.png")
    options = parser.parse_args()
    limit_threads()
    have = {scale for name, scale in weights.available() if name.removesuffix(INT8) in OURS}
    points = [point for scale in SCALES if scale in have for point in measure(scale, options.runs)]
    if options.write:
        README.write_text(between_marks(README.read_text(), BEGIN, END, section(points)))
        PLOT.write_bytes(plot(points))
    else:
        print(section(points))
    return 0


if __name__ == "__main__":
    sys.exit(main())
