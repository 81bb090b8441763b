import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_model.imaging import images
from sr_model.imaging.resampling import bicubic, bicubic_times, crop_to_multiple, enlarge, shrink
from sr_model.networks.base import SCALES


@pytest.mark.parametrize("scale", SCALES)
def test_bicubic_is_pillow_s(photo: Image.Image, scale: int) -> None:
    """Shrinking and enlarging equal Pillow's bicubic within one level of 255, borders included."""
    high = crop_to_multiple(images.to_tensor(np.asarray(photo)), scale)
    h, w = high.shape[-2:]
    low = shrink(high, scale)
    expected = photo.crop((0, 0, w, h)).resize((w // scale, h // scale), Image.Resampling.BICUBIC)
    assert np.abs(images.to_array(low).astype(int) - np.asarray(expected)).max() <= 1

    small = Image.fromarray(images.to_array(low))
    expected = small.resize((w, h), Image.Resampling.BICUBIC)
    assert np.abs(images.to_array(enlarge(low, scale)).astype(int) - np.asarray(expected)).max() <= 1


def test_results_have_levels_that_a_file_can_hold() -> None:
    """Low resolution is rounded to 8 bits, as it would be in a file."""
    low = shrink(torch.rand(1, 3, 16, 16), 2)
    assert torch.equal(low, images.to_tensor(images.to_array(low)))


def test_a_size_that_the_scale_does_not_divide_is_refused() -> None:
    """Resizing 17 pixels to 8 would shift the picture by a fraction."""
    with pytest.raises(ValueError, match="not a multiple of 2"):
        shrink(torch.rand(1, 3, 17, 16), 2)


@given(h=st.integers(1, 90), w=st.integers(1, 90), n=st.integers(1, 2), scale=st.sampled_from(SCALES))
def test_enlarging_by_matrices_is_bicubic(h: int, w: int, n: int, scale: int) -> None:
    """At every size: 1e-12 in float64. In float32 it is at least as near to that as torch's own, but for rounding."""
    x = torch.rand(n, 3, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(h * 100 + w))
    exact = bicubic(x, (scale * h, scale * w))
    assert torch.allclose(bicubic_times(x, scale), exact, atol=1e-12, rtol=0)
    assert (bicubic_times(x.float(), scale) - exact).abs().max() <= 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_enlarging_stays_exact_under_autocast(dtype: torch.dtype) -> None:
    """Training in half precision adds to the same bicubic picture as all else."""
    x = torch.rand(1, 3, 40, 33)
    with torch.autocast("cpu", dtype):
        assert (bicubic_times(x, 2) - bicubic(x, (80, 66))).abs().max() <= 1e-6


def test_enlarging_can_be_differentiated() -> None:
    """Every pixel of the picture gets the sum of what it was taken for: the scale squared, but for the borders."""
    x = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    bicubic_times(x, 2).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad[..., 4:-4, 4:-4], torch.tensor(4.0, dtype=torch.float64))
