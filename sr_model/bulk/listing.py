"""Which files are to be enlarged, and what each result is called: a picture, a folder, a list of names."""

import csv
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sr_model.bulk import storage
from sr_model.bulk.outputs import ENDINGS, Output
from sr_model.bulk.records import Item
from sr_model.bulk.storage import Entry
from sr_model.errors import ConfigError, ImageError, StorageError
from sr_model.imaging.images import SUFFIXES
from sr_model.system.remote import advice, is_remote, opened

COLUMN = "path"  # of the names in a table
STDIN = "-"
TABLES = (".csv", ".tsv", ".parquet")
SHARDS = (".tar",)


def one_file(source: str, target: str, output: Output) -> tuple[str, Item]:
    """(the folder to write to, the item) of a single picture. Raises ImageError and ConfigError."""
    check_target(target)
    if storage.info(source) is None:
        raise missing(source)
    name = source.rstrip("/").rpartition("/")[2] if is_remote(source) else Path(source).name
    if storage.is_folder(target) or target.endswith("/"):
        target = storage.join(target, output.name(name))
    ending = os.path.splitext(target)[1].lower()
    if ending not in ENDINGS:
        raise ImageError(
            f"Cannot write {os.path.basename(target)!r}: its ending must be one of {', '.join(ENDINGS)} "
            "(PNG and WebP are written without loss)."
        )
    out, name = _divided(source, target)
    return out, Item(source, name)


def one_shard(source: str, target: str) -> tuple[str, Item]:
    """(the folder to write to, the item) of a single shard, as `one_file`; `target` is a folder or ends in .tar."""
    check_target(target)
    entry = storage.info(source)
    if entry is None:
        raise missing(source)
    out, name = target, entry.name
    if not storage.is_folder(target) and not target.endswith("/"):
        if target.lower().endswith(SHARDS):
            out, name = _divided(source, target)
        elif storage.info(target):
            raise ConfigError(f"IN is a shard, so OUT must be a folder or end in .tar, and {target} is another file.")
    return out, Item(entry.url, name, entry.size, entry.version)


def _divided(source: str, target: str) -> tuple[str, str]:
    """(folder, name) of a file to write. Raises ConfigError where it is the source."""
    if source == target or (not is_remote(target) and os.path.exists(target) and os.path.samefile(source, target)):
        raise ConfigError(f"OUT would replace the original {source}; choose another name.")
    if is_remote(target):
        out, _, name = target.rpartition("/")
        return out, name
    return os.path.split(target)


def check_target(target: str) -> None:
    """Raise ConfigError where nothing can be written."""
    if target.startswith(("http://", "https://")):
        raise ConfigError(f"OUT cannot be {target}: results are written to a disk, or to s3://, gs:// or hf://.")


def missing(source: str) -> ImageError:
    """The error to raise where IN is not there. Stores do not tell strangers what they hold."""
    unseen = f" that may be seen.{advice(source)}" if advice(source) else "."
    return ImageError(f"There is no file or folder {source}{unseen}")


def check_folders(source: str, target: str) -> None:
    """Raise ConfigError where results could not be kept apart from what they are made of, or not be written."""
    check_target(target)
    if not is_remote(target) and os.path.exists(target) and not os.path.isdir(target):
        raise ConfigError(f"IN is a folder, so OUT must be one too, and {target} is a file.")
    if is_remote(source) != is_remote(target):
        return
    if _resolved(source) == _resolved(target):
        raise ConfigError("OUT is the same folder as IN, and originals could be replaced; choose another one.")
    if _resolved(source).startswith(_resolved(target).rstrip("/" + os.sep) + "/"):
        raise ConfigError("IN lies in OUT, and originals could be replaced; choose another OUT.")


def folder(source: str, target: str, globs: Iterable[str] = ()) -> Iterator[Entry]:
    """The pictures below a folder, those below `target` left out: they are results.

    With `globs`, the files that one of them matches, pictures or shards: `*.jpg` by name in every folder, `2024/**` by
    the path below IN. Raises ImageError where there is none.
    """
    patterns = [_pattern(glob) for glob in globs]
    empty = True
    for entry in storage.find(source, (target,)):
        wanted = _matches(entry, patterns) if patterns else entry.name.lower().endswith(SUFFIXES)
        if wanted or entry.problem:
            empty = False
            yield entry
    if empty:
        looked_for = " or ".join(globs) if patterns else ", ".join(SUFFIXES)
        raise ImageError(f"There is no picture in {source}; looked for {looked_for}.")


def listed(path: str, base: str, column: str = COLUMN, globs: Iterable[str] = ()) -> Iterator[Entry]:
    """The files that a list names: a line each, or the column of a .csv, .tsv or .parquet; "-" is standard input.

    Names that are not absolute count from `base`, and results keep the tree below it; others keep their whole path.
    `globs` as in `folder`. Raises StorageError and ConfigError.
    """
    patterns = [_pattern(glob) for glob in globs]
    seen: set[bytes] = set()
    for text in _names(path, column):
        absolute = is_remote(text) or os.path.isabs(text)
        url = text if absolute else storage.join(base, text)
        if _short(url) not in seen:
            seen.add(_short(url))
            entry = Entry(url, _below(url, base), 0)
            if not patterns or _matches(entry, patterns):
                yield entry


def is_pipe(path: str) -> bool:
    """Whether a list can be read only once."""
    return path == STDIN or (not is_remote(path) and os.path.exists(path) and not os.path.isfile(path))


def _matches(entry: Entry, patterns: list[re.Pattern[str]]) -> bool:
    return any(pattern.match(entry.name) for pattern in patterns)


def items(entries: Iterable[Entry], output: Output) -> Iterator[Item]:
    """What is to be made of each file; no two results have the same name: cat.jpg, cat.png -> cat.png, cat.png.png."""
    taken: set[bytes] = set()
    for entry in entries:
        if entry.name.lower().endswith(SHARDS):
            name = entry.name
        else:
            name, longer = output.name(entry.name), entry.name
            while _short(name) in taken:
                name = longer = output.name(longer, whole=True)
        taken.add(_short(name))
        problem = entry.problem
        if not problem and not storage.is_below(name):
            problem = "The name leads out of the folder of the results."
        yield Item(entry.url, name, entry.size, entry.version, problem)


def _names(path: str, column: str) -> Iterator[str]:
    ending = os.path.splitext(path)[1].lower()
    if ending == ".parquet":
        yield from _parquet(path, column)
        return
    try:
        with closing(storage.open_text(path)) as stream:
            if ending not in TABLES:
                yield from (line.rstrip("\r\n") for line in stream if line.strip())  # names may begin with a space
                return
            rows = csv.DictReader(stream, delimiter="\t" if ending == ".tsv" else ",")
            if column not in (rows.fieldnames or ()):
                raise _no_column(path, column, rows.fieldnames or ())
            yield from (row[column].strip() for row in rows if row[column] and row[column].strip())
    except (UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"The list {path} cannot be read: {error}.") from None


def _parquet(path: str, column: str) -> Iterator[str]:
    from pyarrow import ArrowException, fs, parquet

    system: Any = None
    if is_remote(path):
        remote, path = opened(path)
        system = fs.PyFileSystem(fs.FSSpecHandler(remote))
    try:
        table = parquet.ParquetFile(path, filesystem=system)
        if column not in table.schema_arrow.names:
            raise _no_column(path, column, table.schema_arrow.names)
        for batch in table.iter_batches(columns=[column]):
            yield from (str(value) for value in batch.column(0).to_pylist() if value)
    except (OSError, ArrowException) as error:
        raise StorageError(f"The list {path} cannot be read: {error}.") from None


def _no_column(path: str, column: str, there: Iterable[str]) -> ConfigError:
    return ConfigError(f"{path} has no column {column!r}; choose one of: {', '.join(there)} (--column).")


def _below(url: str, base: str) -> str:
    """The name below `base`; of a file elsewhere its whole path, which can lead nowhere else."""
    if is_remote(url) == is_remote(base):
        whole, root = _resolved(url), _resolved(base)
        if whole.startswith(root.rstrip("/") + "/"):
            return whole[len(root.rstrip("/")) + 1 :]
    else:
        whole = _resolved(url)
    return re.sub(r"^([A-Za-z]:|\w+://)?/*", "", whole.partition("?")[0].replace("\\", "/"))


def _resolved(url: str) -> str:
    if is_remote(url):
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{os.path.normpath('/' + rest).lstrip('/')}"
    return os.path.abspath(url) if not os.path.isdir(url) else str(Path(url).resolve())


def _pattern(glob: str) -> re.Pattern[str]:
    from fsspec.utils import glob_translate

    return re.compile(glob_translate(glob if "/" in glob else f"**/{glob}"))


def _short(name: str) -> bytes:
    return blake2b(os.fsencode(name), digest_size=8).digest()
