import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_model.degrading import degradations
from sr_model.degrading.degradation_steps import FILTERS, Blur, Jpeg, Noise, Resize
from sr_model.degrading.degradations import draw, photo
from sr_model.imaging import images
from sr_model.imaging.resampling import crop_to_multiple, shrink, to_8bit
from sr_model.networks.base import SCALES

SEEDS = range(40)
DARK = 0.2


@pytest.fixture
def high(photo: Image.Image) -> Tensor:
    return images.to_tensor(np.asarray(photo)[60:180, 140:260])  # (1, 3, 120, 120), the cat's face


def degraded(high: Tensor, scale: int, seed: int) -> Tensor:
    return photo(high, scale, np.random.default_rng(seed))


@pytest.mark.parametrize("scale", SCALES)
def test_a_seed_decides_the_result(high: Tensor, scale: int) -> None:
    """The same seed gives the same bits, whatever the memory layout, and other seeds give other pictures."""
    results = [degraded(high, scale, seed) for seed in SEEDS]
    assert all(torch.equal(result, degraded(high.contiguous(), scale, i)) for i, result in enumerate(results))
    assert len({result.numpy().tobytes() for result in results}) > 0.9 * len(results)


@pytest.mark.long
def test_the_number_of_threads_changes_nothing(high: Tensor) -> None:
    """A data loader's single thread and the trainer's many give the same bits."""
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append([degraded(high, 2, seed) for seed in SEEDS])
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_global_random_states_are_left_alone(high: Tensor) -> None:
    """All randomness comes from the generator that is handed over."""
    before = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    for seed in SEEDS:
        degraded(high, 2, seed)
    assert random.getstate() == before[0]
    assert str(np.random.get_state()) == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (37, 23)])
def test_results_are_low_resolution_pictures_of_8_bits(scale: int, size: tuple[int, int]) -> None:
    """Every draw gives exactly the wanted size, from one pixel on, and levels that a file can hold."""
    x = torch.rand(1, 3, size[0] * scale, size[1] * scale)
    for seed in SEEDS:
        low = degraded(x, scale, seed)
        assert low.shape == (1, 3, *size)
        assert torch.equal(low, images.to_tensor(images.to_array(low)))


def test_the_argument_is_not_changed(high: Tensor) -> None:
    """The picture that is handed over stays as it was, at scale 1 too."""
    before = high.clone()
    for seed in SEEDS:
        degraded(high, 1, seed)
    assert torch.equal(high, before)


@pytest.mark.parametrize("scale", SCALES)
def test_mean_colour_is_kept(high: Tensor, scale: int) -> None:
    """No operation brightens, darkens or tints a photo by more than three of 255 levels."""
    mean = high.mean((0, 2, 3))
    for seed in SEEDS:
        difference = degraded(high, scale, seed).mean((0, 2, 3)) - mean
        assert difference.abs().max() < 3 / 255, seed


@pytest.mark.parametrize("scale", SCALES)
def test_nothing_is_shifted(scale: int) -> None:
    """A bright disc stays where it is within a quarter of a low-resolution pixel, and on average much closer."""
    h, w = 21 * scale, 18 * scale
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    disc = (x - 0.53 * w) ** 2 + (y - 0.46 * h) ** 2 < (6 * scale) ** 2
    scene = (DARK + 0.6 * disc).expand(1, 3, h, w)
    shifts = np.array([centroid(degraded(scene, scale, seed)) - centroid(scene) / scale for seed in SEEDS])
    assert np.abs(shifts).max() < 0.25
    assert np.abs(shifts.mean(0)).max() < 0.05


def centroid(x: Tensor) -> np.ndarray:
    """(x, y) of what is brighter than DARK, in pixels."""
    light = x[0].mean(0).double().numpy() - DARK
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    return np.array(((light * columns).sum(), (light * rows).sum())) / light.sum()


@pytest.mark.parametrize("name", FILTERS)
def test_resizing_knows_no_left_and_right(high: Tensor, name: str) -> None:
    """Resizing a mirrored picture mirrors the result, which a shift would not, for sizes of any ratio."""
    for size in ((51, 97), (83, 120), (140, 131)):
        resize = Resize(size, name)
        assert resize(high).shape[-2:] == size
        assert torch.allclose(resize(high.flip(-1, -2)), resize(high).flip(-1, -2), atol=1e-5)


def test_area_is_the_mean_of_what_is_covered(high: Tensor) -> None:
    """For whole ratios area is a mean of blocks; for all it keeps the mean of the picture."""
    blocks = torch.nn.functional.avg_pool2d(high, (3, 2))
    assert torch.allclose(Resize((40, 60), "area")(high), blocks, atol=1e-6)
    assert torch.allclose(Resize((47, 71), "area")(high).mean(), high.mean(), atol=1e-6)


def test_blur_has_the_deviations_and_the_angle_that_it_names() -> None:
    """The second moments of a blurred dot are the covariance of the Gaussian, and its centre stays."""
    dot = torch.zeros(1, 3, 41, 41)
    dot[..., 20, 20] = 1
    weights = Blur(2.5, 1.2, np.pi / 6)(dot)[0, 0].double().numpy()
    y, x = np.mgrid[-20:21, -20:21]
    turn = np.array(((np.cos(np.pi / 6), -np.sin(np.pi / 6)), (np.sin(np.pi / 6), np.cos(np.pi / 6))))
    expected = turn @ np.diag((2.5**2, 1.2**2)) @ turn.T
    moments = [(weights * a * b).sum() for a, b in ((x, x), (x, y), (y, y), (x, 1), (y, 1), (1, 1))]
    assert moments == pytest.approx([expected[0, 0], expected[0, 1], expected[1, 1], 0, 0, 1], abs=0.02)


def test_noise_has_the_deviations_that_it_names() -> None:
    """Shot noise is even over the tones and read noise grows in the shadows; grey noise is the same in all channels."""
    for value, shot, read, expected in ((0.5, 5, 0, 5), (0.2, 5, 0, 5), (0.5, 0, 0.01, 2.55), (0.25, 0, 0.01, 5.1)):
        x = torch.full((1, 3, 100, 100), value)
        for grey in (True, False):
            noise = 255 * (Noise(shot, read, grey, seed=1)(x) - x)
            assert noise.std() == pytest.approx(expected, rel=0.05)
            assert torch.equal(noise[:, 0], noise[:, 1]) == grey


def test_no_strength_is_no_change(high: Tensor) -> None:
    """A blur of no width and noise of no level leave the picture as it is."""
    assert torch.equal(to_8bit(Blur(0, 0, 0)(high)), high)
    assert torch.equal(to_8bit(Noise(0, 0, False, seed=0)(high)), high)


def test_jpeg_keeps_more_at_higher_quality(high: Tensor) -> None:
    """The error falls with the quality, and with colour at full resolution."""
    errors = [(Jpeg(*step)(high) - high).square().mean() for step in ((45, True), (80, True), (95, True), (95, False))]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("scale", SCALES)
def test_with_everything_left_out_it_is_the_plain_shrink(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch, scale: int
) -> None:
    """A picture that no operation happens to is the field's standard low resolution, bit for bit."""
    for name in ("BLUR_SHARE", "DETOUR_SHARE", "NOISE_SHARE", "JPEG_SHARE", "SAVED_SHARE"):
        monkeypatch.setattr(degradations, name, 0.0)
    whole = crop_to_multiple(images.to_tensor(np.asarray(photo)), scale).contiguous()
    assert torch.equal(degraded(whole, scale, 0), shrink(whole, scale))


@pytest.mark.parametrize("scale", SCALES)
def test_draws_cover_what_is_documented_and_no_more(scale: int) -> None:
    """All kinds of steps, orders and clean pictures occur, strengths stay in their ranges, the last size is the low."""
    recipes = [draw(60 * scale, 48 * scale, scale, np.random.default_rng(seed)) for seed in range(400)]
    clean = [steps for steps in recipes if len(steps) == (scale > 1)]
    assert 0.01 < len(clean) / len(recipes) < 0.06
    steps = [step for recipe in recipes for step in recipe]
    assert {type(step) for step in steps} == {Blur, Resize, Noise, Jpeg}
    assert len({tuple(type(step) for step in recipe) for recipe in recipes}) > 80
    assert {step.filter for step in steps if isinstance(step, Resize)} == set(FILTERS)
    qualities = [step.quality for step in steps if isinstance(step, Jpeg)]
    assert (min(qualities), max(qualities)) == degradations.JPEG_QUALITY
    for recipe in recipes:
        sizes = [step.size for step in recipe if isinstance(step, Resize)]
        assert not sizes or sizes[-1] == (60, 48)
        sigmas = [step.sigma_a for step in recipe if isinstance(step, Blur)]
        assert all(0.3 * degradations.BLUR_SIGMA[0] < s < scale * degradations.BLUR_SIGMA[1] for s in sigmas)


def test_the_table_names_the_ranges() -> None:
    """The ranges in the module's docstring are those of the constants."""
    p = degradations
    for line, share, texts in (
        ("blur", p.BLUR_SHARE, ["{} to {}".format(*p.BLUR_SIGMA)]),
        ("resizing on a detour", p.DETOUR_SHARE, [f"{p.DETOUR_LEAST} low sides", f"1: {p.DETOUR_LEAST_AT_SCALE_1}"]),
        ("sensor noise", p.NOISE_SHARE, ["{:g} to {:g} levels".format(*p.SHOT_NOISE), f"to {p.READ_NOISE[1]} of"]),
        ("JPEG", p.JPEG_SHARE, ["{} to {}".format(*p.JPEG_QUALITY)]),
        ("JPEG once more", p.SAVED_SHARE, []),
    ):
        found = next(text for text in (p.__doc__ or "").splitlines() if text.startswith(f"| {line} | {share} |"))
        assert all(text in found for text in texts), found


def test_a_size_that_the_scale_does_not_divide_is_refused() -> None:
    """Resizing 17 pixels to 8 would shift the picture by a fraction."""
    with pytest.raises(ValueError, match="not a multiple of 2"):
        degraded(torch.rand(1, 3, 17, 16), 2, 0)
