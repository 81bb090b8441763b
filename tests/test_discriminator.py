import copy
import math

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from sr_model.imaging.images import to_tensor
from sr_model.losses.discriminator import MIN_SIDE, Discriminator, build, discriminator_loss, generator_loss
from sr_model.networks.layers import parameter_count


@pytest.fixture
def photos(photo: Image.Image) -> Tensor:
    """Eight parts of a photo, (8, 3, 32, 32)."""
    whole = to_tensor(np.asarray(photo))
    return torch.cat([whole[..., 100:132, 32 * i : 32 * i + 32] for i in range(2, 10)])


def noise(shape: torch.Size, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def a_step(network: Discriminator, optimizer: torch.optim.Optimizer, real: Tensor, fake: Tensor) -> float:
    optimizer.zero_grad()
    loss = discriminator_loss(network(real), network(fake))
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("size", [(MIN_SIDE, MIN_SIDE), (17, 31), (40, 96), (37, 16)])
def test_every_pixel_is_judged(size: tuple[int, int]) -> None:
    """Whatever the size, odd ones included."""
    assert build()(torch.rand(2, 3, *size)).shape == (2, 1, *size)


def test_it_is_small() -> None:
    """So that it does not take more time than the network that is trained."""
    assert 100_000 < parameter_count(build()) < 1_000_000


def test_channels_last_and_bfloat16_change_little(photos: Tensor) -> None:
    """They are how training runs it."""
    network = build().eval()
    plain = network(photos)
    fast = copy.deepcopy(network).to(memory_format=torch.channels_last)
    lasting = photos.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(fast(lasting), plain, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = fast(lasting)
        loss = discriminator_loss(rough, rough) + generator_loss(rough)
    assert torch.allclose(rough.float(), plain, atol=0.05)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in fast.parameters() if p.grad is not None)


def test_spectral_norms_are_one() -> None:
    """Of the matrices of all layers but the first and the last, once the power iteration has converged."""
    network = build()
    for _ in range(50):
        network(torch.rand(1, 3, 16, 16))
    for layer in (*network.down, *network.up):
        assert isinstance(layer.weight, Tensor)
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_the_losses_of_a_guess() -> None:
    """log 2 and 2 log 2, and each side's loss falls when its judgement is the right one."""
    guess, yes, no = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 5.0), torch.full((1, 1, 4, 4), -5.0)
    assert generator_loss(guess).item() == pytest.approx(math.log(2))
    assert discriminator_loss(guess, guess).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(yes) < generator_loss(guess) < generator_loss(no)
    assert discriminator_loss(yes, no) < discriminator_loss(guess, guess) < discriminator_loss(no, yes)


@pytest.mark.long
def test_it_learns_to_tell_noise_from_photos(photos: Tensor) -> None:
    """In a few dozen steps, and then its gradient leads noise to what it takes for a photo."""
    network = build()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(40):
        last = a_step(network, optimizer, photos, noise(photos.shape, step))
    assert last < 0.5
    fake = noise(photos.shape, seed=99).requires_grad_()
    loss = generator_loss(network.eval()(fake))
    (gradient,) = torch.autograd.grad(loss, fake)
    assert generator_loss(network(fake - 0.1 * gradient / gradient.abs().max())) < loss


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_saved_state_goes_on_bit_for_bit(photos: Tensor, layout: torch.memory_format) -> None:
    """The vectors of the power iteration are part of it, and judging in evaluation mode in between changes nothing."""
    real, fake = photos[:2], noise(photos[:2].shape)

    def begin(seed: int) -> tuple[Discriminator, torch.optim.Optimizer]:
        network = build(seed).to(memory_format=layout)
        return network, torch.optim.SGD(network.parameters(), lr=0.1)

    network, optimizer = begin(seed=0)
    for _ in range(2):
        a_step(network, optimizer, real, fake)
    state = load(save({key: value.contiguous() for key, value in network.state_dict().items()}))
    for _ in range(2):
        a_step(network, optimizer, real, fake)

    resumed, optimizer = begin(seed=1)
    resumed.load_state_dict(state, strict=True)
    with torch.inference_mode():
        resumed.eval()(fake)
    resumed.train()
    for _ in range(2):
        a_step(resumed, optimizer, real, fake)
    expected, found = network.state_dict(), resumed.state_dict()
    assert any(key.endswith("_u") for key in expected)
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_its_weights_are_drawn_from_the_seed_alone() -> None:
    """And the global random state is left as it was."""
    state = torch.get_rng_state()
    one, two, other = build(0).state_dict(), build(0).state_dict(), build(1).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])
