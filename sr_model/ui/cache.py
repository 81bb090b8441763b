"""The folder that holds uploads and results, and the sweep that empties it."""

import os
import secrets
import tempfile
import threading
import time
from collections.abc import Collection
from pathlib import Path

from sr_model.imaging import images
from sr_model.imaging.images import Picture

MAX_AGE = 50 * 60  # seconds; with the interval below, a picture is gone within an hour
INTERVAL = 5 * 60


def open_folder() -> Path:
    """The folder that Gradio serves uploads and results from: one's own, not one shared with other programs.

    Set before any component is made, as Gradio reads GRADIO_TEMP_DIR then.
    """
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = str(_private_folder())
    folder = Path(os.environ["GRADIO_TEMP_DIR"]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def store_png(picture: Picture, name: str, folder: Path) -> Path:
    """Write a lossless PNG under `name` where nobody can guess its address."""
    path = folder / secrets.token_urlsafe(16) / name
    path.parent.mkdir(mode=0o700)
    path.write_bytes(images.encode(images.to_pil(picture)))
    return path


def sweep(folder: Path, keep: Collection[Path] = (), max_age: float = MAX_AGE) -> int:
    """Delete files older than `max_age` seconds and old empty folders; returns how many files went.

    Files in `keep` are made young instead, so that the sweep of a second server in this folder spares them too.
    """
    for path in keep:
        if path.exists():
            os.utime(path)
    oldest = time.time() - max_age
    gone = 0
    # Deepest first, so that a folder comes after what is in it.
    for path in sorted(folder.rglob("*"), key=lambda p: len(p.parts), reverse=True):
        try:
            if path.lstat().st_mtime >= oldest:
                continue
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
                gone += 1
        except OSError:
            pass  # not empty, or somebody else was faster
    return gone


def start_sweeper(folder: Path, keep: Collection[Path]) -> threading.Thread:
    """Sweep now and every few minutes for as long as the process lives."""

    def work() -> None:
        while True:
            sweep(folder, keep)
            time.sleep(INTERVAL)

    thread = threading.Thread(target=work, name="sweeper", daemon=True)
    thread.start()
    return thread


def _private_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "pictures"
    folder = Path(tempfile.gettempdir()) / f"sr-model-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Anyone may have made a folder of that name in the shared temporary folder.
    if hasattr(os, "getuid") and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
        return Path(tempfile.mkdtemp(prefix="sr-model-"))
    return folder
