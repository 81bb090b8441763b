import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_model.degrading.degradation_steps import Blur, Jpeg, Noise, Resize, WebP
from sr_model.degrading.degradations import make_low
from sr_model.degrading.uploads import KERNELS, RANGES, draw
from sr_model.imaging import images
from sr_model.imaging.resampling import shrink
from sr_model.networks.base import SCALES


@pytest.fixture
def high(photo: Image.Image) -> Tensor:
    return images.to_tensor(np.asarray(photo)[60:180, 140:260]).contiguous()  # (1, 3, 120, 120), the cat's face


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_seed_decides_the_result(high: Tensor, name: str, scale: int) -> None:
    """The same seed gives the same bits, others give others, and all are 8-bit pictures of the low size."""
    results = [make_low(high, scale, name, np.random.default_rng(seed)) for seed in range(20)]
    for seed, result in enumerate(results):
        assert torch.equal(result, make_low(high, scale, name, np.random.default_rng(seed)))
        assert result.shape == (1, 3, 120 // scale, 120 // scale)
        assert torch.equal(result, images.to_tensor(images.to_array(result)))
    assert len({result.numpy().tobytes() for result in results}) > 10


@pytest.mark.parametrize("name", RANGES)
def test_draws_stay_in_their_ranges(name: str) -> None:
    """Every kind of step occurs, in the web's order, and no strength lies outside of what the range says."""
    limits = RANGES[name]
    recipes = [draw(96, 128, 2, limits, np.random.default_rng(seed)) for seed in range(600)]
    order = [Resize, Blur, Noise, Jpeg, WebP]
    for recipe in recipes:
        places = [min(order.index(type(step)), order.index(Jpeg)) for step in recipe]
        assert places == sorted(places)
        assert isinstance(recipe[0], Resize)
        assert recipe[0].size == (48, 64)
        noisy = any(isinstance(step, Noise) for step in recipe)
        for step in recipe[1:]:
            if isinstance(step, Blur):
                assert limits.sigma[0] <= step.sigma_a <= limits.sigma[1]
            elif isinstance(step, Noise):
                assert limits.deviation[0] <= step.shot <= limits.deviation[1]
        if len(recipe) > 1:
            last = recipe[-1]
            assert isinstance(last, Jpeg | WebP)
            least, most = limits.noisy_quality if noisy else limits.quality
            assert least <= last.quality <= most
    steps = [step for recipe in recipes for step in recipe]
    assert {type(step) for step in steps} == {*order}
    assert {step.filter for step in steps if isinstance(step, Resize)} == {*KERNELS}
    assert {step.halved for step in steps if isinstance(step, Jpeg)} == {True, False}
    clean = sum(len(recipe) == 1 for recipe in recipes) / len(recipes)
    assert clean == pytest.approx(limits.clean, abs=0.05)


def test_most_draws_are_mild() -> None:
    """More than half of the files lie in the better half of the qualities."""
    limits = RANGES["heavy"]
    last = [draw(64, 64, 1, limits, np.random.default_rng(seed))[-1:] for seed in range(600)]
    qualities = [step.quality for recipe in last for step in recipe if isinstance(step, Jpeg | WebP)]
    assert np.mean(np.array(qualities) > 55) > 0.55


def test_a_clean_draw_is_the_plain_shrink(high: Tensor) -> None:
    """Some pictures are the field's standard low resolution, bit for bit; at scale 1 they are as they were."""
    recipes = [(seed, draw(120, 120, 4, RANGES["light"], np.random.default_rng(seed))) for seed in range(40)]
    clean = [seed for seed, recipe in recipes if recipe == [Resize((30, 30), "bicubic")]]
    assert clean
    for seed in clean:
        assert torch.equal(make_low(high, 4, "light", np.random.default_rng(seed)), shrink(high, 4))
        assert torch.equal(make_low(high, 1, "light", np.random.default_rng(seed)), high)


def test_a_jpeg_is_what_pillow_writes(high: Tensor) -> None:
    """Without a shift the pixels are those of a file of that quality, read again."""
    file = io.BytesIO()
    Image.fromarray(images.to_array(high)).save(file, "JPEG", quality=50, subsampling="4:2:0")
    assert torch.equal(Jpeg(50, True)(high), images.to_tensor(np.asarray(Image.open(file))))


@pytest.mark.parametrize("step", [Jpeg(20, False, (3, 5)), Jpeg(20, False), Jpeg(20, False, (0, 1))])
def test_blocks_begin_where_the_shift_says(high: Tensor, step: Jpeg) -> None:
    """Steps between pixels are largest at the edges of blocks of 8, which the shift moves up and to the left."""
    x = step(high)[0, 1]
    rows, columns = (x.diff(dim=d).abs().mean(1 - d).numpy() for d in (0, 1))
    for steps, shift in ((rows, step.shift[0]), (columns, step.shift[1])):
        by_phase = [steps[phase::8].mean() for phase in range(8)]
        assert int(np.argmax(by_phase)) == (7 - shift) % 8


def test_lanczos_is_pillow_s(high: Tensor) -> None:
    """And keeps the mean."""
    small = Resize((30, 40), "lanczos")(high)
    assert small.shape == (1, 3, 30, 40)
    assert abs(float(small.mean() - high.mean())) < 0.01


def test_a_size_that_the_scale_does_not_divide_is_refused() -> None:
    """As everywhere."""
    with pytest.raises(ValueError, match="not a multiple of 2"):
        draw(17, 16, 2, RANGES["light"], np.random.default_rng(0))
