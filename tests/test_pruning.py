"""Laws of blocks that are left out: nobody misses them."""

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sr_model.errors import ConfigError, DataError
from sr_model.evaluation import promotion
from sr_model.models import weights
from sr_model.networks.autoencoder import Autoencoder, AutoencoderConfig
from sr_model.networks.quantization import quantize
from sr_model.networks.reshaping.pruning import idle_blocks, without
from tests.conftest import randomised, tiny_model

CONFIG = AutoencoderConfig(2, width=8, latent_width=8, encoder_blocks=2, latent_blocks=4, decoder_blocks=3)
IDLE = {"encoder.blocks.1", "encoder.latent_blocks.1", "encoder.latent_blocks.2", "decoder.blocks.1"}


def with_idle_blocks(seed: int = 0) -> Autoencoder:
    """Those of IDLE let nothing through, and add something everywhere nonetheless."""
    network = randomised(CONFIG, seed)
    assert isinstance(network, Autoencoder)
    with torch.no_grad():
        for name in IDLE:
            network.get_submodule(f"{name}.conv1").get_parameter("bias")[:] = -100
    return network


def pictures(*sides: int) -> list[Tensor]:
    return [torch.rand(1, 3, side, side + 3, generator=torch.Generator().manual_seed(side)) for side in sides]


def test_the_picture_is_the_same_without_idle_blocks() -> None:
    """To its border and at odd sides; the smaller network has no others, and the config says how many there are."""
    network = with_idle_blocks()
    assert idle_blocks(network, pictures(16, 21)) == IDLE
    smaller = without(network, IDLE)
    assert smaller.config == dataclasses.replace(CONFIG, encoder_blocks=1, latent_blocks=2, decoder_blocks=2)
    assert idle_blocks(smaller, pictures(16, 21)) == set()
    for x in pictures(1, 16, 21):
        torch.testing.assert_close(smaller(x), network(x), rtol=0, atol=1e-5)
    assert network.config == CONFIG, "the original is as it was"
    assert idle_blocks(network, pictures(16, 21)) == IDLE


def test_the_first_block_of_a_stack_stays() -> None:
    """No other is there to add what it adds."""
    network = with_idle_blocks()
    with torch.no_grad():
        network.get_submodule("decoder.blocks.0.conv1").get_parameter("bias")[:] = -100
    assert "decoder.blocks.0" not in idle_blocks(network, pictures(16))
    with pytest.raises(ValueError, match=r"decoder\.blocks\.0"):
        without(network, {"decoder.blocks.0"})


def test_weights_are_replaced_by_those_of_the_smaller_network(photo_folder: Path, tmp_path: Path) -> None:
    """With the same training and new figures; a second time there is nothing to leave out, and nothing changes."""
    before = weights.save(with_idle_blocks(), "base", tmp_path, {"hours": 2}, {"kept": {"psnr": 1}})
    card = promotion.prune_preset("base", 2, photo_folder, photo_folder, [photo_folder / "more"], tmp_path, print)
    assert card == weights.read_card("base", 2, tmp_path)
    assert card.parameters < before.parameters
    assert card.training == {"hours": 2, "idle_blocks": sorted(IDLE)}
    assert card.metrics.keys() == {"kept", "photos", "more"}
    with pytest.raises(DataError, match="busy; nothing is changed"):
        promotion.prune_preset("base", 2, photo_folder, photo_folder, [], tmp_path, print)
    assert card == weights.read_card("base", 2, tmp_path)


def test_what_is_missed_is_not_left_out(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures that are compared decide, whatever the blocks look like; some networks have no such blocks."""
    card = weights.save(randomised(CONFIG), "base", tmp_path, {}, {})
    monkeypatch.setattr(promotion, "idle_blocks", lambda *_: {"decoder.blocks.1", "decoder.blocks.2"})
    monkeypatch.setattr(promotion, "ALLOWED_ROUNDING", -10.0)
    with pytest.raises(DataError, match="is lost; nothing is changed"):
        promotion.prune_preset("base", 2, photo_folder, photo_folder, [], tmp_path, print)
    assert card == weights.read_card("base", 2, tmp_path)
    weights.save(quantize(tiny_model(), pictures(16)), "base-int8", tmp_path, {}, {})
    with pytest.raises(ConfigError, match="no residual blocks"):
        promotion.prune_preset("base-int8", 2, photo_folder, photo_folder, [], tmp_path, print)


def test_mixed_weights_lose_what_none_of_them_uses(photo_folder: Path, tmp_path: Path) -> None:
    """A block that is idle in one set only stays in all; the parent is still named as the preset that it equals."""
    parent, heavy = with_idle_blocks(), with_idle_blocks(seed=1)
    with torch.no_grad():
        heavy.get_submodule("decoder.blocks.1.conv1").get_parameter("bias")[:] = 0.1
    shared = IDLE - {"decoder.blocks.1"}
    base = weights.save(without(parent, shared), "base", tmp_path, {}, {})
    training = {"parent": {"name": "base-x2", "sha256": "of earlier ones"}}
    strengths = {"parent": 0.0, "heavy": 1.0}
    sets = {"parent": copy.deepcopy(parent), "heavy": heavy}
    weights.save_sets(sets, "photo", tmp_path, training, {}, "", strengths)
    card = promotion.prune_preset("photo", 2, photo_folder, photo_folder, [], tmp_path, print)
    assert card.training["idle_blocks"] == sorted(shared)
    assert card.training["parent"] == {"name": "base-x2", "sha256": base.sha256}
    assert card.strengths == strengths
    assert set(card.metrics) == {"photos", "photos jpeg75", "photos jpeg50"}
