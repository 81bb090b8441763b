from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model import data, images
from sr_model.data import Patches, Photo
from sr_model.degrade import shrink
from sr_model.errors import DataError


def load(folder: Path, min_side: int = 32, **options: int) -> tuple[list[Photo], list[str]]:
    warnings: list[str] = []
    return data.load_photos(data.list_photos([folder]), 2, min_side, warnings.append, **options), warnings


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
    assert [f.set_name for f in data.list_photos([photo_folder])] == ["photos", "photos", "photos", "more"]


def test_the_split_is_a_partition_and_stable(photo_folder: Path) -> None:
    """Every photo is on exactly one side, the same for the same seed."""
    files = data.list_photos([photo_folder])
    training, validation = data.split(files, 0.25, seed=1)
    assert len(validation) == 1
    assert sorted(f.path for f in training + validation) == [f.path for f in files]
    assert data.split(files, 0.25, seed=1) == (training, validation)
    assert any(data.split(files, 0.25, seed=s)[1] != validation for s in range(2, 12))


def test_patches_are_aligned_pairs(photo_folder: Path) -> None:
    """A low patch is where its high patch is, flipped and turned alike: shrunk, the high one is nearly the low one."""
    patches = Patches(load(photo_folder)[0], patch_size=16, scale=2, seed=0)
    for item in range(len(patches)):
        low, high = (data.to_batch(t[None]) for t in patches[item])
        assert (low.shape, high.shape) == ((1, 3, 16, 16), (1, 3, 32, 32))
        inner = (..., slice(2, -2), slice(2, -2))  # the patch's border was shrunk with its surroundings
        assert (shrink(high, 2) - low)[inner].abs().max() < 0.02


def test_an_epoch_covers_each_photo_s_area_once(photo: Image.Image, tmp_path: Path) -> None:
    """The number of patches of a photo is its area over a patch's, and each item comes up once an epoch."""
    photo.crop((0, 0, 256, 128)).save(tmp_path / "large.png")
    photo.crop((0, 0, 64, 64)).save(tmp_path / "small.png")
    patches = Patches(load(tmp_path)[0], patch_size=16, scale=2, seed=0)
    assert np.bincount(patches.photo_of_item).tolist() == [32, 4]
    assert sorted(patches.order(0)) == list(range(36))


def test_items_depend_on_seed_epoch_and_index_only(photo_folder: Path) -> None:
    """Asking in another order gives the same patches; another epoch or seed gives others."""
    photos, _ = load(photo_folder)
    first, second = Patches(photos, 16, 2, seed=0), Patches(photos, 16, 2, seed=0)
    forward = [first[i][0] for i in range(8)]
    backward = [second[i][0] for i in reversed(range(8))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert first.order(0) != first.order(1)
    second.epoch = 1
    assert any(not torch.equal(first[i][0], second[i][0]) for i in range(8))
    assert any(not torch.equal(first[i][0], Patches(photos, 16, 2, seed=9)[i][0]) for i in range(8))


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
        data.list_photos([folder])


def test_photos_smaller_than_a_patch_say_what_to_do(photo_folder: Path) -> None:
    """The sizes needed and found are named, and the option that mends it."""
    with pytest.raises(DataError, match=r"100x100.*120x96.*--patch-size"):
        load(photo_folder, min_side=100)


def test_one_photo_cannot_be_split(photo_folder: Path) -> None:
    """Validating on what is trained on would belie the figures."""
    with pytest.raises(DataError, match="--val-data"):
        data.split(data.list_photos([photo_folder])[:1], 0.1, 0)


def test_validation_keeps_the_centre(photo_folder: Path) -> None:
    """Of large validation pictures only the central part is measured."""
    photos, _ = load(photo_folder, side=64)
    assert {p.high.shape for p in photos} == {(64, 64, 3)}
