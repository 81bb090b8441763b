"""A diagram on its page: title, pieces and the lines between them, labels, legend. Lengths are in inches."""

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise

from sr_model.figures.diagram_layout import INSIDE, LEAD, PADDING, RADIUS, Arc, Piece, Route, Run, find_routes, place
from sr_model.figures.drawing import (
    BICUBIC,
    CONV,
    LARGER,
    OTHER,
    QUIET,
    SMALLER,
    Page,
    own_settings,
    text_width,
    wrapped,
)

MARGIN = 0.2
LEAST_WIDTH = 4.8
DROP = 0.06  # from a line to the shape below it
GROUND = "#f1f3f5"  # of residual blocks
FROM, TO = "encoder", "decoder"  # labels of arcs with one end on another page
LEGEND = {
    CONV: "convolution",
    SMALLER: "makes smaller",
    LARGER: "makes larger",
    BICUBIC: "bicubic",
    OTHER: "pads or crops",
}
SCALE_NOTE = "To scale: height and depth by pixels, breadth by the square root of the channels."


@own_settings()
def draw_page(
    pieces: Sequence[Piece],
    arcs: Sequence[Arc],
    spans: Mapping[str, tuple[int, int]],
    title: str,
    numbers: Sequence[str],
) -> Page:
    """Pieces from left to right, arcs above them, labels below, and below these a bracket for each span of layers."""
    edges = place(pieces)
    runs = [Run(list(group)) for run, group in groupby(pieces, key=lambda piece: piece.run) if run]
    shown = {piece.index for piece in pieces}
    left, right = -pieces[0].sticks_out, max(pieces[-1].right, pieces[-1].front + pieces[-1].sticks_out)
    routes = find_routes(pieces, runs, arcs, edges, (left, right))
    left -= text_width(FROM) + 0.25 if any(arc.origin not in shown for arc in arcs) else 0.0
    right += text_width(TO) + 0.25 if any(arc.target not in shown for arc in arcs) else 0.0
    spare = max(0.0, LEAST_WIDTH - 2 * MARGIN - (right - left)) / 2
    left, right = left - spare, right + spare

    # From the pieces downwards: shapes, labels, brackets, legend. From the pieces upwards: arcs, numbers, title.
    shapes = DROP + max(text_width(piece.shape) for piece in pieces if piece.index in edges)
    labels = min(-shapes, *(-piece.height / 2 for piece in pieces), *(run.bottom for run in runs)) - 0.16
    lines = max(len(label) for label in (*(piece.label for piece in pieces if not piece.run), *(r.label for r in runs)))
    brackets = labels - lines * LEAD
    legend = brackets - (0.42 if spans else 0.12)
    colours = [colour for colour in LEGEND if any(piece.colour == colour for piece in pieces)]
    note_fits = sum(_legend_width(colour) for colour in colours) + text_width(SCALE_NOTE) <= right - left
    note = legend if note_fits else legend - 1.2 * LEAD
    crest = max(*(p.top for p in pieces), *(run.top for run in runs), *(route.y + LEAD for route in routes))
    heads = wrapped(numbers, "  ·  ", right - left)
    head = crest + 0.2 + LEAD * len(heads)

    page = Page(left - MARGIN, right + MARGIN, note - MARGIN, head + 0.14 + MARGIN)
    page.text(left, head, title, points=10.5, bold=True, across="left")
    for k, line in enumerate(heads, start=1):
        page.text(left, head - 0.04 - k * LEAD, line, colour=QUIET, across="left")
    for run in runs:
        _draw_run(page, run, labels)
    _draw_pieces(page, pieces, edges, labels)
    for route in routes:
        _draw_route(page, route, shown)
    for name, (first, last) in spans.items():
        ends = [piece for piece in pieces if piece.index in (first, last)]
        _draw_bracket(page, ends[0], ends[-1], brackets, name)
        if name == FROM:
            page.text(sum(edges[last]) / 2, brackets - LEAD, "latent", bold=True)
    x = left
    for colour in colours:
        page.block(x, legend + 0.035, 0.1, 0.08, 0.02, colour)
        page.text(x + 0.16, legend, LEGEND[colour], across="left")
        x += _legend_width(colour)
    page.text(right if note_fits else left, note, SCALE_NOTE, colour=QUIET, across="right" if note_fits else "left")
    return page


def _draw_pieces(page: Page, pieces: Sequence[Piece], edges: Mapping[int, tuple[float, float]], labels: float) -> None:
    for piece in pieces:
        if piece.colour:
            page.block(piece.left, 0, piece.width, piece.height, piece.depth, piece.colour)
        else:
            page.plus(piece.middle, 0, RADIUS)
        for k, line in enumerate(() if piece.run else piece.label):
            page.text(piece.middle, labels - k * LEAD, line)
    for before, piece in pairwise(pieces):
        page.arrow((before.front, 0), (piece.left, 0), head=before.index in edges and not piece.run)
        if before.index in edges:
            page.text(sum(edges[before.index]) / 2, -DROP, before.shape, colour=QUIET, up="top", turned=True)
        if piece.follows_gap:
            page.text((before.right + piece.left - INSIDE) / 2, 0, "···", up="center", ground=GROUND)


def _draw_run(page: Page, run: Run, labels: float) -> None:
    page.panel(run.left, run.bottom, run.right, run.top, GROUND)
    for block in run.blocks:
        start, end = block[0].left - INSIDE, block[-1].middle
        page.arc([(start, 0), (start, run.arc), (end, run.arc), (end, RADIUS)])
    for k, line in enumerate(run.label):
        page.text((run.left + run.right) / 2, labels - k * LEAD, line)


def _draw_route(page: Page, route: Route, shown: set[int]) -> None:
    arc = route.arc
    points = [(route.start, route.y), (route.end, route.y)]
    if arc.origin in shown:
        points.insert(0, (route.start, 0.0))
    else:
        page.text(route.start - 0.05, route.y, FROM, across="right", up="center")
    if arc.target in shown:
        points.append((route.end, RADIUS))
    else:
        page.text(route.end + 0.05, route.y, TO, across="left", up="center")
    page.arc(points, dot=arc.origin in shown)
    middle = (route.start + route.end) / 2
    if arc.works:
        page.text(middle, route.y, f"{arc.works}, {arc.shape}", up="center", ground=BICUBIC)
    else:
        page.text(middle, route.y + 0.035, arc.shape, colour=QUIET)


def _draw_bracket(page: Page, first: Piece, last: Piece, y: float, name: str) -> None:
    left, right = first.left - (PADDING if first.run else 0), last.right + (PADDING / 2 if last.run else 0)
    page.arc([(left, y + 0.05), (left, y), (right, y), (right, y + 0.05)], head=False, dot=False)
    page.text((left + right) / 2, y - LEAD, name, bold=True)


def _legend_width(colour: str) -> float:
    return 0.34 + text_width(LEGEND[colour])
