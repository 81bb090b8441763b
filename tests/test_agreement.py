import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging import images
from sr_model.imaging.agreement import MARGIN, TOLERANCE, WINDOW, agreeing, decibels, deviation
from sr_model.imaging.images import Picture
from sr_model.imaging.resampling import bicubic, bicubic_times
from sr_model.imaging.tiles import tiled
from sr_model.inference.upscaler import enlarge_bicubic

SMALL = 0.2 + 0.6 * torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))  # nothing is cut off


def shrunk(large: Tensor) -> Tensor:
    return bicubic(large, (SMALL.shape[-2], SMALL.shape[-1]))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_result_that_agrees_is_left_alone(scale: int) -> None:
    """What shrinks to the picture itself keeps all that was added to it."""
    large = bicubic_times(SMALL, scale)
    small = bicubic(large, (40, 56))
    assert torch.allclose(agreeing(large, small, 1.0), large, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_means_become_those_of_the_picture(scale: int) -> None:
    """A result that has drifted by 9 levels in one channel and drifts along another is brought back."""
    smooth = bicubic_times(SMALL[..., :10, :14], 4)
    large = bicubic_times(smooth, scale)
    large[:, 0] += 9 / 255
    large[:, 2] += torch.linspace(0, 6 / 255, large.shape[-1])
    means = F.avg_pool2d(shrunk(agreeing(large, smooth, 1.0)) - smooth, WINDOW, 1)
    assert means.abs().max() < 0.3 / 255


def test_what_is_beyond_white_does_not_count() -> None:
    """Overshoots are cut off in the file, so nothing is taken away from the paper around them for their sake."""
    paper = torch.ones_like(SMALL)
    large = bicubic_times(paper, 2)
    large[..., 30:32, :] += 0.5
    assert torch.allclose(agreeing(large, paper, 1.0), torch.ones_like(large), atol=1e-6)


def test_a_single_pixel_is_moved_within_the_tolerance() -> None:
    """An invented spot comes back, the more the weaker the repair; the rest of the picture hardly changes."""
    flat = torch.full_like(SMALL, 0.5)
    large = bicubic_times(flat, 2)
    large[..., 40:42, 40:42] += 0.4
    left = [float((shrunk(agreeing(large, flat, strength)) - flat).abs().max()) for strength in (0.0, 1.0)]
    before = float((shrunk(large) - flat).abs().max())
    assert left[0] < left[1] < before
    assert left[1] < TOLERANCE[1] / 255 + 0.1
    assert torch.allclose(agreeing(large, flat, 1.0)[..., :10, :10], large[..., :10, :10], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 40)])
def test_every_size_can_be_guarded(size: tuple[int, int]) -> None:
    """Smaller than the window too: the mean of the whole is kept."""
    small = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    corrected = agreeing(bicubic_times(small, 2) + 0.05, small, 1.0)
    assert torch.allclose(corrected.mean((2, 3)), small.mean((2, 3)), atol=0.02)


def test_tiles_see_what_the_whole_sees() -> None:
    """With MARGIN around a tile, its correction is that of the whole."""
    generator = torch.Generator().manual_seed(2)
    small = torch.rand(1, 3, 90, 120, generator=generator)
    both = torch.cat([small, small + 0.2 * torch.rand(small.shape, generator=generator)])

    def function(x: Tensor) -> Tensor:
        return agreeing(bicubic_times(x[1:], 2), x[:1], 0.5)

    whole = function(both)
    for region, part, _ in tiled(function, both, 32, MARGIN + 4, 1):
        assert torch.allclose(part, (region * 2).of(whole), atol=1e-6)


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "I;16"])
def test_the_agreement_of_every_kind_of_picture(photo: Image.Image, kind: str) -> None:
    """Equal pictures agree fully, what bicubic enlarges nearly; a result 10 levels lighter is off by as much."""
    image = Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * 257) if kind == "I;16" else photo.convert(kind)
    small = images.from_pil(image)
    assert decibels(deviation(small, small)) == 80
    large = enlarge_bicubic(small, 2)
    off = deviation(large, small)
    assert off.shape == small.pixels.shape[:2]
    assert 40 < decibels(off) < 80
    ten = 10 * (np.iinfo(small.pixels.dtype).max // 255)
    lighter = deviation(Picture(large.pixels // 2 + ten), Picture(small.pixels // 2))
    assert lighter.mean() == pytest.approx(10 * 219 / 255, abs=0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (7, 5)])
def test_tiny_pictures_have_an_agreement(size: tuple[int, int]) -> None:
    """Down to one pixel."""
    small = Picture(np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8))
    assert 20 < decibels(deviation(enlarge_bicubic(small, 4), small)) <= 80
