"""Atomic file writes: the whole file or nothing."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LONGEST_NAME = 255  # bytes
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # in the errno of an OSError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file atomically: a crash at any moment leaves the old file or the new one, never a part of it."""
    with atomic_file(path) as stream:
        stream.write(data)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to in parts, which takes its name and its place at the end, or never does if anything fails."""
    temporary = path.with_name(_temporary_name(path.name))
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)  # the rename itself must reach the disk too


def put_into_place(finished: Path, path: Path) -> None:
    """Give a file, that another library has written, its name, once its content is on the disk."""
    with open(finished, "r+b") as stream:
        os.fsync(stream.fileno())
    os.replace(finished, path)
    sync_folder(path.parent)


def _temporary_name(name: str) -> str:
    """Hidden, and known to `remove_leftovers`; a name that fills what file systems allow is abbreviated."""
    encoded = os.fsencode(name)
    if len(encoded) > LONGEST_NAME - 32:
        name = hashlib.sha256(encoded).hexdigest()
    return f".{name}.{os.getpid()}.tmp"


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows cannot open folders
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folders(path: Path) -> None:
    """Make a folder and those above it, and wait until they are on the disk."""
    if path.is_dir():
        return
    make_folders(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Delete what `write_atomically` left in `folder` when its process was killed; files being written now stay."""
    for path in folder.glob(".*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # signal 0 would interrupt the process there, and a leftover file is harmless
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's process, so it is alive
    return True


def between_marks(text: str, begin: str, end: str, content: str) -> str:
    """`text` with the lines between two marks, each of which occurs once, replaced by `content`."""
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n{content}\n{end}{after}"
