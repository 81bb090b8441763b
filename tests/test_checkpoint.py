import os
from pathlib import Path

import pytest
import torch

from sr_model.errors import DataError
from sr_model.system.files import write_atomically
from sr_model.training import checkpoint


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


@pytest.mark.parametrize("step", [1, 2])
def test_a_write_that_fails_makes_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Killed after its first write, a save leaves what was the newest, also where it is that one's step again."""
    save(tmp_path, 1)

    def only_checksums(path: Path, data: bytes) -> None:
        if path.suffix != ".sha256":
            raise OSError(28, "No space left on device")
        write_atomically(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomically", only_checksums)
        with pytest.raises(OSError, match="No space"):
            checkpoint.save(tmp_path, step, {"x": torch.zeros(3)}, {"step": step})
    tensors, meta, complaints = checkpoint.load_newest(tmp_path)
    assert (tensors["x"].tolist(), meta["step"], complaints) == ([1] * 3, 1, [])
    checkpoint.save(tmp_path, step, {"x": torch.zeros(3)}, {"step": step})
    assert checkpoint.load_newest(tmp_path)[0]["x"].tolist() == [0] * 3


def test_a_save_reaches_the_disk_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is on the disk whole before it gets its name, the name is before the next step; old ones go last."""
    for step in (1, 2):
        save(tmp_path, step)
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink
    events: list[tuple[str, str | int]] = []
    sizes: dict[int, int] = {}

    def synced(descriptor: int) -> None:
        status = os.fstat(descriptor)
        events.append(("on the disk", status.st_ino))
        sizes[status.st_ino] = status.st_size
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        assert source.parent == target.parent, "a rename between disks is a copy"
        events.append(("named", target.name))
        replace(source, target)

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            events.append(("deleted", path.name))
        unlink(path, missing_ok)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(Path, "unlink", unlinked)
    path = save(tmp_path, 3)
    checksum, folder = path.with_suffix(".sha256"), ("on the disk", tmp_path.stat().st_ino)
    written = [[("on the disk", file.stat().st_ino), ("named", file.name), folder] for file in (checksum, path)]
    old = [("deleted", f"step-00000001.{ending}") for ending in ("safetensors", "sha256")]
    assert events == [*written[0], *written[1], *old]
    assert all(sizes[file.stat().st_ino] == file.stat().st_size for file in (checksum, path))


def test_nothing_whole_says_so(tmp_path: Path) -> None:
    """Where there is no checkpoint the error says what to do."""
    with pytest.raises(DataError, match="--run-dir"):
        checkpoint.load_newest(tmp_path)
