"""The layout of a diagram. Lengths are in inches; the main path runs from left to right at y = 0."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from sr_model.figures.drawing import SMALL, text_width, wrapped

TALLEST = 1.5  # the height of the largest block
BREADTH = 0.021  # of a block, times the square root of its channels
SLANT = 0.075  # the fraction of a block's depth that is drawn to the right and up
EDGE = 0.24  # a line between blocks
INSIDE = 0.06  # the same within a residual block
PADDING = 0.13  # between residual blocks and around them
RADIUS = 0.05  # of the circle of a sum
LEAD = SMALL * 1.3 / 72  # from one line of text to the next


@dataclass(frozen=True)
class Arc:
    """A path around the main path, from the output of layer `origin` to the sum that is layer `target`."""

    origin: int
    target: int
    works: str  # the operations on it, or ""
    shape: str  # of what arrives


@dataclass
class Piece:
    """A block on the main path, or a sum in a circle."""

    index: int  # of its layer
    shape: str  # of what leaves it
    size: tuple[int, int, int]  # (C, H, W) of the same
    label: tuple[str, ...]
    colour: str  # "" of a sum
    run: str = ""  # name of its series of residual blocks
    block: str = ""  # name of its residual block
    follows_gap: bool = False  # residual blocks before it were left out
    left: float = 0.0
    width: float = 0.0
    height: float = 0.0
    depth: float = 0.0

    @property
    def front(self) -> float:
        """The right end of its front."""
        return self.left + self.width

    @property
    def right(self) -> float:
        return self.front + self.depth

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    @property
    def top(self) -> float:
        return self.height / 2 + self.depth

    @property
    def sticks_out(self) -> float:
        """How far its label extends beyond its front, on each side. A series of residual blocks has one label."""
        widest = 0.0 if self.run else max(map(text_width, self.label), default=0.0)
        return max(0.0, (widest - self.width) / 2)


class Run:
    """A series of residual blocks."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.blocks = [list(group) for _, group in groupby(pieces, key=lambda piece: piece.block)]
        self.left, self.right = pieces[0].left - PADDING, pieces[-1].right + PADDING / 2
        self.arc = max(piece.top for piece in pieces) + 0.1  # height of the path around each block
        self.top, self.bottom = self.arc + 0.07, -max(piece.height for piece in pieces) / 2 - 0.08
        name, *works = pieces[0].label
        self.label = [name, *wrapped(works, ", ", self.right - self.left)]


@dataclass(frozen=True)
class Route:
    """Where an arc runs."""

    arc: Arc
    start: float
    end: float
    y: float


def place(pieces: Sequence[Piece]) -> dict[int, tuple[float, float]]:
    """Place the pieces side by side; for each layer return the start and end of the free line after it."""
    unit = TALLEST / max(side for piece in pieces for side in piece.size[1:])
    for piece in pieces:
        c, h, w = piece.size
        if piece.colour:
            piece.width, piece.height, piece.depth = BREADTH * math.sqrt(c), h * unit, w * unit * SLANT
        else:
            piece.width = piece.height = 2 * RADIUS
    edges = {}
    for before, piece in pairwise(pieces):
        if before.run and before.run == piece.run:
            gap = INSIDE if before.block == piece.block else PADDING
            piece.left = before.right + (2.5 * gap if piece.follows_gap else gap)
            continue
        start = before.right + (PADDING / 2 if before.run else 0)
        end = max(start + EDGE, before.front + before.sticks_out + piece.sticks_out + 0.09)
        piece.left = end + (PADDING if piece.run else 0)
        edges[before.index] = (start, end)
    return edges


def find_routes(
    pieces: Sequence[Piece],
    runs: Sequence[Run],
    arcs: Sequence[Arc],
    edges: Mapping[int, tuple[float, float]],
    ends: tuple[float, float],
) -> list[Route]:
    """Shorter arcs below longer ones, all above what they pass."""
    middles = {piece.index: piece.middle for piece in pieces}
    taken = [(piece.left, piece.right, piece.top) for piece in pieces] + [(r.left, r.right, r.top) for r in runs]
    spans = []
    for arc in arcs:
        start = sum(edges[arc.origin]) / 2 if arc.origin in edges else ends[0]
        spans.append((start, middles.get(arc.target, ends[1]), arc))
    routes = []
    for start, end, arc in sorted(spans, key=lambda span: span[1] - span[0]):
        y = max(top for low, high, top in taken if low < end and high > start) + 0.1
        taken.append((start, end, y + LEAD))
        routes.append(Route(arc, start, end, y))
    return routes
