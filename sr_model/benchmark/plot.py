"""Plot of a benchmark's report: the time per pixel against the size of the picture."""

import io
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from sr_model.benchmark.report import heading
from sr_model.errors import ConfigError
from sr_model.figures.drawing import INK, QUIET, own_settings
from sr_model.models import weights
from sr_model.system.files import write_atomically

# Paul Tol's "muted" scheme, safe for colour-blind readers; the light ones are darkened for text on white.
COLOURS = ("#332288", "#cc6677", "#117733", "#aa4499", "#858020", "#2f8fc4", "#882255", "#2f9284", "#b08a2a")
DASHES = {("openvino", "cpu"): "-", ("torch", "cpu"): (0, (4, 2)), ("torch", "cuda"): (0, (1, 1.5))}
NAMES = {("openvino", "cpu"): "OpenVINO", ("torch", "cpu"): "torch", ("torch", "cuda"): "torch, CUDA"}
APART = 0.042  # of the axes' height: labels closer together would be illegible


def write_plot(report: dict[str, Any], path: Path) -> None:
    """Write `plot`'s picture to a file, creating its folder. Raises ConfigError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, plot(report))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from None


@own_settings()
def plot(report: dict[str, Any]) -> bytes:
    """A PNG of ms per megapixel of the result against megapixels of the input, both logarithmic, of all cases.

    One colour per network, one dash pattern per engine; skipped or failed cases have no points.
    """
    figure = Figure(figsize=(9, 5.6), facecolor="white", dpi=160)
    axes = figure.add_axes((0.085, 0.14, 0.685, 0.74))
    networks = list(dict.fromkeys((case["preset"], case["scale"]) for case in report["cases"]))
    ends = []
    for case in report["cases"]:
        rows = [row for row in case["sizes"] if "skipped" not in row]
        if not rows:
            continue
        x = [row["width"] * row["height"] / 1e6 for row in rows]
        y = [row["ms_per_megapixel"] for row in rows]
        way = case["engine"], case["device"]
        network = case["preset"], case["scale"]
        colour = COLOURS[networks.index(network) % len(COLOURS)]
        axes.plot(x, y, color=colour, linestyle=DASHES[way], linewidth=1.6, marker="o", markersize=4)
        ends.append((x[-1], y[-1], f"{weights.name(*network)}, {NAMES[way]}", colour))
    _scales(axes, [row for case in report["cases"] for row in case["sizes"]])
    _labels(axes, ends)
    figure.text(0.085, 0.945, "Time for a megapixel of the result", color=INK, fontsize=12, weight="bold")
    figure.text(0.085, 0.905, heading(report), color=QUIET, fontsize=8)
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()


def _scales(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    sizes = {row["width"] * row["height"] / 1e6: f"{row['width']}x{row['height']}" for row in rows}
    axes.set(xscale="log", yscale="log")
    axes.set_ylabel("ms per megapixel of the result", color=QUIET, fontsize=9)
    axes.set_xlabel("picture to enlarge", color=QUIET, fontsize=9, labelpad=8)
    if sizes:
        axes.set_xlim(min(sizes) / 1.25, max(sizes) * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(sorted(sizes)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{sizes.get(x, '')}\n{x:.2g} MP"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(color="#e4e6e8", linewidth=0.8)
    axes.tick_params(which="both", labelsize=8, colors=QUIET, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#b8bcc0")


def _labels(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """The names of the lines to the right of the axes, as near to the ends (x, y) as their height allows."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    ends = sorted(ends, key=lambda end: end[1])
    places = spread([(math.log(y) - low) / (high - low) for _, y, _, _ in ends], APART)
    for (x, y, text, colour), place in zip(ends, places, strict=True):
        axes.annotate(
            text, (x, y), (1.03, place), "data", "axes fraction", color=colour, fontsize=8.5, va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 4,
            },
        )  # fmt: skip


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Move ascending positions as little as possible, so that each is at least `apart` from the next."""
    groups: list[list[float]] = []  # of those that touch, spread evenly around the mean of their wanted positions
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _ladder(groups[-2], apart)[-1] + apart > _ladder(groups[-1], apart)[0]:
            last = groups.pop()
            groups[-1] += last
    result = [place for group in groups for place in _ladder(group, apart)]
    assert all(b - a > apart - 1e-9 for a, b in pairwise(result)), "groups that touch were merged"
    return result


def _ladder(group: list[float], apart: float) -> list[float]:
    centre = sum(group) / len(group)
    return [centre + (i - (len(group) - 1) / 2) * apart for i in range(len(group))]
