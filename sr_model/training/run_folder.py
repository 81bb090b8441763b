"""The folder that a run writes to: whose it is, what is in it, and what happens when it cannot be written."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sr_model.errors import ConfigError, DataError
from sr_model.files import remove_leftovers, write_atomically
from sr_model.training import checkpoint

LOCK = "lock"
HISTORY = "history.jsonl"


@contextmanager
def hold(folder: Path, resume: bool) -> Iterator[None]:
    """Make the folder this run's own until the end; the lock of a process that has died holds nobody.

    Raises ConfigError where another run holds it, where it holds a run already that is not to be resumed, and where it
    cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / LOCK, "a")  # noqa: SIM115  # held until the run ends
    except OSError as error:
        raise ConfigError(f"--run-dir {folder} cannot be written: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"Another process is training in {folder} now. Wait for its end, or name another --run-dir."
            ) from None
        if checkpoint.checkpoints(folder / "checkpoints") and not resume:
            raise ConfigError(
                f"{folder} holds a run already. Go on with it by --resume, or name another folder by --run-dir."
            )
        with told():
            for place in (folder, folder / "checkpoints"):
                remove_leftovers(place)
        yield


@contextmanager
def told() -> Iterator[None]:
    """Turn a failure to write into a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The run cannot be written: {error.strerror} ({error.filename}). What was written before is whole; "
            "make room, and go on with --resume."
        ) from None


def append_history(folder: Path, line: dict[str, Any]) -> None:
    """Add a validation to history.jsonl."""
    with open(folder / HISTORY, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def cut_history(folder: Path, step: int) -> None:
    """Forget validations after `step`: a run that goes on from there makes them again."""
    file = folder / HISTORY
    if file.exists():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _step(line) <= step]
        if kept != lines:
            write_atomically(file, "".join(kept).encode())


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # half a line, from a full disk or a lost machine
        return float("inf")
