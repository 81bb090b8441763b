import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_model.data import Photo
from sr_model.data.patches import Patches
from sr_model.errors import ConfigError, DataError
from sr_model.imaging.images import Picture
from sr_model.inference.teacher import Teacher
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.models.weights import Card
from sr_model.networks import Network
from sr_model.training import TrainConfig, train
from sr_model.training.run import find_teacher
from sr_model.training.step import Plan, teacher_share
from tests.conftest import tiny_model
from tests.tiny_run import quiet, same, tiny_config


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """A folder of weights to learn from."""
    weights.save(tiny_model(), "base", tmp_path / "weights", {}, {})
    return tmp_path / "weights"


def _photo(photo: Image.Image, side: int = 64) -> Photo:
    high = np.asarray(photo.crop((40, 40, 40 + side, 40 + side)))
    return Photo("set", high, np.asarray(Image.fromarray(high).resize((side // 2, side // 2))))


def _teacher(model: Network, folder: Path) -> Teacher:
    return Teacher(model, Card("base", 2, {}, 0, sha256="1" * 64), folder, "cpu")


def test_a_picture_is_made_once_and_again_if_damaged(model: Network, photo: Image.Image, tmp_path: Path) -> None:
    """It is the self-ensemble's; a file cut off by a crash is replaced, a whole one is not touched."""
    teacher, one = _teacher(model, tmp_path), _photo(photo)
    said: list[str] = []
    teacher.prepare([one], said.append)
    path = teacher.path(one)
    expected = Upscaler(model, "cpu", quality="max")(Picture(np.array(one.low))).pixels
    assert np.array_equal(np.load(path), expected)
    assert "0.0 GB" in said[-1]
    before = path.stat().st_mtime_ns
    teacher.prepare([one], said.append)
    assert path.stat().st_mtime_ns == before
    assert "0 of 1 were made" in said[-1]
    path.write_bytes(path.read_bytes()[:100])
    teacher.prepare([one], said.append)
    assert np.array_equal(np.load(path), expected)


def test_a_full_disk_has_a_sentence(model: Network, photo: Image.Image, tmp_path: Path) -> None:
    """A folder that cannot be made ends with what to do about it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="--teacher-cache"):
        _teacher(model, tmp_path / "file").prepare([_photo(photo)], lambda text: None)


def test_the_taught_patch_is_where_the_others_are(photo: Image.Image, tmp_path: Path) -> None:
    """Cut, flipped and turned alike: a teacher that knew the truth would give the same patch."""
    one = _photo(photo)
    np.save(tmp_path / "truth.npy", one.high)
    patches = Patches([dataclasses.replace(one, taught=tmp_path / "truth.npy")], 12, 2, seed=0)
    for item in range(len(patches)):
        _, high, taught = patches[item]
        assert high.equal(taught)


def test_changed_patches_are_taught_by_the_truth(photo: Image.Image, tmp_path: Path) -> None:
    """The teacher has not seen what augmentation makes of a photo."""
    one = _photo(photo, 128)
    np.save(tmp_path / "black.npy", np.zeros_like(one.high))
    patches = Patches([dataclasses.replace(one, taught=tmp_path / "black.npy")], 12, 2, 0, augmentation=("scale",))
    equal = [bool(patches[i][1].equal(patches[i][2])) for i in range(len(patches))]
    black = [not patches[i][2].any() for i in range(len(patches))]
    assert any(equal)
    assert any(black)
    assert all(a != b for a, b in zip(equal, black, strict=True))


def test_the_teacher_fades_out() -> None:
    """Half of the loss until four fifths of the run, nothing at its end."""
    plan = Plan(100, 10)
    assert [teacher_share(plan, step) for step in (0, 50, 80, 90, 100)] == pytest.approx([0.5, 0.5, 0.5, 0.25, 0])


@pytest.mark.long
def test_a_run_learns_from_its_teacher(photo_folder: Path, taught: Path, tmp_path: Path) -> None:
    """The weights differ from those of a run without one, and a second run finds the pictures made."""
    config = tiny_config(photo_folder, tmp_path / "alone")
    train(config, quiet())
    with_teacher = dataclasses.replace(
        config, run_dir=str(tmp_path / "taught"), teacher=str(taught), teacher_cache=str(tmp_path / "cache")
    )
    train(with_teacher, quiet())
    (pictures,) = (tmp_path / "cache").iterdir()
    made = {path: path.stat().st_mtime_ns for path in pictures.glob("*.npy")}
    assert len(made) == 3  # one of the four photos is held out
    networks = [weights.load("nano", 2, tmp_path / name)[0].state_dict() for name in ("alone", "taught")]
    assert not same(*networks)
    train(dataclasses.replace(with_teacher, run_dir=str(tmp_path / "again")), quiet())
    assert made == {path: path.stat().st_mtime_ns for path in pictures.glob("*.npy")}
    assert same(networks[1], weights.load("nano", 2, tmp_path / "again")[0].state_dict())


def test_a_teacher_of_another_scale_is_refused(taught: Path) -> None:
    """By name; and so is one for degraded patches, of which it has no pictures."""
    with pytest.raises(ConfigError, match="base-x2 cannot teach a network of scale 4"):
        find_teacher(TrainConfig(preset="nano", scale=4, teacher=str(taught)))
    with pytest.raises(ConfigError, match="--degradation photo"):
        TrainConfig(preset="nano", teacher=str(taught), degradation="photo")
