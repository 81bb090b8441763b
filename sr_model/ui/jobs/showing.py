"""From an outcome to what the viewer shows: its files, whole or in tiles, and its value."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sr_model.imaging import images
from sr_model.ui.cache import Store, file_data
from sr_model.ui.jobs import maps
from sr_model.ui.jobs.judging import printed
from sr_model.ui.work import Outcome, Pane, Progress

WHOLE = 4_000_000  # pixels of a picture that a browser gets in one file; a telephone cannot hold three of 64 million
PREVIEW = 2_000_000  # pixels of what stands for a larger one until the visitor zooms in
TILE = 512
EXIF = "exif.bin"  # beside a result: what its source said, without the place

Numbers = list[tuple[str, list[tuple[float | None, str]]]]  # by method: each number, and how it is printed


@dataclass(frozen=True)
class Shown:
    """The viewer's value, and the files that it names."""

    value: dict[str, Any]
    paths: list[Path]


def show(
    outcome: Outcome, store: Store, *, line: str, note: str, view: Any, stamp: Any, exif: bytes | None = None
) -> Iterator[Progress | Shown]:
    """Write the files and then give the viewer's value; each Progress is a chance to stop. Raises ImageError."""
    folder = store.new_folder()
    found = {kind: [pane.maps[kind] for pane in outcome.panes if kind in pane.maps] for kind in maps.KINDS}
    tops = {kind: maps.common_top(levels) for kind, levels in found.items() if levels}
    panes = []
    if exif:
        store.write(folder / EXIF, exif)
    for pane in outcome.panes:
        yield Progress(1, 1, None)
        written = _write(pane, store, folder)
        drawn = {}
        for kind, levels in pane.maps.items():
            path = folder / f"{Path(pane.file_name).stem}.{kind}.map.png"
            store.write(path, maps.encode_map(levels, tops[kind]))
            drawn[kind] = file_data(path)
        panes.append({**_described(pane), **written, "maps": drawn})
    paths = [path for path in folder.rglob("*") if path.is_file()]
    columns, rows = table(outcome)
    yield Shown(
        {
            "panes": panes,
            "line": line,
            "note": note,
            "columns": columns,
            "scores": rows,
            "view": view,
            "bars": [{"kind": kind, "top": top} for kind, top in tops.items()],
            "stops": maps.STOPS,
            "spot": outcome.spot,
            "stamp": stamp,
            "result": folder.name,
            "exif": exif is not None,
        },
        paths,
    )


def table(outcome: Outcome) -> tuple[list[str], list[dict[str, Any]]]:
    """(columns, rows) of the numbers; the best of each is marked by what is printed, so that equal ones look equal."""
    if not outcome.scores:
        agreed: Numbers = [(a.title, [(a.psnr, printed(a.psnr, 2, " dB"))]) for a in outcome.agreements]
        return ["agreement"], _rows(agreed) if agreed else []
    columns = ["psnr", "ssim", "ssimulacra2"]
    numbers: Numbers = [
        (
            s.title,
            [
                (s.psnr, printed(s.psnr, 2, " dB")),
                (s.ssim, printed(s.ssim, 4)),
                (s.ssimulacra2, printed(s.ssimulacra2, 1)),
            ],
        )
        for s in outcome.scores
    ]
    rows = _rows(numbers)
    if any(s.seconds is not None for s in outcome.scores):
        columns.append("seconds")
        for row, score in zip(rows, outcome.scores, strict=True):
            row["cells"].append({"text": printed(score.seconds, 2, " s"), "best": False})
    return columns, rows


def _rows(numbers: Numbers) -> list[dict[str, Any]]:
    best = []
    for column in zip(*(cells for _, cells in numbers), strict=True):
        known = [cell for cell in column if cell[0] is not None]
        best.append(max(known)[1] if known else None)
    return [
        {"title": title, "cells": [{"text": text, "best": text == b} for (_, text), b in zip(cells, best, strict=True)]}
        for title, cells in numbers
    ]


def _described(pane: Pane) -> dict[str, Any]:
    w, h = pane.picture.size
    return {"title": pane.title, "width": w, "height": h, "name": pane.file_name}


def _write(pane: Pane, store: Store, folder: Path) -> dict[str, Any]:
    """{"file"} of the whole picture, or {"file", "tiles"} of a preview and of what is drawn in its place."""
    image = images.to_pil(pane.picture)
    w, h = image.size
    if w * h <= WHOLE:
        path = folder / pane.file_name
        store.write(path, images.encode(image))
        return {"file": file_data(path)}
    stem = Path(pane.file_name).stem
    tiles = folder / f"{stem}.tiles"
    tiles.mkdir(mode=0o700)
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            part = image.crop((left, top, min(left + TILE, w), min(top + TILE, h)))
            part.info.update(image.info)
            store.write(tiles / f"{left // TILE}-{top // TILE}.png", images.encode(part))
    preview = folder / f"{stem}.preview.png"
    factor = (PREVIEW / (w * h)) ** 0.5
    small = image.resize((max(1, round(w * factor)), max(1, round(h * factor))), Image.Resampling.BOX)
    small.info.update(image.info)
    store.write(preview, images.encode(small))
    return {"file": file_data(preview), "tiles": {"side": TILE, "first": file_data(tiles / "0-0.png")}}


def assemble(folder: Path, name: str) -> Image.Image:
    """The whole picture of that name again, from its one file or from its tiles. Raises FileNotFoundError."""
    whole = folder / name
    if whole.is_file():
        return images.open_image(whole)
    parts = {}
    for path in (folder / f"{Path(name).stem}.tiles").glob("*.png"):
        column, row = map(int, path.stem.split("-"))
        parts[column, row] = path
    if not parts:
        raise FileNotFoundError(name)
    last = images.open_image(parts[max(parts)])
    columns, rows = max(parts)
    image = Image.new(last.mode, (columns * TILE + last.width, rows * TILE + last.height))
    for (column, row), path in parts.items():
        image.paste(images.open_image(path), (column * TILE, row * TILE))
    image.info.update(last.info)
    return image
