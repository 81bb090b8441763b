"""Folders of photos, lists of pairs and named sets -> decoded pictures of low and high resolution."""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from sr_model.data import named_sets, pairs
from sr_model.data.picture_cache import PictureCache
from sr_model.degrading.degradations import make_low
from sr_model.errors import DataError, ImageError
from sr_model.imaging import images
from sr_model.imaging.resampling import crop_to_multiple

T = TypeVar("T")
Say = Callable[[str], None]

MAX_CORRUPT_SHARE = 0.01


@dataclass(frozen=True)
class Photo:
    """One picture, decoded once: uint8 RGB, `high` (H, W, 3) and `low` (H / scale, W / scale, 3)."""

    set_name: str
    high: np.ndarray
    low: np.ndarray
    paired: bool = False  # low was a file of its own; otherwise it was made from high, and can be made again
    taught: Path | None = None  # .npy file of what a teacher makes of low, in the shape of high


@dataclass(frozen=True)
class ListedFile:
    """A picture's path and the set that it belongs to, for the model card."""

    path: Path
    set_name: str
    low: Path | None = None  # of a pair


def list_files(
    sources: Sequence[str | os.PathLike],
    scale: int,
    warn: Say,
    say: Say,
    low_dir: str | None = None,
    high_dir: str | None = None,
) -> list[ListedFile]:
    """All pictures of the sources: folders (searched recursively), CSVs of pairs, and names of public sets.

    The set of a picture is the first folder on its path below the source or, failing that, the source itself. Raises
    DataError for a source that is missing or holds no picture, and what `read_pairs` and `named_sets.fetch` raise.
    """
    found: list[ListedFile] = []
    for source in map(str, sources):
        path = Path(source)
        if listing := list_of_pairs(path):
            name = path.resolve().name if path.is_dir() else path.resolve().parent.name
            rows = pairs.read_pairs(listing, scale, low_dir, high_dir, warn)
            say(f"{listing.name}: {len(rows):,} pairs for x{scale}")
            found += [ListedFile(row.high, name, row.low) for row in rows]
        elif source in named_sets.SETS and not path.exists():
            folder = named_sets.fetch(source, say)
            found += [ListedFile(path, source) for path in images.find_images(folder)]
        else:
            found += _list_folder(path)
    return found


def list_of_pairs(source: Path) -> Path | None:
    """The CSV of pairs that a source is, or that a folder contains; None for other sources."""
    if pairs.is_csv(source):
        return source
    if source.is_dir():
        for file in sorted(source.glob("*.csv")):
            if pairs.has_header(file):
                return file
    return None


def _list_folder(folder: Path) -> list[ListedFile]:
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}. Name a folder of photos, which is searched recursively, a CSV with the "
            f"header {','.join(pairs.COLUMNS)}, or one of the public sets: {', '.join(named_sets.SETS)}."
        )
    found = []
    for path in images.find_images(folder):
        parts = path.relative_to(folder).parts
        found.append(ListedFile(path, parts[0] if len(parts) > 1 else folder.resolve().name))
    if not found:
        raise DataError(
            f"There is no photo in {folder} or below it. Put photos there with one of the endings "
            f"{', '.join(images.SUFFIXES)}."
        )
    return found


def split(files: Sequence[ListedFile], fraction: float, seed: int) -> tuple[list[ListedFile], list[ListedFile]]:
    """(training, validation): `fraction` of the pictures, at least one, is held out, always the same for a seed.

    A hash of the seed and a picture's set and name decides, so the split does not depend on where pictures are stored,
    and adding some moves few others. All pairs of one high-resolution picture stay on the same side.
    """
    keys = [hashlib.sha256(f"{seed}/{file.set_name}/{file.path.name}".encode()).digest() for file in files]
    groups = sorted(set(keys))
    if len(groups) < 2:
        raise DataError(
            "One photo cannot be split into training and validation. Add photos, or name others with --val-data."
        )
    count = min(len(groups) - 1, max(1, round(len(groups) * fraction)))
    held_out = set(groups[:count])
    return (
        [file for file, key in zip(files, keys, strict=True) if key not in held_out],
        [file for file, key in zip(files, keys, strict=True) if key in held_out],
    )


@dataclass(frozen=True)
class Preparation:
    """How a file becomes a Photo."""

    scale: int
    min_side: int  # of the high resolution; smaller pictures are skipped
    side: int | None = None  # only the central side x side pixels of the high resolution are kept
    resize: int | None = None  # the whole picture is resized to a square of this side, whatever its shape
    degradation: str = "bicubic"  # one of degradations.DEGRADATIONS, for pictures that are not one of a pair
    seed: int = 0


def load_photos(
    files: Sequence[ListedFile], how: Preparation, warn: Say, cache: PictureCache | None = None
) -> list[Photo]:
    """Decode the files and, unless they are pairs, make the low resolution of each whole picture.

    Pixels are kept in the cache, read-only, or in memory if there is none. Too small pictures and unreadable files are
    reported to `warn` and skipped. Raises DataError if nothing is left or over 1 % cannot be read, and what the cache
    raises.
    """
    decoded = _decode(files, how, warn)
    if cache is None:
        return list(decoded)
    # One at a time: each picture is stored before the next is decoded.
    kept = [(photo.set_name, cache.put(photo.high), cache.put(photo.low), photo.paired) for photo in decoded]
    return [Photo(name, cache.get(high), cache.get(low), paired) for name, high, low, paired in kept]


def _decode(files: Sequence[ListedFile], how: Preparation, warn: Say) -> Iterator[Photo]:
    usable = corrupt = 0
    largest = (0, 0)
    for file in files:
        try:
            high = _read(file.path)
            low = _read(file.low) if file.low else None
        except ImageError as error:
            corrupt += 1
            warn(f"{file.path.name} is skipped. {error}")
            if corrupt > max(1, MAX_CORRUPT_SHARE * len(files)):
                raise DataError(
                    f"{corrupt} of {len(files)} pictures cannot be read, more than 1 %. Fix or remove them."
                ) from None
            continue
        h, w = high.shape[:2]
        largest = max(largest, (w, h), key=min)
        if how.resize is None and min(w, h) < how.min_side:
            warn(f"{file.path.name} is skipped: it is {w}x{h}, and each side needs at least {how.min_side} pixels.")
            continue
        usable += 1
        yield _prepare(file, high, low, how)
    if not usable:
        raise DataError(
            f"No picture is large enough: at least {how.min_side}x{how.min_side} pixels are needed, "
            f"and the largest is {largest[0]}x{largest[1]}. Use larger photos or a smaller --patch-size."
        )


def _prepare(file: ListedFile, high: np.ndarray, low: np.ndarray | None, how: Preparation) -> Photo:
    s = how.scale
    if how.resize:
        high, low = _resized(high, how.resize), None if low is None else _resized(low, how.resize // s)
    if low is None:
        # Seeded by the name, so it does not depend on which other pictures there are.
        rng = np.random.default_rng((how.seed, zlib.crc32(file.path.name.encode())))
        x = crop_to_multiple(images.to_tensor(high), s)
        high, low = images.to_array(x), images.to_array(make_low(x, s, how.degradation, rng))
    h, w = low.shape[:2]
    side = max(h, w) if how.side is None else how.side // s
    top, left = max(0, h - side) // 2, max(0, w - side) // 2
    bottom, right = min(h, top + side), min(w, left + side)
    high, low = high[top * s : bottom * s, left * s : right * s], low[top:bottom, left:right]
    # Copies, so that only the part that is used of a large picture stays in memory.
    return Photo(file.set_name, np.ascontiguousarray(high), np.ascontiguousarray(low), paired=file.low is not None)


def _read(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, flattened onto white."""
    pixels = images.without_alpha(images.load(path)).pixels
    return pixels if pixels.dtype == np.uint8 else images.to_array(images.to_tensor(pixels))


def _resized(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]
