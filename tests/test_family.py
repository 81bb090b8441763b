import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recipes.family import __main__ as family
from recipes.family import making
from recipes.family.photos import planes
from recipes.family.pixels import CleanCuts, Plane, cut, unpack
from recipes.family.steps import CLIP, Optimizer, Trainer
from sr_model.data.augment import turn
from sr_model.imaging import images
from sr_model.imaging.resampling import enlarge
from sr_model.models import weights
from sr_model.training import optimizers
from tests.conftest import EXAMPLES, tiny_model

CPU = torch.device("cpu")


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((40, 24), (31, 52))]


def test_patches_are_those_of_the_pictures() -> None:
    """All eight ways to lie are the eight symmetries of a square, of the picture and place that were drawn."""
    found = pictures()
    plane = Plane.of([torch.from_numpy(p) for p in found])
    start = plane.offset[1] + 5 * plane.width[1] + 7
    patches = cut(plane.pixels, start.repeat(8), plane.width[1].repeat(8), torch.arange(8), 16)
    square = found[1][5:21, 7:23]
    expected = {turn(square, turns, mirrored).tobytes() for turns in range(4) for mirrored in (False, True)}
    assert {images.to_array(patch[None]).tobytes() for patch in unpack(patches)} == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_low_and_high_are_of_one_place(scale: int) -> None:
    """A low patch is what its high patch shrinks to, but for the border, which sees beyond it."""
    noise = torch.rand((1, 3, 30, 40), generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(noise, (150, 201), mode="bicubic").clamp(0, 1)
    high, low = planes([images.to_array(smooth)], [scale], CPU)
    cuts = CleanCuts(high, low[scale], scale, 12)
    lows, highs = cuts.batch(cuts.draw(64))
    again = F.interpolate(highs, (12, 12), mode="bicubic", antialias=True).clamp(0, 1)
    inner = (..., slice(3, -3), slice(3, -3))
    assert (again - lows)[inner].abs().max() < 2.5 / 255
    assert (again - lows.flip(-1))[inner].abs().max() > 0.1


def test_steps_are_those_of_train_py() -> None:
    """Muon for the inner kernels and Adam for the rest, with clipped gradients, over steps."""
    ours, theirs = (tiny_model().to(memory_format=torch.channels_last) for _ in range(2))
    optimizer = Optimizer(ours, torch.tensor(1e-3))
    reference = optimizers.build(theirs, "muon", 1e-3)
    before = [p.detach().clone() for p in ours.parameters()]
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.grad = torch.empty_like(a).copy_(
                torch.randn(a.shape, generator=generator)
            )  # as the weight lies in memory
            b.grad = a.grad.clone()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), CLIP)
        optimizer.step()
        for other in reference.values():
            other.step()
    for a, b, start in zip(ours.parameters(), theirs.parameters(), before, strict=True):
        assert (b - start).norm() > 0
        assert (a - b).norm() < 0.02 * (b - start).norm()  # bfloat16's rounding may differ


def test_a_network_learns() -> None:
    """A hundred steps make it better than bicubic on the picture that it sees."""
    photo = images.load(EXAMPLES / "chelsea.png").pixels[:192, :192]
    high, low = planes([photo], [2], CPU)
    network = tiny_model()
    for parameter in network.get_submodule("decoder.tail").parameters():
        torch.nn.init.zeros_(parameter)
    trainer = Trainer(network, CleanCuts(high, low[2], 2, 24), 4, 2e-3, {"l1": 0.3, "luma": 1.0}, last=True)
    trainer.prepare()
    for step in range(100):
        trainer.step(step / 100)
    truth = images.to_tensor(photo)
    small = F.interpolate(truth, scale_factor=0.5, mode="bicubic", antialias=True)
    with torch.inference_mode():
        result = trainer.finish()(small)
    assert F.mse_loss(result, truth) < F.mse_loss(enlarge(small, 2), truth)


@pytest.mark.slow
def test_the_whole_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each network is a folder that the other commands take."""
    monkeypatch.setattr(family, "PRESETS", {"nano": 1.0, "photo": 1.0})
    monkeypatch.setattr(family, "BATCH", 1)
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(EXAMPLES / "chelsea.png", photos)
    family.train_family([str(photos)], str(photos), tmp_path / "out", 30.0, 4)
    names = {folder.name: weights.described(folder) for folder in (tmp_path / "out").iterdir()}
    clean = {f"{preset}-x{scale}": [(preset, scale)] for preset in ("nano", "photo") for scale in (2, 3, 4)}
    repairs = {f"photo-{kind}-x{scale}": [("photo", scale)] for kind in making.KINDS for scale in (1, 2, 3, 4)}
    assert names == clean | repairs
