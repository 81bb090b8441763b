import dataclasses

import pytest
import torch
from torch.nn import functional as F

from sr_model.errors import ConfigError
from sr_model.imaging.resampling import bicubic
from sr_model.imaging.tiles import tiled
from sr_model.networks import Config, build, presets
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.networks.base import SCALES
from sr_model.networks.layers import parameter_count
from sr_model.networks.plain import PlainConfig
from sr_model.networks.tutorials import ClassicConfig, KerasConfig
from tests.conftest import randomised

SMALL = [
    AutoencoderConfig(2, width=8, latent_width=8, encoder_blocks=1, latent_blocks=1, decoder_blocks=1),
    PlainConfig(2, width=8, latent_width=12, encoder_layers=2, latent_layers=1, decoder_layers=1),
    ClassicConfig(width=8, latent_width=8),
    ClassicConfig(width=8, latent_width=8, skips=True, residual_blocks=1),
    KerasConfig(width=8),
]


@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 6), (5, 3), (17, 16)])
def test_any_size_is_enlarged_by_the_scale(config: Config, scale: int, h: int, w: int) -> None:
    """The ancestors too, which pool, take every size from one pixel up."""
    network = build(dataclasses.replace(config, scale=scale))
    assert network(torch.rand(2, 3, h, w)).shape == (2, 3, scale * h, scale * w)


@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("scale", SCALES)
def test_receptive_field_is_what_one_pixel_changes(config: Config, scale: int) -> None:
    """A changed pixel changes nothing farther than the stated receptive field, and reaches just as far.

    Where the second ancestor's pooled grid and bicubic's meet, it may be 2 less.
    """
    network = randomised(dataclasses.replace(config, scale=scale)).double()
    radius = network.receptive_field
    size = -(-4 * radius // network.stride) * network.stride
    x = torch.rand(1, 3, size, size, dtype=torch.float64)
    reach = 0
    for offset in range(network.stride):  # each position on the stride's grid
        centre = size // 2 // network.stride * network.stride + offset
        changed = x.clone()
        changed[..., centre, centre] += 1
        rows = (network(changed) - network(x)).abs().sum(dim=(0, 1, 3)).nonzero().flatten() // scale
        reach = max(reach, int((rows - centre).abs().max()))
    assert radius - (2 if isinstance(config, KerasConfig) else 0) <= reach <= radius


@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("scale", SCALES)
def test_tiles_put_together_are_the_whole(config: Config, scale: int) -> None:
    """Cut with a margin of the receptive field on the stride's grid, every network is exact, odd sizes included."""
    network = randomised(dataclasses.replace(config, scale=scale)).double()
    x = torch.rand(1, 3, 45, 51, dtype=torch.float64)
    whole = network(x)
    for region, part, _ in tiled(network, x, 16, network.receptive_field, network.stride):
        assert (part - (region * scale).of(whole)).abs().max() < 1e-10


def test_the_first_ancestor_is_layer_for_layer_what_it_was() -> None:
    """conv 32, pool, conv 64, pool; conv 64, up, conv 32, up, conv 3, sigmoid: written out, it gives the same."""
    network = build(presets.config("classic", 1))
    assert parameter_count(network) == 896 + 18_496 + 36_928 + 18_464 + 867
    x = torch.rand(1, 3, 128, 128)
    c = {name.removesuffix(".weight"): p for name, p in network.named_parameters() if name.endswith("weight")}
    y = x
    for name, step in (("encoder1", "pool"), ("encoder2", "pool"), ("decoder1", "up"), ("decoder2", "up")):
        y = F.relu(F.conv2d(y, c[name], padding=1))
        y = F.max_pool2d(y, 2) if step == "pool" else y.repeat_interleave(2, 2).repeat_interleave(2, 3)
        if name == "encoder2":
            assert y.shape == (1, 64, 32, 32)
            assert torch.equal(y, network.latent(x))
    assert torch.allclose(network(x), torch.sigmoid(F.conv2d(y, c["tail"], padding=1)), atol=1e-6)


@pytest.mark.long
def test_the_second_ancestor_is_what_it_was() -> None:
    """Bicubic to 256x256, latent 64x64x256, the layers and skips of its tutorial, 1.1 million parameters."""
    network = build(presets.config("keras", 2))
    counts = [
        (3, 64),
        (64, 64),
        (64, 128),
        (128, 128),
        (128, 256),
        (256, 128),
        (128, 128),
        (128, 64),
        (64, 64),
        (64, 3),
    ]
    assert parameter_count(network) == sum(9 * i * o + o for i, o in counts)
    x = torch.rand(1, 3, 128, 128)
    w = [p for name, p in network.named_parameters() if name.endswith("weight")]

    def conv(x: torch.Tensor, i: int) -> torch.Tensor:
        return F.relu(F.conv2d(x, w[i], padding=1))

    def up(x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    full = conv(conv(bicubic(x, (256, 256)), 0), 1)
    half = conv(conv(F.max_pool2d(full, 2), 2), 3)
    latent = conv(F.max_pool2d(half, 2), 4)
    assert latent.shape == (1, 256, 64, 64)
    assert torch.allclose(latent, network.latent(x), atol=1e-5)
    y = conv(conv(up(conv(conv(up(latent), 5), 6) + half), 7), 8) + full
    assert torch.allclose(network(x), F.conv2d(y, w[9], padding=1), atol=1e-5)


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_a_preset_s_own_scale_is_one_it_has(preset: str) -> None:
    """The first ancestor restores, the others enlarge."""
    assert presets.default_scale(preset) == (1 if preset == "classic" else 2)


def test_options_change_the_network_and_are_checked_by_name() -> None:
    """`--network` changes what the config has, and says what there is."""
    changed = presets.config("classic", 1, "skips=true, residual_blocks=2")
    assert changed == ClassicConfig(skips=True, residual_blocks=2)
    for options, message in (
        ("depth=3", "no 'depth'; choose from: width, latent_width, skips, residual_blocks"),
        ("skips=maybe", "must be true or false"),
        ("width=wide", "must be a whole number"),
        ("width=-1", "at least 0"),
        ("scale=2", "no 'scale'"),
    ):
        with pytest.raises(ConfigError, match=message):
            presets.config("classic", 1, options)
