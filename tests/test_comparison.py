from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_model import Upscaler
from sr_model.errors import DataError, ImageError
from sr_model.evaluation.comparison import compare, evaluate, shrink_picture
from sr_model.imaging.images import Picture, from_pil
from tests.conftest import tiny_model


def test_the_mean_is_of_the_pictures_and_bicubic_is_pillow_s(photo_folder: Path) -> None:
    """The report's bicubic row can be had with Pillow alone, within the rounding of a level."""
    report = evaluate(Upscaler(tiny_model(), "cpu"), 2, photo_folder)
    assert report["mean"]["psnr"] == pytest.approx(np.mean([p["psnr"] for p in report["pictures"].values()]))

    image = Image.open(photo_folder / "a.png")
    low = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
    back = low.resize(image.size, Image.Resampling.BICUBIC)
    psnr, ssim = compare(from_pil(back), from_pil(image), 2)
    assert report["pictures"]["a.png"]["bicubic_psnr"] == pytest.approx(psnr, abs=0.05)
    assert report["pictures"]["a.png"]["bicubic_ssim"] == pytest.approx(ssim, abs=0.001)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_picture_to_compare_is_cut_and_shrunk(scale: int, photo: Image.Image) -> None:
    """The reference loses at most scale - 1 rows and columns, and the low picture is exactly `scale` times smaller."""
    low, high = shrink_picture(from_pil(photo), scale)
    assert high.size == tuple(n - n % scale for n in photo.size)
    assert tuple(n * scale for n in low.size) == high.size


def test_a_picture_smaller_than_the_scale_cannot_be_shrunk() -> None:
    """One pixel cannot become a third of one."""
    with pytest.raises(ImageError, match="at least 3x3"):
        shrink_picture(Picture(np.zeros((2, 9, 3), np.uint8)), 3)


def test_a_picture_that_cannot_be_read_ends_the_evaluation(photo_folder: Path) -> None:
    """A mean over the rest would be the mean of another set."""
    (photo_folder / "c.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"c\.png cannot be measured"):
        evaluate(Upscaler(tiny_model(), "cpu"), 2, photo_folder)
