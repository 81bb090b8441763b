import pytest
import torch

from sr_model.imaging.resampling import bicubic, bicubic_times, enlarge
from sr_model.networks import build, presets
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.networks.base import SCALES, BicubicPlus
from tests.conftest import tiny_model


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 7), (2, 3), (17, 16), (31, 33)])
def test_any_size_is_enlarged_by_the_scale(scale: int, h: int, w: int) -> None:
    """The output is scale times larger on each side, from one pixel up and for odd sizes."""
    y = tiny_model(scale)(torch.rand(2, 3, h, w))
    assert y.shape == (2, 3, scale * h, scale * w)


@pytest.mark.parametrize("preset", ["nano", "large"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("h", "w"), [(1, 1), (2, 3), (17, 16)])
def test_the_sum_in_one_pass_is_bicubic_plus_the_shuffled_detail(preset: str, scale: int, h: int, w: int) -> None:
    """What is differentiated is put together by a pixel shuffle, everything else on a CPU by a faster sum."""
    network = build(presets.config(preset, scale))
    assert isinstance(network, BicubicPlus)
    x = torch.rand(2, 3, h, w)
    y = torch.rand(2, 3 * scale**2, h + h % 2, w + w % 2)
    enlarged = bicubic_times(x, scale)
    expected = enlarged + network.detail(y, x)
    assert torch.equal(network.train().finish(y, x, enlarged), expected)
    assert torch.equal(network.finish(y.requires_grad_(), x, enlarged), expected)


@pytest.mark.parametrize("preset", ["nano", "large"])
@pytest.mark.parametrize("scale", SCALES)
def test_an_untrained_network_is_nearly_bicubic(preset: str, scale: int) -> None:
    """Training begins at bicubic, so that the network learns only what bicubic misses."""
    x = torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(0))
    y = build(presets.config(preset, scale))(x)
    difference = (y.clamp(0, 1) - enlarge(x, scale)).abs().mean().item()
    assert difference < 0.02


def test_the_same_seed_gives_the_same_network_and_leaves_the_global_random_state() -> None:
    """build() is a function of config and seed alone."""
    config = presets.config("nano", 2)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second, other = (build(config, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["encoder.stem.weight"], other["encoder.stem.weight"])


def test_bicubic_keeps_a_constant_and_a_ramp() -> None:
    """Bicubic interpolation is exact for constants, and for linear ramps away from the border."""
    x = torch.linspace(0, 1, 16, dtype=torch.float64).expand(1, 1, 16, 16)
    y = bicubic(x, (32, 32))
    steps = y[0, 0, 0, 8:24].diff()
    assert torch.allclose(steps, steps[0].expand_as(steps), atol=1e-12)
    assert torch.allclose(bicubic(torch.full((1, 1, 5, 5), 0.25), (15, 15)), torch.tensor(0.25))


def test_a_wrong_scale_is_refused() -> None:
    """The message names the scales that exist."""
    with pytest.raises(ValueError, match="1, 2, 3, 4"):
        AutoencoderConfig(5, 8, 8, 1, 1, 1)
