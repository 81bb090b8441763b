"""Decoded pictures of a run: in memory up to a limit, beyond it in one memory-mapped file.

The kernel owns the pages of such a file, and drops the least recently used ones when memory is short.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from sr_model.errors import DataError


class Place(NamedTuple):
    """Where an array lies in a cache's file."""

    path: str
    version: tuple[int, int]  # size and modification time, which tell another run's file of the same name
    offset: int  # bytes
    shape: tuple[int, ...]


class MappedArray(np.ndarray):
    """A read-only uint8 array in a cache's file. It pickles as its place there, so workers get no copies."""

    place: Place | None

    def __array_finalize__(self, source: Any) -> None:
        self.place = None  # a slice has none, and pickles as its pixels

    def __reduce__(self) -> Any:
        return super().__reduce__() if self.place is None else (_mapped, (self.place,))


# One mapping per process and file, for as long as any array of it exists.
_maps: WeakValueDictionary[tuple[str, tuple[int, int]], mmap.mmap] = WeakValueDictionary()


def _mapped(place: Place) -> MappedArray:
    """The array at `place`; only pages that are accessed are read. Raises FileNotFoundError."""
    pages = _maps.get((place.path, place.version))
    if pages is None:
        with open(place.path, "rb") as stream:
            if _version(place.path) != place.version:
                raise FileNotFoundError(f"{place.path} was written anew by another run.")
            pages = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        _maps[place.path, place.version] = pages
    size = int(np.prod(place.shape))
    array = np.frombuffer(pages, np.uint8, size, place.offset).reshape(place.shape).view(MappedArray)
    array.place = place
    return array


def _version(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


class PictureCache:
    """Keeps uint8 arrays for one run: first all are put, then they can be got, bitwise equal and read-only.

    Arrays stay in memory up to `limit` bytes in total; the first beyond that and all after it are written to
    `folder`/pixels-<process>.bin, where `process` is the rank among processes that train one network, each with its own
    cache. The file, and folders made for it, are deleted at the end of the `with` block; what a killed run left is
    deleted at its beginning. Arrays that were got remain valid in this process, and the disk space is free once they
    are gone. Raises DataError if the folder cannot be written or its disk is full.
    """

    def __init__(self, folder: Path, limit: float, process: int = 0) -> None:
        self.path = folder.absolute() / f"pixels-{process}.bin"  # absolute: workers may have another working directory
        self.limit = limit
        self.in_memory = 0  # bytes
        self.in_file = 0
        self._arrays: list[np.ndarray | tuple[int, tuple[int, ...]]] = []  # or offset and shape in the file
        self._made: list[Path] = []  # folders, the innermost first
        self._stream: BinaryIO | None = None
        self._version: tuple[int, int] | None = None  # of the finished file
        with self._errors_said():
            self._delete()

    def __enter__(self) -> "PictureCache":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def put(self, pixels: np.ndarray) -> int:
        """Keep a copy of a uint8 array of any shape. Returns the number that `get` takes."""
        assert pixels.dtype == np.uint8
        assert self._version is None, "all arrays are put before the first is got"
        if not self.in_file and self.in_memory + pixels.nbytes <= self.limit:
            kept = np.array(pixels, order="C")
            kept.flags.writeable = False
            self._arrays.append(kept)
            self.in_memory += pixels.nbytes
        else:
            with self._errors_said():
                if self._stream is None:
                    self._made = [folder for folder in self.path.parents if not folder.exists()]
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    self._stream = open(self.path, "xb")  # noqa: SIM115 - closed by `_finish` or `close`
                self._stream.write(np.ascontiguousarray(pixels).data)
            self._arrays.append((self.in_file, pixels.shape))
            self.in_file += pixels.nbytes
        return len(self._arrays) - 1

    def get(self, number: int) -> np.ndarray:
        """The array that was put as `number`, from memory or memory-mapped; nothing can be put afterwards."""
        if self._version is None:
            self._version = self._finish()
        found = self._arrays[number]
        if isinstance(found, np.ndarray):
            return found
        return _mapped(Place(str(self.path), self._version, *found))

    def close(self) -> None:
        """Delete the file."""
        if self._stream:
            with suppress(OSError):  # what could not be written fails again here
                self._stream.close()
        self._arrays = []
        with suppress(PermissionError):  # Windows keeps a file that is mapped; the next run deletes it
            self._delete()

    def _finish(self) -> tuple[int, int]:
        if self._stream is None:
            return 0, 0  # all are in memory
        with self._errors_said():
            self._stream.flush()
            # Writes that fail only now would be read as zeros later; and only clean pages can be dropped.
            os.fsync(self._stream.fileno())
            self._stream.close()
            return _version(self.path)

    def _delete(self) -> None:
        # Never overwritten in place: a run that has the old file mapped would see it change, or crash.
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # missing, or not empty
            for folder in self._made or [self.path.parent]:
                folder.rmdir()

    @contextmanager
    def _errors_said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                self.close()
            raise DataError(
                f"The decoded photos cannot be kept in {self.path.parent}: {error.strerror}, after "
                f"{self.in_file / 1e9:.1f} GB there and {self.in_memory / 1e9:.1f} GB in memory. Free some space, "
                "choose a --run-dir on another disk, or keep more in memory with a larger --cache-gb."
            ) from None
