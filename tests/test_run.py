import dataclasses
from pathlib import Path

import pytest
import torch

from sr_model.errors import ConfigError, WeightsError
from sr_model.models import weights
from sr_model.networks import build, presets
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.networks.tutorials import ClassicConfig
from sr_model.training import run
from tests.conftest import randomised


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for scale in (2, 4):
        weights.save(randomised(presets.config("nano", scale), seed=scale), "nano", tmp_path, {"steps": scale}, {})
    return tmp_path


def test_a_folder_a_file_and_a_shipped_preset_can_be_named(folder: Path) -> None:
    """Of a folder the scale asked for is taken or, without it, the nearest."""
    assert run.find_weights(str(folder), "nano", 4)[1].scale == 4
    assert run.find_weights(str(folder), "nano", 1)[1].scale == 2
    assert run.find_weights(str(folder / "nano-x4.safetensors"), "nano", 2)[1].training == {"steps": 4}
    for name in ("base", "base-x2"):
        assert run.find_weights(name, "base", 2)[1].preset == "base"


def test_across_scales_the_body_is_taken_and_the_tail_made_anew(folder: Path) -> None:
    """All but the last convolution has the same shapes; which tensors are new is returned."""
    source, _ = run.find_weights(str(folder), "nano", 2)
    target = build(presets.config("nano", 3))
    fresh = build(presets.config("nano", 3)).state_dict()
    taken, left = run.transfer(source, target)
    assert left == ["decoder.tail.0.weight", "decoder.tail.0.bias"]
    state, given = target.state_dict(), source.state_dict()
    assert all(torch.equal(state[name], given[name]) for name in taken)
    assert all(torch.equal(state[name], fresh[name]) for name in left)


def test_further_residual_blocks_begin_as_the_identity() -> None:
    """A deeper network of the same widths starts with the same picture."""
    config = AutoencoderConfig(2, width=8, latent_width=8, encoder_blocks=1, latent_blocks=1, decoder_blocks=1)
    source = randomised(config)
    target = randomised(dataclasses.replace(config, encoder_blocks=2, decoder_blocks=3))
    _, left = run.transfer(source, target)
    assert {name.rpartition(".conv")[0] for name in left} == {
        "encoder.blocks.1",
        "decoder.blocks.1",
        "decoder.blocks.2",
    }
    x = torch.rand(1, 3, 12, 16)
    torch.testing.assert_close(target(x), source(x), rtol=0, atol=1e-5)


def test_another_network_is_refused(folder: Path) -> None:
    """Nothing of it fits."""
    source, _ = run.find_weights(str(folder), "nano", 2)
    with pytest.raises(ConfigError, match="another network"):
        run.transfer(source, build(ClassicConfig()))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "no such folder, .safetensors file, repository .* or preset"),
        ("weights.safetensors", "named <preset>-x<scale>.safetensors"),
        ("runs/nano-x3.safetensors", "no weights for nano-x3"),
    ],
)
def test_what_is_not_there_is_named(source: str, message: str) -> None:
    """And what there is is listed."""
    with pytest.raises((ConfigError, WeightsError), match=message):
        run.find_weights(source, "nano", 2)


def test_a_folder_without_the_preset_says_what_it_holds(folder: Path) -> None:
    """Weights of another preset are never taken silently."""
    with pytest.raises(WeightsError, match="no weights of base; there are: nano-x2, nano-x4"):
        run.find_weights(str(folder), "base", 2)
