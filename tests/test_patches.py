from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model import data
from sr_model.data import Photo, Preparation, augment
from sr_model.data.augment import Warp
from sr_model.data.patches import Patches, to_batch
from sr_model.errors import ConfigError
from sr_model.imaging import images
from sr_model.imaging.resampling import shrink


def ignore(text: str) -> None:
    pass


def load(folder: Path, scale: int = 2, **options: Any) -> list[Photo]:
    files = data.list_files([folder], scale, ignore, ignore)
    return data.load_photos(files, Preparation(scale, 32, **options), ignore)


def test_patches_are_aligned_pairs(photo_folder: Path) -> None:
    """A low patch is where its high patch is, flipped and turned alike: shrunk, the high one is nearly the low one."""
    patches = Patches(load(photo_folder), patch_size=16, scale=2, seed=0)
    for item in range(len(patches)):
        low, high = (to_batch(t[None]) for t in patches[item])
        assert (low.shape, high.shape) == ((1, 3, 16, 16), (1, 3, 32, 32))
        inner = (..., slice(2, -2), slice(2, -2))  # the patch's border was shrunk with its surroundings
        assert (shrink(high, 2) - low)[inner].abs().max() < 0.02


def test_an_epoch_covers_each_photo_s_area_once(photo: Image.Image, tmp_path: Path) -> None:
    """The number of patches of a photo is its area over a patch's, and each item comes up once an epoch."""
    photo.crop((0, 0, 256, 128)).save(tmp_path / "large.png")
    photo.crop((0, 0, 64, 64)).save(tmp_path / "small.png")
    patches = Patches(load(tmp_path), patch_size=16, scale=2, seed=0)
    assert np.bincount(patches.photo_of_item).tolist() == [32, 4]
    assert sorted(patches.order(0)) == list(range(36))


def test_items_depend_on_seed_epoch_and_index_only(photo_folder: Path) -> None:
    """Asking in another order gives the same patches; another epoch or seed gives others."""
    photos = load(photo_folder)
    first, second = Patches(photos, 16, 2, seed=0), Patches(photos, 16, 2, seed=0)
    forward = [first[i][0] for i in range(8)]
    backward = [second[i][0] for i in reversed(range(8))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert first.order(0) != first.order(1)
    second.epoch = 1
    assert any(not torch.equal(first[i][0], second[i][0]) for i in range(8))
    assert any(not torch.equal(first[i][0], Patches(photos, 16, 2, seed=9)[i][0]) for i in range(8))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("names", [("rotation",), ("scale",), ("rotation", "scale", "colour")])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_low_and_high_are_augmented_together(
    photo: Image.Image, names: tuple[str, ...], scale: int, paired: bool
) -> None:
    """However a patch is changed, low shows what high shows: no pixel of a shift, no other angle, no other colour."""
    # Smooth, so that the low resolution loses nothing.
    small = photo.resize((30, 20), Image.Resampling.BICUBIC).resize((150, 100), Image.Resampling.BICUBIC)
    high = np.asarray(small.resize((150 * scale, 100 * scale), Image.Resampling.BICUBIC))
    patches = Patches([Photo("set", high, np.asarray(small), paired)], 24, scale, seed=0, augmentation=names)
    errors, shifted = [], []
    for item in range(12):
        low, high_patch = (to_batch(t[None]) for t in patches[item])
        back = high_patch if scale == 1 else shrink(high_patch, scale)
        inner = slice(3, -3)
        errors.append((back - low)[..., inner, inner].abs().mean().item())
        shifted.append((back.roll(1, -1) - low)[..., inner, inner].abs().mean().item())
    allowed = 0.5 if paired or scale > 1 else 0.7  # at x1 the low resolution is softened up to 4 times
    assert np.mean(errors) < allowed * np.mean(shifted)


def test_augmentation_by_name_changes_patches_and_nothing_is_black(photo: Image.Image) -> None:
    """Each choice has an effect, and no rotation brings in the emptiness beyond a picture's corners."""
    white = Photo("set", np.full((160, 160, 3), 255, np.uint8), np.full((80, 80, 3), 255, np.uint8))
    for name in ("rotation", "scale"):
        patches = Patches([white], 24, 2, seed=0, augmentation=(name,))
        assert all(int(part.min()) == 255 for item in range(len(patches)) for part in patches[item])
    pixels = np.asarray(photo.crop((0, 0, 240, 240)))
    photos = [Photo("set", pixels, images.to_array(shrink(images.to_tensor(pixels), 2)))]
    plain = Patches(photos, 24, 2, seed=0)[0][1]
    for name in augment.CHOICES:
        assert not torch.equal(Patches(photos, 24, 2, seed=0, augmentation=(name,))[0][1], plain)


def test_scale_leaves_half_of_the_patches_as_they_are() -> None:
    """Sharper copies alone would teach nothing of photos at their own size."""
    drawn = [augment.draw_warp(np.random.default_rng(seed), ("scale",)).factor for seed in range(1000)]
    reduced = [factor for factor in drawn if factor != 1]
    assert 450 < len(reduced) < 550
    assert 0.5 <= min(reduced) < 0.51
    assert 0.99 < max(reduced) < 1


def test_a_photo_too_small_to_be_rotated_is_used_as_it_is(photo_folder: Path) -> None:
    """Nothing fails and nothing is left out."""
    low, high = Patches(load(photo_folder), 48, 2, seed=0, augmentation=("rotation", "scale"))[0]
    assert (low.shape, high.shape) == ((48, 48, 3), (96, 96, 3))


def test_a_photo_s_degradation_is_new_for_each_patch_and_epoch(photo_folder: Path, pairs_folder: Path) -> None:
    """Seeded by seed, epoch and item; pairs keep the low resolution they have."""
    photos = load(photo_folder)
    patches = Patches(photos, 24, 2, seed=0, degradation="photo")
    first, again = patches[0], Patches(photos, 24, 2, seed=0, degradation="photo")[0]
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], to_low(first[1]))
    patches.epoch = 1
    assert not torch.equal(first[0], patches[0][0])
    paired = load(pairs_folder)
    plain, photo = (Patches(paired, 24, 2, seed=0, degradation=d)[0] for d in ("bicubic", "photo"))
    assert torch.equal(plain[0], photo[0])


def test_warp_is_described_by_its_numbers() -> None:
    """A square must be larger by the stretch to fill a square upright."""
    assert Warp().is_identity
    assert Warp(angle=45).stretch == pytest.approx(2**0.5)
    assert Warp(angle=90, factor=0.5).stretch == pytest.approx(2)


def test_an_unknown_augmentation_is_refused_by_name() -> None:
    """The message lists what there is."""
    assert augment.parse("rotation, colour") == ("rotation", "colour")
    with pytest.raises(ConfigError, match="no 'cutmix'; choose from: rotation, scale, colour"):
        augment.parse("rotation,cutmix")


def to_low(high: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(images.to_array(shrink(to_batch(high[None]), 2)))
