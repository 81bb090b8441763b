"""The results of a queue as one zip, written while it is sent: no more than a part of a file is in memory."""

import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from sr_model.ui.cache import Store

CHUNK = 256 * 1024
RESULTS = "*-x*"  # folders of results in a queue's own: base-x2
LOCAL, DESCRIPTOR, CENTRAL, END = 30, 16, 46, 22  # bytes of a zip's records, without names


@dataclass(frozen=True)
class Zip:
    """A zip that is going to be sent: its name, its bytes in all, and the bytes one after the other."""

    name: str
    length: int
    chunks: Iterator[bytes]


def zipped(store: Store, name: str) -> Zip:
    """The results that a queue has now. They are stored as they are, since pictures are compressed already.

    Raises FileNotFoundError where there is none.
    """
    if not re.fullmatch(r"[\w-]{16,64}", name):
        raise FileNotFoundError(name)
    results = sorted(path for path in (store.folder / name).glob(f"{RESULTS}/**/*") if _is_result(path))
    if not results:
        raise FileNotFoundError(name)
    top = results[0].relative_to(store.folder / name).parts[0]
    files = [(path.relative_to(store.folder / name / top).as_posix(), path) for path in results]
    length = END + sum(
        LOCAL + DESCRIPTOR + CENTRAL + 2 * len(inside.encode()) + path.stat().st_size for inside, path in files
    )
    return Zip(f"{top}.zip", length, _written(files))


def _is_result(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")  # hidden while it is being written


def _written(files: list[tuple[str, Path]]) -> Iterator[bytes]:
    sent = _Sent()
    with zipfile.ZipFile(cast(IO[bytes], sent), "w") as archive:
        for inside, path in files:
            info = zipfile.ZipInfo(inside, time.localtime(path.stat().st_mtime)[:6])
            info.external_attr = 0o644 << 16
            with open(path, "rb") as stream, archive.open(info, "w") as entry:
                while chunk := stream.read(CHUNK):
                    entry.write(chunk)
                    yield sent.taken()
            yield sent.taken()
    yield sent.taken()


class _Sent:
    """A stream that cannot go back, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def taken(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data
