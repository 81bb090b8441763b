import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_model.networks import Network
from sr_model.tiling import Region, tiled, tiles
from tests.conftest import tiny_model

sides = st.integers(1, 60)


def assemble(model: Network, x: Tensor, size: int, margin: int) -> Tensor:
    h, w = x.shape[-2:]
    y = torch.full((1, 3, h * model.scale, w * model.scale), torch.nan, dtype=x.dtype)
    with torch.inference_mode():
        for region, part, _ in tiled(model, x, size, margin, model.stride):
            (region * model.scale).of(y).copy_(part)
    return y


@given(h=sides, w=sides, size=st.integers(1, 20))
def test_tiles_cover_each_pixel_once(h: int, w: int, size: int) -> None:
    """Tiles are a partition of the picture."""
    count = np.zeros((h, w), int)
    for t in tiles(h, w, size):
        count[t.top : t.bottom, t.left : t.right] += 1
    assert (count == 1).all()


@given(h=sides, w=sides, margin=st.integers(0, 9))
def test_a_region_lies_within_its_window(h: int, w: int, margin: int) -> None:
    """Growing by a margin and counting from the window's corner gives the same pixels back."""
    x = torch.arange(h * w).view(1, 1, h, w)
    region = Region(h // 3, w // 3, h, w)
    window = region.grow(margin, h, w)
    assert torch.equal(region.within(window).of(window.of(x)), region.of(x))


@settings(max_examples=15)
@given(h=sides, w=sides, size=st.sampled_from([2, 8, 14]), scale=st.sampled_from([2, 3, 4]))
def test_tiled_equals_whole(h: int, w: int, size: int, scale: int) -> None:
    """With a margin of the receptive field, tiles change nothing: 1e-10 in float64, 1e-5 in float32, no level in 8 bits
    but one where a value lies on the edge of rounding."""
    model = tiny_model(scale)
    x = torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(h * 100 + w))
    with torch.inference_mode():
        whole = model(x)
    parts = assemble(model, x, size, model.receptive_field)
    assert torch.allclose(parts, whole, atol=1e-5, rtol=0)
    levels = [t.clamp(0, 1).mul(255).round() for t in (parts, whole)]
    assert (levels[0] - levels[1]).abs().max() <= 1

    model, x = model.double(), x.double()
    with torch.inference_mode():
        assert torch.allclose(assemble(model, x, size, model.receptive_field), model(x), atol=1e-10, rtol=0)


def test_too_small_a_margin_shows() -> None:
    """The law above can fail: with a margin under the receptive field, tiles differ from the whole."""
    model = tiny_model().double()
    x = torch.rand(1, 3, 80, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = (assemble(model, x, 20, model.receptive_field - 4) - model(x)).abs().max()
    assert difference > 1e-10


def test_a_tile_off_the_stride_is_refused() -> None:
    """Tiles of odd size would begin between the latent's pixels."""
    with pytest.raises(ValueError, match="multiple of the stride"):
        list(tiled(lambda x: x, torch.zeros(1, 3, 4, 4), size=3, margin=1, stride=2))
