"""Files on a disk or behind a URL, by one name each: a path, or what fsspec knows (s3://, gs://, hf://, https://).

Written whole or not at all: on a disk by a temporary name, fsync and rename; an object store shows an object when all
of it has arrived. What fails in passing is tried again.
"""

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any, TextIO

from sr_model.errors import FullError, StorageError
from sr_model.system.files import NO_ROOM, atomic_file, make_folders, remove_leftovers, write_atomically
from sr_model.system.remote import is_remote, opened, retried, sent, version

_swept: set[Path] = set()  # folders whose leftovers of killed processes are gone


@dataclass(frozen=True)
class Entry:
    """A file that is there."""

    url: str  # a path, or with a scheme
    name: str  # below the folder that was searched, with /
    size: int  # bytes
    version: str = ""  # changes when the content does; "" where only reading tells
    problem: str = ""  # why it is known that this cannot be read: a sentence


def join(root: str, name: str) -> str:
    """The file of a name below a folder."""
    return f"{root.rstrip('/')}/{name}" if is_remote(root) else os.path.join(root, name)


def is_below(name: str) -> bool:
    """Whether a name that strangers have chosen stays below the folder that it is joined to."""
    return not PurePath(name).anchor and ".." not in PurePath(name).parts


def read(url: str) -> bytes:
    """All bytes of a file. Raises StorageError."""
    if not is_remote(url):
        try:
            return Path(url).read_bytes()
        except FileNotFoundError:
            raise StorageError("There is no such file.") from None
        except OSError as error:
            raise StorageError(f"The file cannot be read: {error.strerror or error}.") from None
    try:
        return retried(url, lambda system, path: system.cat_file(path))
    except FileNotFoundError:
        raise StorageError("There is no such file.") from None


def write(url: str, data: bytes) -> None:
    """Write a file, whole or not at all; missing folders are made.

    Raises StorageError; TargetError where nothing else could be written either.
    """
    if is_remote(url):
        sent(url, lambda system, path: system.pipe_file(path, data))
        return
    path = Path(url)
    try:
        _prepare(path.parent)
        write_atomically(path, data)
    except OSError as error:
        raise as_storage_error(path.name, error) from None


def _prepare(folder: Path) -> None:
    """Make a folder that files are going to be written to, and free it of what killed processes have left there."""
    make_folders(folder)
    if folder not in _swept:
        _swept.add(folder)
        remove_leftovers(folder)


class Writer:
    """A stream that knows the size and the sha256 of what has been written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._digest = stream, hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._stream.write(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def writer(url: str) -> Iterator[Writer]:
    """A file to write in parts, that is there at the end, whole, or not at all. Raises as `write` does."""
    try:
        if is_remote(url):
            with tempfile.TemporaryDirectory(prefix="sr_model-") as folder:
                path = Path(folder) / "file"
                with open(path, "wb") as stream:
                    yield Writer(stream)
                sent(url, lambda system, there: system.put_file(str(path), there))
            return
        _prepare(Path(url).parent)
        with atomic_file(Path(url)) as stream:
            yield Writer(stream)
    except OSError as error:
        raise as_storage_error(url, error) from None


@contextmanager
def as_local(url: str) -> Iterator[Path]:
    """A file of this content on the disk, for as long as the context is open. Raises StorageError."""
    if not is_remote(url):
        if not os.path.isfile(url):
            raise StorageError("There is no such file.")
        yield Path(url)
        return
    with tempfile.TemporaryDirectory(prefix="sr_model-") as folder:
        path = Path(folder) / "file"
        try:
            retried(url, lambda system, there: system.get_file(there, str(path)))
        except FileNotFoundError:
            raise StorageError("There is no such file.") from None
        yield path


def ending(url: str) -> str:
    """With its dot, in lower case; of a URL without what follows a question mark."""
    return os.path.splitext(url.partition("?")[0] if is_remote(url) else url)[1].lower()


def as_storage_error(name: str, error: OSError) -> StorageError:
    """The error to raise where writing failed; FullError where there is no room."""
    if error.errno in NO_ROOM:
        return FullError(
            f"{name} cannot be written, because the disk is full. Make room and give the same command again: "
            "what is done stays done."
        )
    return StorageError(f"{name} cannot be written: {error.strerror or error}.")


def open_text(url: str) -> TextIO:
    """A text file, to be read line by line; "-" is standard input. Raises StorageError."""
    try:
        if is_remote(url):
            return io.StringIO(read(url).decode("utf-8-sig"), newline="")
        # Names of files may hold any bytes.
        kind: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
        return open(0, closefd=False, **kind) if url == "-" else open(url, **kind)
    except FileNotFoundError:
        raise StorageError(f"There is no file {url}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{url} cannot be read: {error}.") from None


def info(url: str) -> Entry | None:
    """The file, or None where there is none."""
    name = url.rstrip("/").rpartition("/")[2]
    if not is_remote(url):
        path = Path(url)
        return Entry(url, path.name, path.stat().st_size) if path.is_file() else None
    try:
        found = retried(url, lambda system, path: system.info(path))
    except FileNotFoundError:
        return None
    return Entry(url, name, found.get("size") or 0, version(found)) if found["type"] == "file" else None


def is_folder(url: str) -> bool:
    """Whether there is a folder of this name, or anything below it."""
    if not is_remote(url):
        return os.path.isdir(url)
    if url.startswith(("http://", "https://")):
        return False  # a site's pages are no list of its files
    return bool(retried(url, lambda system, path: system.isdir(path)))


def remove(url: str) -> None:
    """Delete a file, which may be missing."""
    if not is_remote(url):
        Path(url).unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        retried(url, lambda system, path: system.rm_file(path))


def find(root: str, passed_over: tuple[str, ...] = ()) -> Iterator[Entry]:
    """All files below a folder, sorted, except hidden ones and those below the folders in `passed_over`.

    Links to files are files, those to folders are passed over. What cannot be read is an entry with its problem. One
    folder's names are in memory at a time.
    """
    if not is_remote(root):
        yield from _find_local(Path(root), "", {Path(folder).resolve() for folder in passed_over})
        return
    system, top = opened(root)
    system.invalidate_cache()  # others may have written since
    inside = {opened(folder)[1].strip("/") for folder in passed_over if is_remote(folder)}
    yield from _find_remote(root.rstrip("/"), top.strip("/"), "", inside)


def _find_remote(root: str, top: str, prefix: str, passed_over: set[str]) -> Iterator[Entry]:
    folder = f"{root}/{prefix}".rstrip("/")
    try:
        found = retried(folder, lambda system, path: system.ls(path, detail=True))
    except FileNotFoundError:
        return
    for entry in sorted(found, key=lambda entry: str(entry["name"])):
        path = entry["name"].strip("/")
        name = path.rpartition("/")[2]
        if name.startswith(".") or path == f"{top}/{prefix}".strip("/"):  # some stores list a folder in itself
            continue
        if entry["type"] == "directory":
            if path not in passed_over:
                yield from _find_remote(root, top, f"{prefix}{name}/", passed_over)
        else:
            yield Entry(f"{folder}/{name}", prefix + name, entry.get("size") or 0, version(entry))


def _find_local(folder: Path, prefix: str, passed_over: set[Path]) -> Iterator[Entry]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problem = f"The folder cannot be read: {error.strerror}."
        if not prefix:
            raise StorageError(f"{folder}: {problem}") from None
        yield Entry(str(folder), prefix.rstrip("/"), 0, problem=problem)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not passed_over or Path(entry.path).resolve() not in passed_over:
                yield from _find_local(Path(entry.path), f"{prefix}{entry.name}/", passed_over)
            continue
        try:
            status = entry.stat()
        except OSError:  # a link that leads nowhere, or a file that was deleted just now
            yield Entry(entry.path, prefix + entry.name, 0)
        else:
            if stat.S_ISREG(status.st_mode):
                yield Entry(entry.path, prefix + entry.name, status.st_size)
