from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_model import data
from sr_model.data import ListedFile, Photo, Preparation, named_sets
from sr_model.errors import DataError
from sr_model.imaging import images
from sr_model.imaging.resampling import shrink


def load(folder: Path, min_side: int = 32, **options: Any) -> tuple[list[Photo], list[str]]:
    warnings: list[str] = []
    return data.load_photos(listed(folder), Preparation(2, min_side, **options), warnings.append), warnings


def listed(*sources: Path, scale: int = 2) -> list[ListedFile]:
    return data.list_files(sources, scale, ignore, ignore)


def ignore(text: str) -> None:
    pass


def test_low_resolution_is_the_whole_photo_shrunk(photo_folder: Path) -> None:
    """Each photo is decoded as it is, cut to a multiple of the scale, and its low resolution is the standard one."""
    photos, warnings = load(photo_folder)
    assert len(photos) == 4
    assert not warnings
    for photo in photos:
        assert photo.high.shape == (96, 120, 3)
        assert np.array_equal(photo.low, images.to_array(shrink(images.to_tensor(photo.high), 2)))


def test_sets_are_named_after_folders(photo_folder: Path) -> None:
    """The model card says which folder a photo came from, not where that lies on somebody's machine."""
    assert [f.set_name for f in listed(photo_folder)] == ["photos", "photos", "photos", "more"]


def test_the_split_is_a_partition_and_stable(photo_folder: Path) -> None:
    """Every photo is on exactly one side, the same for the same seed."""
    files = listed(photo_folder)
    training, validation = data.split(files, 0.25, seed=1)
    assert len(validation) == 1
    assert sorted(f.path for f in training + validation) == sorted(f.path for f in files)
    assert data.split(files, 0.25, seed=1) == (training, validation)
    assert any(data.split(files, 0.25, seed=s)[1] != validation for s in range(2, 12))


def test_small_and_broken_pictures_are_named(photo_folder: Path, photo: Image.Image) -> None:
    """What cannot be used is left out by name, the rest is used."""
    photo.crop((0, 0, 20, 90)).save(photo_folder / "narrow.png")
    (photo_folder / "broken.png").write_bytes(b"\x89PNG nothing")
    photos, warnings = load(photo_folder)
    assert len(photos) == 4
    assert [w.split()[0] for w in warnings] == ["broken.png", "narrow.png"]
    assert "20x90" in warnings[1]


def test_too_many_broken_pictures_stop_the_run(photo_folder: Path) -> None:
    """Above 1 % (and more than one) something is wrong with the data, and the run does not start."""
    for name in ("x.png", "y.png"):
        (photo_folder / name).write_bytes(b"")
    with pytest.raises(DataError, match="2 of 6 pictures cannot be read"):
        load(photo_folder)


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_photos_says_what_to_do(tmp_path: Path, make: bool) -> None:
    """Missing and empty folders are told apart."""
    folder = tmp_path / "photos"
    if make:
        folder.mkdir()
    with pytest.raises(DataError, match="Put photos there" if make else "There is no folder"):
        listed(folder)


def test_photos_smaller_than_a_patch_say_what_to_do(photo_folder: Path) -> None:
    """The sizes needed and found are named, and the option that mends it."""
    with pytest.raises(DataError, match=r"100x100.*120x96.*--patch-size"):
        load(photo_folder, min_side=100)


def test_one_photo_cannot_be_split(photo_folder: Path) -> None:
    """Validating on what is trained on would belie the figures."""
    with pytest.raises(DataError, match="--val-data"):
        data.split(listed(photo_folder)[:1], 0.1, 0)


def test_validation_keeps_the_centre(photo_folder: Path) -> None:
    """Of large validation pictures only the central part is measured."""
    photos, _ = load(photo_folder, side=64)
    assert {p.high.shape for p in photos} == {(64, 64, 3)}


def test_the_split_does_not_depend_on_where_photos_lie_nor_much_on_others(photo: Image.Image, tmp_path: Path) -> None:
    """Moved, the same photos are held out; one more photo changes one other at most."""
    held_out = []
    for place, count in (("here", 20), ("there", 20), ("more", 21)):
        folder = tmp_path / place / "photos"
        folder.mkdir(parents=True)
        for i in range(count):
            photo.crop((i, 0, i + 8, 8)).save(folder / f"{i}.png")
        held_out.append({f.path.name for f in data.split(listed(folder), 0.2, seed=0)[1]})
    assert held_out[0] == held_out[1]
    assert len(held_out[0] - held_out[2]) <= 1


def test_all_pairs_of_a_picture_are_on_one_side(photo: Image.Image, tmp_path: Path) -> None:
    """Validating on a picture whose other copy was trained on would belie the figures."""
    files = [ListedFile(tmp_path / f"{i}.png", "set", tmp_path / f"{i}_{j}.png") for i in range(10) for j in (2, 4)]
    training, validation = data.split(files, 0.3, seed=0)
    assert len(validation) == 6
    assert not {f.path for f in training} & {f.path for f in validation}


def test_whole_pictures_can_be_resized_to_a_patch(photo_folder: Path) -> None:
    """As the first ancestor did: each picture becomes one square, whatever its shape."""
    photos, warnings = load(photo_folder, min_side=500, resize=32)
    assert {(p.high.shape, p.low.shape) for p in photos} == {((32, 32, 3), (16, 16, 3))}
    assert not warnings


def test_a_degradation_is_the_same_for_a_photo_whatever_the_others(photo_folder: Path) -> None:
    """Its random numbers come from its name, so that validation stays comparable when photos are added."""
    before, _ = load(photo_folder, degradation="photo")
    (photo_folder / "a.png").unlink()
    after, _ = load(photo_folder, degradation="photo")
    assert all(np.array_equal(x.low, y.low) for x, y in zip(before[1:], after, strict=True))
    plain, _ = load(photo_folder)
    assert any(not np.array_equal(x.low, y.low) for x, y in zip(plain, after, strict=True))


def test_sources_of_all_kinds_are_listed_together(photo_folder: Path, pairs_folder: Path) -> None:
    """Folders, a CSV, and a folder that holds one; pairs keep their own low resolution."""
    for source in (pairs_folder, pairs_folder / "image_data.csv"):
        files = listed(photo_folder, source)
        assert [f.low is not None for f in files] == [False] * 4 + [True] * 6
        photos = data.load_photos(files, Preparation(2, 32), ignore)
        for photo in photos:
            made = images.to_array(shrink(images.to_tensor(photo.high), 2))
            assert photo.paired != np.array_equal(photo.low, made)


def test_the_name_of_a_public_set_is_a_source(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `fetch` brings is listed under the set's name."""
    monkeypatch.setattr(named_sets, "fetch", lambda name, say: photo_folder)
    assert {f.set_name for f in listed(Path("div2k"))} == {"div2k"}
