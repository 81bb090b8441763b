"""Drawings of a network: encoder, decoder and the whole, with blocks to scale.

It shows the layers that `architecture.layers` found along the longest path through the network; paths that leave it
and come back are arcs.
"""

import re
import textwrap
from collections.abc import Sequence
from itertools import groupby, pairwise

from sr_model.figures.diagram_layout import Arc, Piece
from sr_model.figures.diagram_page import draw_page
from sr_model.figures.drawing import BICUBIC, CONV, ENDS, LARGER, OTHER, SMALLER, Page
from sr_model.networks import Network
from sr_model.networks.architecture import DECODER, ENCODER, WHOLE, Layer, facts, latent_index, layers, shape_text

TITLES = {"encoder": "encoder", "decoder": "decoder", "network": "complete network"}
MOST_BLOCKS = 3  # in longer series of residual blocks only the first and the last are drawn


def draw(network: Network, part: str, name: str, size: tuple[int, int] = (128, 128)) -> Page:
    """A page with one of TITLES for a picture of size (H, W); `name` is what the title calls the network."""
    found = layers(network, size)
    whole = main_path(found)
    latent = latent_index(found)
    path, first, last = whole, "picture", "output"
    if part == "encoder":
        path, last = [i for i in whole if i <= latent], "latent"
    elif part == "decoder":
        path = [latent] + [i for i in whole if found[i].part == DECODER]
        first, last = "latent", "output" if path[-1] == whole[-1] else "detail"

    arcs = [arc for arc in arcs_of(found, whole) if arc.origin in path or arc.target in path[1:]]
    if part != "network":  # paths around both are not shown
        arcs = [arc for arc in arcs if found[arc.target].part != WHOLE]
    drawn = _without_most_blocks(found, path[1:])
    pieces = [_end(found[path[0]], path[0], first), *(_piece(found, i) for i in drawn)]
    pieces.append(_end(found[path[-1]], len(found), last))
    for before, piece in pairwise(pieces):
        piece.follows_gap = before.run == piece.run != "" and path.index(piece.index) - path.index(before.index) > 1
    spans = {}
    if part == "network":
        for half in (ENCODER, DECODER):
            members = [i for i in path if found[i].part == half]
            spans[half] = (members[0], members[-1])
    numbers = facts(network, found, *([part] if part != "network" else []))
    lines = [f"{key} {typeset(value)}" for key, value in numbers.items()]
    return draw_page(pieces, arcs, spans, f"{name}: {TITLES[part]}", lines)


def main_path(found: Sequence[Layer]) -> list[int]:
    """The longest path from the picture to the output."""
    depth: list[int] = []
    for layer in found:
        depth.append(1 + max((depth[i] for i in layer.inputs), default=0))
    path = [len(found) - 1]
    while found[path[-1]].inputs:
        path.append(max(found[path[-1]].inputs, key=lambda i: depth[i]))
    return path[::-1]


def arcs_of(found: Sequence[Layer], path: Sequence[int]) -> list[Arc]:
    """The paths around the main path, except those of residual blocks."""
    arcs = []
    for before, target in pairwise(path):
        for source in found[target].inputs:
            origin, works = source, []
            while origin not in path:
                works.append(typeset(found[origin].kind))
                origin = found[origin].inputs[0]
            if source != before and not found[target].block:
                arcs.append(Arc(origin, target, ", ".join(works[::-1]), typeset(shape_text(found[source].shape))))
    return arcs


def typeset(text: str) -> str:
    """Replace an x before a digit by a multiplication sign."""
    return re.sub(r"x(?=\d)", "×", text)


def _end(layer: Layer, index: int, label: str) -> Piece:
    return Piece(index, typeset(shape_text(layer.shape)), layer.shape, (label,), ENDS)


def _piece(found: Sequence[Layer], i: int) -> Piece:
    layer = found[i]
    count = len({other.block for other in found if other.run == layer.run}) if layer.run else 0
    if count:
        works = [other.kind for other in found if other.block == layer.block][:-1]
        label = [f"{count} × residual block" if count > 1 else "residual block"]
        label += [typeset(work) for kind in works for work in kind.split(", ")]
    elif len(layer.inputs) > 1:
        label = []
    else:
        label = [line for work in typeset(layer.kind).split(", ") for line in textwrap.wrap(work, 8)]
    colour = "" if len(layer.inputs) > 1 else _colour(layer, found[layer.inputs[0]])
    return Piece(i, typeset(shape_text(layer.shape)), layer.shape, tuple(label), colour, layer.run, layer.block)


def _colour(layer: Layer, before: Layer) -> str:
    if layer.kind.startswith("bicubic"):
        return BICUBIC
    if layer.kind in ("pad", "crop"):
        return OTHER
    if layer.shape[1:] == before.shape[1:]:
        return CONV
    return SMALLER if layer.shape[1] < before.shape[1] else LARGER


def _without_most_blocks(found: Sequence[Layer], path: Sequence[int]) -> list[int]:
    """The path without the middle of long series of residual blocks."""
    kept = []
    for run, group in groupby(path, key=lambda i: found[i].run):
        members = list(group)
        blocks = list(dict.fromkeys(found[i].block for i in members))
        if run and len(blocks) > MOST_BLOCKS:
            blocks = [blocks[0], blocks[-1]]
        kept += [i for i in members if found[i].block in blocks]
    return kept
