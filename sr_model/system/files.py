"""Atomic file writes: the whole file or nothing."""

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file atomically: a crash at any moment leaves the old file or the new one, never a part of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows cannot open folders
    # The rename itself must reach the disk too.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
