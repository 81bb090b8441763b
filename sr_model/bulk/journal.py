"""What is done in a folder of results, by content and settings: files of JSON lines in OUT/.sr_model/.

Each process appends to a file of its own, so a killed one can spoil only its own last line, and nobody waits for
anybody. In memory a finished file takes some 300 bytes.
"""

import json
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

from sr_model.bulk import storage
from sr_model.bulk.records import Record
from sr_model.errors import StorageError
from sr_model.system.files import make_folders, sync_folder
from sr_model.system.remote import is_remote

FOLDER = ".sr_model"
FLUSH = 64  # records in a file, where files cannot be appended to


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal says of a result."""

    sha256_in: bytes
    version: bytes  # digest of the store's version of the source
    settings: bytes
    sha256_out: bytes
    bytes_out: int
    mtime: int  # nanoseconds, of the result; 0 behind a URL
    run: bytes  # the job that made it

    def is_of(self, settings: str, sha256_in: str = "", version: str = "") -> bool:
        """Whether it was made from this content, or from this version of a file, with these settings."""
        same = self.sha256_in == bytes.fromhex(sha256_in) if sha256_in else self.version == _digest(version)
        return same and self.settings == bytes.fromhex(settings)


class Journal:
    """The journal of the folder `out`; `run` names the job, whichever its processes are."""

    def __init__(self, out: str, run: str = "") -> None:
        self.run = run or uuid.uuid4().hex[:16]
        self._folder = storage.join(out, FOLDER)
        self._local = not is_remote(out)
        host, moment = socket.gethostname(), f"{time.time_ns():020}"
        self._name = f"journal-{moment}-{host}-{os.getpid()}"
        self._known: dict[bytes, Known] = {}
        self._read: dict[str, int] = {}  # bytes that have been read, by file
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None
        self._waiting: list[str] = []
        self._parts = 0
        self.refresh()

    def lookup(self, target: str) -> Known | None:
        """What is known of the result of this name."""
        return self._known.get(_digest(target))

    def refresh(self) -> None:
        """Read what is new, other processes' lines too. Raises StorageError."""
        with self._lock:
            for entry in self._files():
                begin = self._read.get(entry.name, 0)
                if entry.size <= begin:
                    continue
                if self._local:
                    with open(entry.url, "rb") as stream:
                        stream.seek(begin)
                        self._read[entry.name] = begin + self._take(stream)
                else:
                    self._read[entry.name] = entry.size
                    for line in storage.read(entry.url).splitlines():
                        self._learn(line)

    def add(self, target: str, record: Record, settings: str, version: str = "") -> None:
        """Note that a result is done. It must be on the disk by now. Raises StorageError."""
        mtime = os.stat(record.target).st_mtime_ns if self._local else 0
        line = record.line(key=target, id=settings, version=version, mtime=mtime, run=self.run)
        with self._lock:
            self._learn(line.encode())
            if self._local:
                self._append(line.encode())
            else:
                self._waiting.append(line)
                if len(self._waiting) >= FLUSH:
                    self._flush()

    def close(self) -> None:
        """Write what waits."""
        with self._lock:
            self._flush()
            if self._stream:
                self._stream.close()
                self._stream = None

    def _files(self) -> list[storage.Entry]:
        if self._local:
            if not os.path.isdir(self._folder):
                return []
            found = [Path(entry.path) for entry in os.scandir(self._folder) if entry.name.endswith(".jsonl")]
            return [storage.Entry(str(path), path.name, path.stat().st_size) for path in sorted(found)]
        return [entry for entry in storage.find(self._folder) if entry.name.endswith(".jsonl")]

    def _take(self, stream: IO[bytes]) -> int:
        """Read whole lines; how many bytes they were."""
        taken = 0
        for line in stream:
            if not line.endswith(b"\n"):
                break  # somebody is writing it, or was killed while doing so
            taken += len(line)
            self._learn(line)
        return taken

    def _learn(self, line: bytes) -> None:
        try:
            found = json.loads(line)
            self._known[_digest(found["key"])] = Known(
                bytes.fromhex(found["sha256_in"]),
                _digest(found["version"]),
                bytes.fromhex(found["id"]),
                bytes.fromhex(found["sha256_out"]),
                found["bytes_out"],
                found["mtime"],
                bytes.fromhex(found["run"]),
            )
        except (ValueError, KeyError, TypeError):
            pass  # the end of a disk's last moment: its file will be made again

    def _append(self, line: bytes) -> None:
        try:
            if self._stream is None:
                make_folders(Path(self._folder))
                self._stream = open(Path(self._folder) / f"{self._name}.jsonl", "ab")  # noqa: SIM115 - closed in close
                sync_folder(Path(self._folder))
            self._stream.write(line)
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise storage.as_storage_error("The journal", error) from None

    def _flush(self) -> None:
        if self._waiting:
            url = storage.join(self._folder, f"{self._name}-{self._parts:06}.jsonl")
            storage.write(url, "".join(self._waiting).encode())
            self._parts += 1
            self._waiting = []


def _digest(text: str) -> bytes:
    return blake2b(os.fsencode(text), digest_size=12).digest()


def is_intact(known: Known, url: str) -> bool:
    """Whether a result is there as the journal knows it; where its time has changed, its content is read."""
    if is_remote(url):
        entry = storage.info(url)
        return entry is not None and entry.size == known.bytes_out
    try:
        status = os.stat(url)
    except OSError:
        return False
    if status.st_size != known.bytes_out:
        return False
    return status.st_mtime_ns == known.mtime or _sha256(url) == known.sha256_out


def _sha256(path: str) -> bytes:
    import hashlib

    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        raise StorageError(f"{path} cannot be read.") from None
