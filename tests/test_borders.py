"""The picture's outermost pixels: flat colours stay flat there, and all else is left as it is."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sr_model.imaging.finishing import borders
from sr_model.imaging.finishing.borders import RING, bounded
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights


@pytest.mark.parametrize(
    ("name", "scale"), [(n, s) for n, s in weights.available() if not n.startswith(("classic", "keras"))]
)
def test_no_network_tints_the_border_of_a_flat_picture(name: str, scale: int) -> None:
    """Of saturated colours, the outermost pixels are as far from them as the inside is, and no farther."""
    upscaler = Upscaler.from_preset(
        name, scale, "cpu", engine="torch", strength=0 if name.startswith("photo") else "auto"
    )
    side = 2 * upscaler.model.receptive_field + 8
    for colour in ((255, 0, 255), (0, 255, 0), (255, 255, 255)):
        off = np.abs(upscaler(np.full((side, side, 3), colour, np.uint8)).astype(int) - colour)
        ring = off.copy()
        ring[RING * scale : -RING * scale, RING * scale : -RING * scale] = 0
        assert ring.max() == 0


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize(("h", "w"), [(1, 1), (3, 5), (7, 8), (9, 40), (40, 9)])
def test_sides_one_by_one_are_what_a_mask_gives(scale: int, h: int, w: int) -> None:
    """A traced program and this one bound the same pixels alike, in pictures narrower than the ring too."""
    small = torch.rand(2, 3, h, w) / 10
    large = torch.rand(2, 3, h * scale, w * scale)
    assert torch.equal(bounded(large.clone(), small), borders._bounded_by_mask(large, small))


def test_texture_and_the_inside_are_left_alone() -> None:
    """Only what leaves the range of its surroundings by more than twice that range is moved, only near the border."""
    small = torch.rand(1, 3, 20, 24)
    near = small.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(bounded(near.clone(), small), near)
    far = near + 10
    changed = bounded(far.clone(), small) != far
    inside: Tensor = changed[..., 2 * RING : -2 * RING, 2 * RING : -2 * RING]
    assert not inside.any()
    assert int(changed.sum()) == changed.numel() - inside.numel()


def test_what_is_differentiated_is_not_changed_in_place() -> None:
    """A gradient goes through it, and none where a pixel was moved."""
    small = torch.full((1, 3, 12, 12), 0.5)
    large = torch.full((1, 3, 12, 12), 0.7, requires_grad=True)
    bounded(large, small).sum().backward()
    assert large.grad is not None
    assert int(large.grad.sum()) == 3 * (12 - 2 * RING) ** 2
