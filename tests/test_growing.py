from dataclasses import replace

import pytest
import torch

from sr_model.networks import build
from sr_model.networks.plain import PlainAutoencoder, PlainConfig
from sr_model.networks.reshaping.growing import grow
from tests.conftest import randomised

SMALL = PlainConfig(2, 8, 8, encoder_layers=1, latent_layers=1, decoder_layers=1)
WIDER = replace(SMALL, width=16, latent_width=12)
DEEPER = replace(SMALL, encoder_layers=3, latent_layers=2, decoder_layers=4)
BOTH = replace(WIDER, encoder_layers=2, latent_layers=3, decoder_layers=2)


def _plain(config: PlainConfig, seed: int = 0) -> PlainAutoencoder:
    network = build(config, seed)
    assert isinstance(network, PlainAutoencoder)
    return network


@pytest.mark.parametrize("config", [WIDER, DEEPER, BOTH])
def test_a_grown_network_computes_what_it_was_grown_from(config: PlainConfig) -> None:
    """Wider, deeper, or both: the same pictures to within rounding."""
    small = randomised(SMALL)
    assert isinstance(small, PlainAutoencoder)
    large = _plain(config, seed=1)
    assert grow(small, large) == []
    x = torch.rand(1, 3, 21, 18, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(large(x), small(x), atol=1e-5, rtol=0)


def test_what_is_new_learns() -> None:
    """The gradient reaches the new channels and layers, which would otherwise stay as they began."""
    small = randomised(SMALL)
    assert isinstance(small, PlainAutoencoder)
    large = _plain(BOTH, seed=1)
    grow(small, large)
    optimizer = torch.optim.SGD(large.parameters(), lr=0.1)
    x, y = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32)
    for _ in range(2):  # the tail must read new channels before they learn anything
        optimizer.zero_grad()
        (large(x) - y).square().mean().backward()
        optimizer.step()
    for name, parameter in large.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.reshape(len(parameter), -1).abs().amax(1).gt(0).any(), name


def test_another_scale_has_a_new_tail() -> None:
    """The body of x2 serves x4, whose tail has other channels."""
    small = randomised(SMALL)
    assert isinstance(small, PlainAutoencoder)
    large = _plain(replace(WIDER, scale=4))
    assert grow(small, large) == ["decoder.tail.0.weight", "decoder.tail.0.bias"]


def test_a_network_does_not_shrink() -> None:
    """Fewer layers or channels somewhere are refused."""
    small = randomised(BOTH)
    assert isinstance(small, PlainAutoencoder)
    with pytest.raises(ValueError, match="is not larger"):
        grow(small, _plain(SMALL))
