"""A folder of photos -> files of high- and low-resolution pairs, and the CSV that lists them."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from sr_model.degrading.degradations import DEGRADATIONS, make_low
from sr_model.errors import ConfigError, DataError, ImageError
from sr_model.imaging import images, resampling
from sr_model.imaging.images import Picture
from sr_model.networks.base import SCALES
from sr_model.system.files import remove_leftovers, write_atomically

HIGH, LOW, TABLE = "high res", "low res", "image_data.csv"
RECORD = "degradation.json"  # how the pairs were made; marks a folder as written by `write_pairs`
MAX_SIDE = 65_500  # pixels, of a JPEG


def write_pairs(
    source: Path,
    target: Path,
    scale: int,
    degradation: str,
    seed: int,
    shrink: int | None,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> int:
    """Write a high and a low resolution of every picture below `source` into `target`; return how many pairs.

    `target` gets "high res"/NAME.png, the original flattened onto white and cropped to a multiple of the scale,
    "low res"/NAME.png and, last of all, image_data.csv with the columns low_res and high_res, whose names are the same.
    `degradation` is one of degradations.DEGRADATIONS. At scale 1 both have the same size, and bicubic shrinks `shrink`
    times, or as often as `make_low` draws if None, and enlarges back. Everything random depends only on `seed` and the
    picture's path below `source`, so adding a picture changes no other.

    Unreadable or too small pictures are reported to `warn` and skipped, and so are results of other calls below
    `source`. Raises ConfigError for invalid settings and for a `target` that holds anything but the result of a call
    with the same settings, which is written anew; DataError if there is nothing to do; ImageError if `target` cannot be
    written.
    """
    _check_settings(scale, degradation, seed, shrink)
    record = json.dumps({"scale": scale, "degradation": degradation, "seed": seed, "shrink": shrink}, indent=2) + "\n"
    _check_target(target, record.encode())
    paths = _find_sources(source)
    if not paths:
        raise DataError(f"There is no photo in {source} or below it. Allowed endings: {', '.join(images.SUFFIXES)}.")
    _prepare(target, record.encode())

    names = _flat_names([path.relative_to(source) for path in paths])
    written: list[str] = []
    for path, name in zip(paths, names, strict=True):
        inside = path.relative_to(source)
        rng = np.random.default_rng((seed, *os.fsencode(inside.as_posix())))
        try:
            picture = images.without_alpha(images.load(path))
        except ImageError as error:
            warn(f"{inside} is skipped. {error}")
            continue
        high = resampling.to_8bit(resampling.crop_to_multiple(images.to_tensor(picture.pixels), scale))
        if 0 in high.shape or max(high.shape) > MAX_SIDE:
            w, h = picture.size
            warn(f"{inside} is skipped: it is {w}x{h}, and each side must have {scale} to {MAX_SIDE} pixels.")
            continue
        low = resampling.soften(high, shrink) if shrink else make_low(high, scale, degradation, rng)
        for folder, x in ((HIGH, high), (LOW, low)):
            images.save(_image(x, picture), target / folder / name)
        written.append(name)
        say(f"{len(written)}/{len(paths)} {name}")

    if not written:
        raise DataError(f"None of the {len(paths)} pictures in {source} can be used; the reasons are above.")
    write_atomically(target / TABLE, _table(written))
    return len(written)


def _check_settings(scale: int, degradation: str, seed: int, shrink: int | None) -> None:
    if scale not in SCALES:
        raise ConfigError(f"--scale is {scale}; it must be one of {', '.join(map(str, SCALES))}.")
    if degradation not in DEGRADATIONS:
        raise ConfigError(f"--degradation is {degradation!r}; it must be one of {', '.join(DEGRADATIONS)}.")
    if seed < 0:
        raise ConfigError(f"--seed is {seed}; it must be 0 or more.")
    if shrink is not None and (scale != 1 or degradation != "bicubic"):
        raise ConfigError("--shrink works only with --scale 1 and --degradation bicubic; leave it out otherwise.")
    if shrink is not None and shrink < 2:
        raise ConfigError(f"--shrink is {shrink}; it must be 2 or more.")


def _find_sources(source: Path) -> list[Path]:
    """The pictures below a folder, without those that `write_pairs` wrote."""
    if not source.is_dir():
        raise DataError(f"There is no folder {source}. Name a folder of photos; it is searched recursively.")
    results = [record.parent for record in source.rglob(RECORD)]
    return [path for path in images.find_images(source) if not any(path.is_relative_to(r) for r in results)]


def _check_target(target: Path, record: bytes) -> None:
    """Raise ConfigError unless the folder is missing, empty, or the result of a call with the same record."""
    other = "Name another folder, or delete this one first."
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{target} is a file. Name a folder to write into.")
    if (target / RECORD).exists():
        if (target / RECORD).read_bytes() != record:
            raise ConfigError(f"{target} holds pairs that were made with other settings (see {RECORD}). {other}")
    elif target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target} holds files that this command did not write and will not replace. {other}")


def _prepare(target: Path, record: bytes) -> None:
    """Create the folders and the record, and remove the table, which must not exist before all pairs do."""
    try:
        for folder in (target / HIGH, target / LOW):
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
        (target / TABLE).unlink(missing_ok=True)
        write_atomically(target / RECORD, record)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror or error}.") from None


def _flat_names(paths: Sequence[Path]) -> list[str]:
    """Names of PNG files for relative paths, with folders joined by _, unique even if letter case is ignored.

    Line breaks, outer spaces and invalid UTF-8 are legal in file names, but not every CSV reader copes with them.
    """
    names: list[str] = []
    taken: set[str] = set()
    for path in paths:
        stem = " ".join(os.fsencode("_".join(path.with_suffix("").parts)).decode(errors="replace").split())
        candidates = [stem, f"{stem}_{path.suffix[1:]}", *(f"{stem}_{i}" for i in range(2, len(paths) + 2))]
        name = next(candidate for candidate in candidates if candidate.casefold() not in taken)
        taken.add(name.casefold())
        names.append(f"{name}.png")
    return names


def _image(x: Tensor, picture: Picture) -> Image.Image:
    profile = None if picture.grey else picture.icc_profile  # a grey profile does not fit the three channels
    return images.to_pil(Picture(images.to_array(x), icc_profile=profile))


def _table(names: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("low_res", "high_res"))
    writer.writerows((name, name) for name in names)
    return text.getvalue().encode()
