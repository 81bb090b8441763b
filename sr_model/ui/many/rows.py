"""The pictures of a visitor's queue, and what is known and has become of each."""

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sr_model.bulk import listing
from sr_model.bulk.outputs import Output
from sr_model.bulk.records import Item, Record
from sr_model.bulk.storage import Entry
from sr_model.errors import ImageError
from sr_model.imaging import images
from sr_model.ui.cache import MAX_AGE, Store
from sr_model.ui.limits import MAX_PIXELS, uploaded_path
from sr_model.ui.many import unpacking

MOST_FILES = 50
MOST_BYTES = 150 * 1024**2  # of all files together, unpacked
LONGEST_NAME = 160  # bytes of each part of a name
DEEPEST = 4  # folders in each other, of a zip
KEPT = 500  # queues that are remembered

TOO_MANY = f"At most {MOST_FILES} pictures can be enlarged at once."
TOO_MUCH = f"All files together may have {MOST_BYTES // 1024**2} MB. Choose this one again when the others are done."
GONE = "These files are no longer here: uploads are deleted within an hour. Choose them again."


@dataclass
class Row:
    """A file, what is known of it, and what has become of it."""

    name: str
    path: Path | None = None
    size: tuple[int, int] = (0, 0)  # (width, height)
    reason: str = ""  # why it cannot be enlarged, whatever the settings
    record: Record | None = None

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]


@dataclass
class Queue:
    """What a visitor has chosen at once. `folder` is its own; `made` is what its results were made with."""

    folder: Path
    session: str
    rows: list[Row]
    made: str = ""
    turns: int = 0  # how often work on it has begun
    born: float = field(default_factory=time.monotonic)

    def items(self, output: Output) -> list[Item]:
        """What a job is to make of each row."""
        entries = (Entry(str(row.path), safe_name(row.name), 0) for row in self.rows)
        return list(listing.items(entries, output))

    def results(self) -> list[Path]:
        """The files that were made."""
        return [Path(row.record.target) for row in self.rows if row.record and row.record.status == "done"]

    def begin(self, made: str) -> None:
        """A turn of work begins. Results of other settings make room for those of these."""
        self.turns += 1
        if made == self.made:
            return
        for path in self.results():
            path.unlink(missing_ok=True)
        for row in self.rows:
            row.record = None
        self.made = made


class Queues:
    """Those of all visitors, by names that nobody can guess."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[str, Queue] = {}
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(1)  # unpacking takes a whole processor

    def add(self, files: Any, session: str) -> str:
        """The name of a new queue of uploaded files, which a browser names: [{"file": file data, "name": str}]."""
        folder = self._store.new_folder()
        with self._turn:
            rows = list(gather(files if isinstance(files, list) else [], self._store, folder))
        with self._lock:
            oldest = time.monotonic() - MAX_AGE
            recent = [(key, queue) for key, queue in self._queues.items() if queue.born > oldest]
            self._queues = dict(recent[1 - KEPT :])
            self._queues[folder.name] = Queue(folder, session, rows)
        return folder.name

    def get(self, name: Any) -> Queue:
        """Raises ImageError for one that is not there."""
        with self._lock:
            queue = self._queues.get(name) if isinstance(name, str) else None
        if queue is None:
            raise ImageError(GONE)
        return queue

    def forget(self, session: str) -> None:
        """A session has ended."""
        with self._lock:
            self._queues = {key: queue for key, queue in self._queues.items() if queue.session != session}


class Allowance:
    """How many more files and bytes may come."""

    def __init__(self) -> None:
        self.files, self.bytes = MOST_FILES, MOST_BYTES

    def object_to(self, size: int) -> str:
        """Why a file of so many bytes is one too many, or nothing; then it counts."""
        if not self.files:
            return TOO_MANY
        self.files -= 1
        if size > self.bytes:
            return TOO_MUCH
        self.bytes -= size
        return ""


def gather(files: list[Any], store: Store, folder: Path) -> Iterator[Row]:
    """A row for each file and each file of a zip; those of zips are written into `folder`."""
    allowance, over = Allowance(), 0
    for file in files:
        for row in _rows(file, store, folder, allowance):
            over += row.reason == TOO_MANY
            if row.reason != TOO_MANY:
                yield row
    if over:
        yield Row(f"+ {over}", reason=TOO_MANY)


def safe_name(name: str) -> str:
    """A name for the result's: the same folders and words, in what every file system accepts, as a picture's."""
    parts = [re.sub(r"[^\w.()+ -]+", "-", part).encode()[:LONGEST_NAME] for part in PurePosixPath(name).parts]
    plain = [part.decode(errors="ignore").strip(" .-") or "picture" for part in parts[-DEEPEST:]]
    safe = "/".join(plain) or "picture"
    return safe if safe.lower().endswith(images.SUFFIXES) else f"{safe}.png"


def _rows(file: Any, store: Store, folder: Path, allowance: Allowance) -> Iterator[Row]:
    given = file.get("name") if isinstance(file, dict) else None
    name = given if isinstance(given, str) else "?"
    try:
        path = uploaded_path(file, store.folder)
    except ImageError as error:
        yield Row(_shown(name), reason=allowance.object_to(0) or str(error))
        return
    if path is None:
        return
    if not unpacking.is_zip(path):
        yield _row(name, path, allowance.object_to(path.stat().st_size))
        return
    for member in unpacking.unpack(path, name, allowance.object_to):
        unpacked, reason = folder / f"{allowance.files}.file", member.reason
        if not reason:
            try:
                store.write(unpacked, member.data)
            except ImageError as error:
                reason = str(error)
        yield _row(member.name, unpacked, reason)


def _row(name: str, path: Path, reason: str) -> Row:
    """With the size that the file's header says, or the sentence that says why not."""
    if not reason:
        try:
            return Row(_shown(name), path, images.read_size(path, MAX_PIXELS))
        except ImageError as error:
            reason = str(error)
    return Row(_shown(name), reason=reason)


def _shown(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
