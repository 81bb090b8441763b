"""Shapes and texts on a page measured in inches; independent of any network."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

INK, QUIET, LINE = "#1f2328", "#5b6470", "#4a525c"
# Paul Tol's "light" scheme, safe for colour-blind readers; they also differ in grey.
ENDS, CONV, SMALLER, LARGER, BICUBIC, OTHER = "#e3e3e3", "#86aed6", "#e8926f", "#e6d581", "#c6a5c4", "#b8b8b8"
SMALL = 7.2  # points, of everything but titles
DPI = 220


@contextmanager
def own_settings() -> Iterator[None]:
    """Ignore the user's matplotlib settings, as a context or a decorator."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.fonttype": "none",  # text stays text
                "svg.hashsalt": "sr_model",  # ids are the same every time
                "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # matplotlib ships the first
                "path.simplify": False,
            }
        )
        yield


@cache
def text_width(text: str) -> float:
    """The width in inches of a line of text of SMALL size."""
    if not text.strip():
        return 0.0
    font = FontProperties(family="DejaVu Sans", size=SMALL)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def wrapped(parts: Sequence[str], between: str, width: float) -> list[str]:
    """The parts joined into as few lines as fit a width in inches."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = lines[-1] + between + part
        if text_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


class Page:
    """A white sheet that shows x from `left` to `right` and y, upwards, from `bottom` to `top`, in inches."""

    def __init__(self, left: float, right: float, bottom: float, top: float) -> None:
        self.figure = Figure(figsize=(right - left, top - bottom), facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(left, right), ylim=(bottom, top))
        self.axes.set_axis_off()

    def block(self, left: float, y: float, width: float, height: float, depth: float, colour: str) -> None:
        """A box seen slightly from the right and above; its front is centred on y."""
        low, high, right = y - height / 2, y + height / 2, left + width
        front = [(left, low), (right, low), (right, high), (left, high)]
        top = [(left, high), (right, high), (right + depth, high + depth), (left + depth, high + depth)]
        side = [(right, low), (right + depth, low + depth), (right + depth, high + depth), (right, high)]
        for corners, shade in ((front, 1.0), (top, 1.25), (side, 0.82)):
            face = _shaded(colour, shade)
            patch = Polygon(corners, facecolor=face, edgecolor=_shaded(colour, 0.55), linewidth=0.45, zorder=3)
            patch.set_joinstyle("round")
            self.axes.add_patch(patch)

    def panel(self, left: float, bottom: float, right: float, top: float, colour: str) -> None:
        """A pale background panel for shapes that belong together."""
        patch = FancyBboxPatch((left, bottom), right - left, top - bottom, "round,pad=0,rounding_size=0.06")
        patch.set(facecolor=colour, edgecolor=_shaded(colour, 0.88), linewidth=0.5)
        self.axes.add_patch(patch)

    def plus(self, x: float, y: float, radius: float) -> None:
        """A plus sign in a circle."""
        self.axes.add_patch(Circle((x, y), radius, facecolor="white", edgecolor=LINE, linewidth=0.7, zorder=4))
        for across in ((radius * 0.55, 0.0), (0.0, radius * 0.55)):
            xs, ys = [x - across[0], x + across[0]], [y - across[1], y + across[1]]
            self.axes.plot(xs, ys, color=LINE, linewidth=0.7, zorder=5, solid_capstyle="butt")

    def arrow(self, start: tuple[float, float], end: tuple[float, float], head: bool = True) -> None:
        """A straight line, under the blocks."""
        style = "-|>,head_length=2.6,head_width=1.3" if head else "-"
        patch = FancyArrowPatch(start, end, arrowstyle=style, shrinkA=0, shrinkB=0, mutation_scale=1)
        patch.set(color=LINE, linewidth=0.7, zorder=2)
        self.axes.add_patch(patch)

    def arc(self, points: Sequence[tuple[float, float]], head: bool = True, dot: bool = True) -> None:
        """A line through corners that are rounded, from a dot to an arrowhead."""
        vertices, codes = [points[0]], [Path.MOVETO]
        for before, corner, after in zip(points, points[1:], points[2:], strict=False):
            vertices += [_towards(corner, before), corner, _towards(corner, after)]
            codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
        (x0, y0), (x1, y1) = points[-2:]
        length = abs(x1 - x0) + abs(y1 - y0)
        tail = (x1 - (x1 - x0) * 0.03 / length, y1 - (y1 - y0) * 0.03 / length)  # the head's tip stays sharp
        path = Path([*vertices, tail], [*codes, Path.LINETO])
        self.axes.add_patch(PathPatch(path, facecolor="none", edgecolor=LINE, linewidth=0.7, zorder=2))
        if head:
            self.arrow((x1 - (x1 - x0) * 0.04 / length, y1 - (y1 - y0) * 0.04 / length), (x1, y1))
        if dot:
            self.axes.add_patch(Circle(points[0], 0.018, facecolor=LINE, edgecolor="none", zorder=3))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        points: float = SMALL,
        colour: str = INK,
        bold: bool = False,
        across: str = "center",
        up: str = "baseline",
        turned: bool = False,
        ground: str = "",
    ) -> None:
        """A line of text; `across` and `up` align it to (x, y)."""
        drawn = self.axes.text(
            x,
            y,
            text,
            fontsize=points,
            color=colour,
            family="sans-serif",
            weight="bold" if bold else "normal",
            ha=across,
            va=up,
            rotation=90 if turned else 0,
            rotation_mode="anchor" if not turned else "default",
            zorder=6,
        )
        if ground:
            drawn.set_bbox({"facecolor": ground, "edgecolor": "none", "boxstyle": "round,pad=0.3,rounding_size=0.4"})

    def svg(self) -> bytes:
        """The page as SVG; text stays text."""
        return self._saved("svg", {"Date": None, "Creator": None})

    def png(self) -> bytes:
        return self._saved("png", {"Software": None})

    @own_settings()
    def _saved(self, kind: str, metadata: dict[str, None]) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        return buffer.getvalue()


def _towards(corner: tuple[float, float], other: tuple[float, float], radius: float = 0.1) -> tuple[float, float]:
    """The point `radius` away from a corner towards another, or halfway there if that is nearer."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = max(abs(dx) + abs(dy), 1e-9)
    step = min(radius, length / 2) / length
    return corner[0] + dx * step, corner[1] + dy * step


def _shaded(colour: str, factor: float) -> tuple[float, ...]:
    """The colour, darkened by factors below 1 and lightened by factors above."""
    rgb = to_rgb(colour)
    return tuple(c * factor if factor <= 1 else 1 - (1 - c) * (2 - factor) for c in rgb)
