from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_model.errors import MemoryLimitError
from sr_model.imaging.tiles import Region, tiled, tiles
from sr_model.networks import Network
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


@pytest.mark.long
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
    """The law above can fail: with a margin one step under the receptive field, tiles differ from the whole."""
    model = tiny_model().double()
    x = torch.rand(1, 3, 80, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = (assemble(model, x, 20, model.receptive_field - model.stride) - model(x)).abs().max()
    assert difference > 1e-10


@given(
    h=st.integers(1, 300), w=st.integers(1, 300), size=st.sampled_from([32, 64, 96]), stride=st.sampled_from([1, 2, 4])
)
def test_tiles_are_few_and_nearly_equal(h: int, w: int, size: int, stride: int) -> None:
    """As few as their size allows, none over it, all but the last of a row alike, and begun on the stride."""
    found = tiles(h, w, size, stride)
    assert len(found) == -(-h // size) * -(-w // size) or stride > 1
    assert all(t.bottom - t.top <= size and t.right - t.left <= size for t in found)
    assert all(t.top % stride == 0 and t.left % stride == 0 for t in found)
    widths = {t.right - t.left for t in found if t.right < w}
    assert len(widths) <= 1


def limited(model: Network, most: int, asked: list[int]) -> Callable[[Tensor], Tensor]:
    """The model on a device whose memory holds `most` pixels; what was asked of it is noted."""

    def function(x: Tensor) -> Tensor:
        asked.append(x.shape[-2] * x.shape[-1])
        if asked[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return model(x)

    return function


def test_tiles_are_halved_until_they_fit() -> None:
    """Where memory is short, the same picture comes out of smaller tiles, and the size is learned once."""
    model = tiny_model().double()
    x = torch.rand(1, 3, 150, 201, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.full((1, 3, 300, 402), torch.nan, dtype=torch.float64)
    asked: list[int] = []
    left = []
    with torch.inference_mode():
        for region, part, to_come in tiled(limited(model, 90 * 90, asked), x, 128, model.receptive_field, model.stride):
            (region * model.scale).of(y).copy_(part)
            left.append(to_come)
        assert torch.allclose(y, model(x), atol=1e-10, rtol=0)
    assert sum(pixels > 90 * 90 for pixels in asked) == 1
    assert left == list(range(len(left)))[::-1]


def test_memory_for_no_tile_is_a_clear_error() -> None:
    """At the smallest tile there is an end, and what to do is said."""
    asked: list[int] = []
    model = tiny_model()
    with pytest.raises(MemoryLimitError, match=r"32 pixels.*--device cpu"):
        list(tiled(limited(model, 10, asked), torch.zeros(1, 3, 200, 200), 128, model.receptive_field, model.stride))
    assert len(asked) == 3


def test_other_errors_of_a_tile_are_not_swallowed() -> None:
    """What is not a lack of memory goes up as it is."""

    def broken(x: Tensor) -> Tensor:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(tiled(broken, torch.zeros(1, 3, 8, 8), 8, 1, 1))


def test_a_tile_off_the_stride_is_refused() -> None:
    """Tiles of odd size would begin between the latent's pixels."""
    with pytest.raises(ValueError, match="multiple of the stride"):
        list(tiled(lambda x: x, torch.zeros(1, 3, 4, 4), size=3, margin=1, stride=2))
