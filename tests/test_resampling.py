import numpy as np
import pytest
import torch
from PIL import Image

from sr_model.imaging import images
from sr_model.imaging.resampling import crop_to_multiple, enlarge, shrink
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
