from pathlib import Path

import pytest
import torch

from sr_model import checkpoint
from sr_model.errors import DataError
from sr_model.files import write_atomically


def save(folder: Path, step: int) -> Path:
    return checkpoint.save(folder, step, {"x": torch.full((3,), step)}, {"step": step})


def test_loaded_equals_saved_and_old_ones_go(tmp_path: Path) -> None:
    """The newest comes back with its plain values, and only the newest few are kept."""
    for step in (5, 900, 1000):
        save(tmp_path, step)
    tensors, meta, complaints = checkpoint.load_newest(tmp_path)
    assert tensors["x"].tolist() == [1000] * 3
    assert (meta, complaints) == ({"step": 1000}, [])
    assert len(checkpoint.checkpoints(tmp_path)) == checkpoint.KEEP
    assert len(list(tmp_path.iterdir())) == 2 * checkpoint.KEEP


@pytest.mark.parametrize("damage", ["flip", "cut", "no checksum"])
def test_a_damaged_newest_is_found_and_the_one_before_used(tmp_path: Path, damage: str) -> None:
    """A flipped bit, a missing end or a missing checksum are told by the file's name."""
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-5])
    else:
        path.with_suffix(".sha256").unlink()
    tensors, meta, complaints = checkpoint.load_newest(tmp_path)
    assert (tensors["x"].tolist(), meta["step"]) == ([1] * 3, 1)
    assert path.name in complaints[0]


def test_a_write_that_fails_makes_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after any of its writes, a save leaves the earlier checkpoint as the newest, without a complaint."""
    save(tmp_path, 1)

    def only_checksums(path: Path, data: bytes) -> None:
        if path.suffix != ".sha256":
            raise OSError(28, "No space left on device")
        write_atomically(path, data)

    monkeypatch.setattr(checkpoint, "write_atomically", only_checksums)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2)
    _, meta, complaints = checkpoint.load_newest(tmp_path)
    assert (meta["step"], complaints) == (1, [])


def test_nothing_whole_says_so(tmp_path: Path) -> None:
    """Where there is no checkpoint the error says what to do."""
    with pytest.raises(DataError, match="--run-dir"):
        checkpoint.load_newest(tmp_path)
