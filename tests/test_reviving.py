"""Laws of channels that begin anew: the picture stays as it is, and they learn."""

import copy

import pytest
import torch
from torch import Tensor

from sr_model.networks import Network
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.networks.plain import PlainConfig
from sr_model.networks.reshaping.reviving import revive
from tests.conftest import randomised

BLOCKS = randomised(AutoencoderConfig(2, 8, 8, 1, 2, 1))
PLAIN = randomised(PlainConfig(scale=2, width=8, latent_width=8, encoder_layers=2, latent_layers=2, decoder_layers=2))


def pictures(count: int = 3) -> list[Tensor]:
    return list(torch.rand(count, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0)))


def awake(network: Network) -> Network:
    """A copy without dormant channels; a random network has some."""
    network, seed = copy.deepcopy(network), 0
    while revive(network, pictures(), seed)[0]:
        seed += 1
    return network


@pytest.mark.parametrize(
    ("network", "layer", "channels"),
    [(BLOCKS, "encoder.latent_blocks.1.conv1", 4 * 8), (PLAIN, "encoder.latent_layers.0", 3 * 8)],
)
def test_dormant_channels_begin_anew_and_learn(network: Network, layer: str, channels: int) -> None:
    """Three made dormant are found; the output stays, and after one step a gradient reaches all of them."""
    dormant = [0, 3, 7]
    network = awake(network)
    conv = network.get_submodule(layer)
    assert isinstance(conv, torch.nn.Conv2d)
    with torch.no_grad():
        conv.weight[dormant] = 0
        conv.get_parameter("bias")[dormant] = -1
    before = [network(x) for x in pictures()]
    assert revive(network, pictures()) == (len(dormant), channels)
    after = [network(x) for x in pictures()]
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=1e-6)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        torch.stack([network(x).square().mean() for x in pictures()]).sum().backward()
        optimizer.step()
    assert conv.weight.grad is not None
    assert conv.weight.grad[dormant].abs().amax((1, 2, 3)).min() > 0


def test_channels_that_work_are_left_alone() -> None:
    """Nothing changes where nothing is dormant; the same seed gives the same weights."""
    network = awake(BLOCKS)
    before = copy.deepcopy(network.state_dict())
    assert revive(network, pictures())[0] == 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    with torch.no_grad():
        network.get_submodule("decoder.blocks.0.conv1").get_parameter("bias")[:] = -100
    first, second, other = (copy.deepcopy(network) for _ in range(3))
    for each, seed in ((first, 1), (second, 1), (other, 2)):
        assert revive(each, pictures(), seed)[0] == 8
    name = "decoder.blocks.0.conv1.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
