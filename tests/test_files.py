import os
import subprocess
import sys
from pathlib import Path

import pytest

from sr_model.system.files import remove_leftovers, write_atomically


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a write costs nothing that was there."""
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    """What a file system allows for a name, is allowed, although a temporary name is longer."""
    for letter in ("x", "é"):
        path = tmp_path / (letter * (251 // len(letter.encode())) + ".png")
        write_atomically(path, b"data")
        assert path.read_bytes() == b"data"
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """A temporary file whose writer is dead goes; one that is being written, and everything else, stays."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = [tmp_path / name for name in (f".a.{os.getpid()}.tmp", ".notes.tmp", "b.tmp", ".c")]
    for path in (tmp_path / f".a.{dead.pid}.tmp", *kept):
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
