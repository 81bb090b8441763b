"""Fine-tuning in 8 bits: nearer to the float32 network, and still a network in 8 bits."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_model.imaging import images
from sr_model.networks import Network
from sr_model.networks.fine_tuning import fine_tune
from sr_model.networks.quantization import QuantizedConv2d, RoundedInput, quantize
from tests.conftest import tiny_model


@pytest.fixture(scope="module")
def network() -> Network:
    return tiny_model()


@pytest.fixture
def pictures(photo: Image.Image) -> list[Tensor]:
    return [images.to_tensor(np.asarray(photo.crop((x, 60, x + 80, 140)))) for x in (0, 80, 160)]


@torch.inference_mode()
def error(quantized: Network, network: Network, picture: Tensor) -> float:
    return float((quantized(picture) - network(picture)).square().mean())


def test_it_comes_nearer_to_the_float_network(network: Network, pictures: list[Tensor]) -> None:
    """On a picture that nothing was chosen or learned on; and what it was made of stays as it was."""
    *seen, held_out = pictures
    quantized = quantize(network, seen)
    states = [{key: value.clone() for key, value in each.state_dict().items()} for each in (network, quantized)]
    learned = fine_tune(quantized, network, seen, steps=100)
    assert error(learned, network, held_out) < 0.8 * error(quantized, network, held_out)
    for each, state in zip((network, quantized), states, strict=True):
        assert all(torch.equal(value, state[key]) for key, value in each.state_dict().items())


def test_it_is_in_8_bits_still(network: Network, pictures: list[Tensor]) -> None:
    """The same layers, with weights in bytes, and the same each time. A picture's levels stay as they are."""
    quantized = quantize(network, pictures)
    first, second = (fine_tune(quantized, network, pictures, steps=3) for _ in range(2))
    before, after = quantized.state_dict(), first.state_dict()
    assert {key: value.dtype for key, value in after.items()} == {key: value.dtype for key, value in before.items()}
    moved = []
    for name, layer in first.named_modules():
        if isinstance(layer, QuantizedConv2d):
            assert not torch.equal(layer.bias, before[f"{name}.bias"])
            moved.append(not torch.equal(layer.input_scale, before[f"{name}.input_scale"]))
        elif isinstance(layer, RoundedInput):
            assert torch.equal(layer.input_scale, before[f"{name}.input_scale"])
    assert moved == [False] + [True] * (len(moved) - 1)
    assert all(torch.equal(value, after[key]) for key, value in second.state_dict().items())


def test_pictures_smaller_than_a_patch_will_do(network: Network, pictures: list[Tensor]) -> None:
    """They are continued; none at all is refused."""
    small = [pictures[0][..., :9, :13]]
    quantized = quantize(network, small)
    learned = fine_tune(quantized, network, small, steps=30)
    assert error(learned, network, small[0]) < error(quantized, network, small[0])
    with pytest.raises(ValueError, match="no picture"):
        fine_tune(quantized, network, [], steps=1)
