"""The folder of uploads and results: its budget of bytes, its age limit, and the sweeper that enforces both."""

import errno
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sr_model.errors import ImageError
from sr_model.imaging import images
from sr_model.imaging.images import Picture

MAX_AGE = 50 * 60  # seconds; together with INTERVAL, pictures are gone within an hour
INTERVAL = 5 * 60
BUDGET = 2 * 10**9  # bytes
FOLDER, MARKER = "sr-model-pictures", ".made-by-sr-model"
FULL = "The server has no room for more pictures now. Please try again in a few minutes."


class Store:
    """Uploads and results in a folder of our own, at most `budget` bytes and none older than MAX_AGE.

    Only a folder that this class made, which holds MARKER, is ever swept. To make room the oldest files are deleted
    first, but never one that a visitor's page shows (`show`) or that belongs to the page itself (`keep`).
    """

    def __init__(self, budget: int = BUDGET) -> None:
        """Open the folder, below $GRADIO_TEMP_DIR or a private one, and let Gradio serve files from it.

        Call this before any component is made, as Gradio reads the variable then.
        """
        self.budget = budget
        self.folder = _own_folder(Path(os.environ.get("GRADIO_TEMP_DIR") or _private_folder()))
        os.environ["GRADIO_TEMP_DIR"] = str(self.folder)
        self._kept: set[Path] = set()
        self._shown: dict[str, set[Path]] = {}  # by session
        self._spare = 0  # bytes that the last look at the folder found free
        self._lock = threading.Lock()

    def keep(self, paths: Iterable[Path]) -> None:
        """Never delete these: the examples and their results."""
        self._kept.update(paths)

    def show(self, session: str, paths: Iterable[Path]) -> None:
        """A session's page now shows these, and no longer what it showed before."""
        with self._lock:
            self._shown[session] = set(paths)

    def forget(self, session: str) -> None:
        """A session has ended, so what it showed may be deleted."""
        with self._lock:
            self._shown.pop(session, None)

    def new_folder(self) -> Path:
        """A folder for one result, where nobody can guess its address."""
        folder = self.folder / secrets.token_urlsafe(16)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        return folder

    def store_png(self, picture: Picture, name: str) -> Path:
        """Write a lossless PNG under `name` in a folder of its own. Raises ImageError without room."""
        path = self.new_folder() / name
        self.write(path, images.encode(images.to_pil(picture)))
        return path

    def write(self, path: Path, data: bytes) -> None:
        """Write a file below the folder. Raises ImageError without room, and leaves no part of it then."""
        if self._spare < len(data) and not self.make_room(len(data)):
            raise ImageError(FULL)
        self._spare -= len(data)
        try:
            path.write_bytes(data)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ImageError(FULL) from None
            raise

    def make_room(self, size: int) -> bool:
        """Delete expired files, then unseen ones, oldest first, until `size` more bytes fit into the budget.

        Returns whether they fit.
        """
        self.sweep()
        files = sorted(self._files(), key=lambda entry: entry[1])
        used = sum(length for _, _, length in files)
        with self._lock:
            seen = self._kept.union(*self._shown.values())
        for path, _, length in files:
            if used + size <= self.budget:
                break
            if path not in seen:
                path.unlink(missing_ok=True)
                used -= length
        self._spare = self.budget - used
        return used + size <= self.budget

    def used(self) -> int:
        """Bytes of all files in the folder."""
        return sum(length for _, _, length in self._files())

    def sweep(self) -> int:
        """Delete files older than MAX_AGE and old empty folders; return the number of files deleted.

        The page's own files are touched instead, so a second server in this folder spares them too.
        """
        if not (self.folder / MARKER).is_file():
            _mark(self.folder)  # somebody deleted the folder, and uploads need it
            return 0
        for path in self._kept:
            if path.exists():
                os.utime(path)
        oldest = time.time() - MAX_AGE
        gone = 0
        for path, modified, _ in list(self._files()):
            if modified < oldest:
                path.unlink(missing_ok=True)
                gone += 1
        # Deepest first, so that a folder comes after its content.
        for folder, _, _ in os.walk(self.folder, topdown=False):
            try:
                if Path(folder) != self.folder and os.lstat(folder).st_mtime < oldest:
                    os.rmdir(folder)
            except OSError:
                pass  # not empty, or already deleted by another process
        return gone

    def start_sweeper(self) -> threading.Thread:
        """Sweep now and every few minutes, until the process ends."""

        def work() -> None:
            while True:
                self.make_room(0)
                time.sleep(INTERVAL)

        thread = threading.Thread(target=work, name="sweeper", daemon=True)
        thread.start()
        return thread

    def _files(self) -> Iterable[tuple[Path, float, int]]:
        """(path, modification time, bytes) of each file; links are not followed."""
        # Unlike rglob, walk passes over folders that are deleted meanwhile, by another thread or process.
        for folder, folders, names in os.walk(self.folder):
            for path in (Path(folder, name) for name in (*names, *folders)):
                if path.name == MARKER or (path.name in folders and not path.is_symlink()):
                    continue
                try:
                    status = path.lstat()
                except OSError:
                    continue
                yield path, status.st_mtime, status.st_size


def file_data(path: Path) -> dict[str, Any]:
    """How Gradio marks a file in a value: it adds the address that the browser fetches."""
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


def _own_folder(base: Path) -> Path:
    """A marked folder below `base`, or `base` itself if it is marked; it never holds anybody else's files."""
    base = base.resolve()
    if (base / MARKER).is_file():
        return base
    base.mkdir(parents=True, exist_ok=True)
    folder = base / FOLDER
    if folder.exists() and not (folder / MARKER).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}-", dir=base))  # somebody else's folder of the same name
    _mark(folder)
    return folder


def _mark(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / MARKER).write_text("Pictures that visitors of the page have uploaded; deleted within an hour.\n")


def _private_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "pictures"
    folder = Path(tempfile.gettempdir()) / f"sr-model-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Anyone can create a folder of that name in the shared temporary folder.
    if hasattr(os, "getuid") and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
        return Path(tempfile.mkdtemp(prefix="sr-model-"))
    return folder
