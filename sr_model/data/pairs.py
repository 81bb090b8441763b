"""Pairs of low and high resolution listed in a CSV, a layout that other tools and projects share.

The header is `low_res,high_res`; each row names two files. They are looked up in folders beside the CSV, such as
"low res" and "high res", or in the folders given.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sr_model.errors import DataError, ImageError
from sr_model.imaging import images
from sr_model.networks.base import SCALES

COLUMNS = ("low_res", "high_res")
MAX_BAD_SHARE = 0.01
NAMED = 20  # bad rows that are reported one by one; the rest is only counted
# Names of folders, ignoring case, spaces and punctuation.
LOW_FOLDERS = ("lowres", "low", "lr", "lowresolution", "input")
HIGH_FOLDERS = ("highres", "high", "hr", "highresolution", "target")


@dataclass(frozen=True)
class Pair:
    """A row whose files exist and fit: `high` is `scale` times larger than `low` on each side."""

    line: int  # in the CSV, the header being line 1
    low: Path
    high: Path
    scale: int


def is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def has_header(file: Path) -> bool:
    """Whether a file is a CSV of pairs, by its first line."""
    try:
        with open(file, encoding="utf-8-sig") as stream:
            return set(COLUMNS) <= {name.strip() for name in stream.readline(1000).split(",")}
    except (OSError, UnicodeDecodeError):
        return False


def scale_of(file: Path, low_dir: str | None = None, high_dir: str | None = None) -> int:
    """The scale of most rows of a CSV, inferred from the files: 1 for equal sizes. Raises DataError."""
    scales = Counter(row.scale for row in _rows(file, low_dir, high_dir) if isinstance(row, Pair))
    if not scales:
        read_pairs(file, SCALES[0], low_dir, high_dir, lambda text: None)  # raises with the reason
        raise DataError(f"{file.name} lists no pair whose files can be read and fit.")
    return scales.most_common(1)[0][0]


def read_pairs(
    file: Path, scale: int, low_dir: str | None, high_dir: str | None, warn: Callable[[str], None]
) -> list[Pair]:
    """The pairs of a CSV that fit `scale`. Other rows are reported to `warn` with their line number and skipped.

    Raises DataError for a file that is not such a CSV, and if more than 1 % of the rows are skipped.
    """
    rows = list(_rows(file, low_dir, high_dir))
    pairs: list[Pair] = []
    bad: list[str] = []
    for row in rows:
        if isinstance(row, str):
            bad.append(row)
        elif row.scale != scale:
            bad.append(f"line {row.line}: {row.low.name} and {row.high.name} are a pair for x{row.scale}, not x{scale}")
        else:
            pairs.append(row)
    for text in bad[:NAMED]:
        warn(f"{file.name}, {text}; the row is skipped.")
    if bad:
        warn(f"{file.name}: {len(bad)} of {len(rows)} rows are skipped.")
    if not rows:
        raise DataError(f"{file.name} lists no pair. Below the header {','.join(COLUMNS)} each line names two files.")
    if len(bad) > MAX_BAD_SHARE * len(rows):
        raise DataError(
            f"{len(bad)} of {len(rows)} rows of {file.name} cannot be used, more than 1 %; the first is {bad[0]}. "
            "Fix or remove these rows, or name the folders of the files with --low-dir and --high-dir"
            + (", or choose another --scale." if any("are a pair for" in text for text in bad) else ".")
        )
    return pairs


def _rows(file: Path, low_dir: str | None, high_dir: str | None) -> Sequence[Pair | str]:
    """A Pair for each valid row, and for each other row a text that begins with its line number."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"There is no file {file}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as text in UTF-8: {error}.") from None
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    header = [name.strip() for name in reader.fieldnames or ()]
    if not set(COLUMNS) <= set(header):
        raise DataError(f"{file.name} begins with {','.join(header)!r}; its first line must be {','.join(COLUMNS)}.")
    reader.fieldnames = header
    low_folder = _folder(file.parent, low_dir, LOW_FOLDERS, "--low-dir")
    high_folder = _folder(file.parent, high_dir, HIGH_FOLDERS, "--high-dir")
    found: list[Pair | str] = []
    for row in reader:
        names = [(row[column] or "").strip() for column in COLUMNS]
        found.append(_pair(reader.line_num, low_folder / names[0], high_folder / names[1], names))
    return found


def _pair(line: int, low: Path, high: Path, names: list[str]) -> Pair | str:
    sizes = []
    for column, name, path in zip(COLUMNS, names, (low, high), strict=True):
        if not name:
            return f"line {line}: {column} is empty"
        if not path.is_file():
            return f"line {line}: there is no {name} in {path.parent.name}"
        try:
            sizes.append(images.read_size(path))
        except ImageError as error:
            return f"line {line}: {name}: {error}".removesuffix(".")
    (w, h), (high_w, high_h) = sizes
    scale = high_w // w
    # If the scale does not divide a large picture, the small one is rounded down and the remainder cropped.
    if scale in SCALES and (high_w // scale, high_h // scale) == (w, h):
        return Pair(line, low, high, scale)
    return (
        f"line {line}: {names[0]} is {w}x{h} and {names[1]} is {high_w}x{high_h}; the large one must be "
        f"{', '.join(map(str, SCALES[:-1]))} or {SCALES[-1]} times as large each way"
    )


def _folder(beside: Path, given: str | None, names: tuple[str, ...], flag: str) -> Path:
    """The folder given, else the first beside the CSV with one of the names, else the folder of the CSV."""
    if given:
        if not Path(given).is_dir():
            raise DataError(f"{flag}: there is no folder {given}.")
        return Path(given)
    folders = {re.sub("[^a-z]", "", path.name.lower()): path for path in sorted(beside.iterdir()) if path.is_dir()}
    return next((folders[name] for name in names if name in folders), beside)
