import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from sr_model.imaging.codecs.png import COLOUR_TYPES, png_bytes


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(0)
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1}[mode]
    w, h = size
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65_536, (h, w)).astype(np.uint16))
    return Image.frombytes(mode, size, rng.integers(0, 256, w * h * channels, np.uint8).tobytes())


@pytest.mark.parametrize("mode", COLOUR_TYPES)
@pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 6), (67, 33)])
def test_a_file_has_the_picture_s_pixels(mode: str, size: tuple[int, int]) -> None:
    """Pillow reads the same mode, size and pixels out of it, and no colour profile or EXIF data."""
    image = noise(mode, size)
    with Image.open(io.BytesIO(png_bytes(image))) as read:
        assert (read.format, read.mode, read.size) == ("PNG", mode, size)
        assert np.array_equal(np.asarray(read), np.asarray(image))
        assert not read.getexif()
        assert "icc_profile" not in read.info


def test_a_file_keeps_what_it_is_given() -> None:
    """The colour profile byte for byte, and EXIF data, with the prefix that it has in a JPEG or without it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    for data in (exif.tobytes(), exif.tobytes().removeprefix(b"Exif\x00\x00")):
        with Image.open(io.BytesIO(png_bytes(noise("RGB", (4, 3)), profile, data))) as read:
            assert read.info["icc_profile"] == profile
            assert read.getexif()[0x010F] == "maker"


def test_smooth_pictures_take_few_bytes() -> None:
    """A filter and a compression are at work: a ramp takes less than a fiftieth of its pixels."""
    ramp = Image.linear_gradient("L").convert("RGB")
    assert len(png_bytes(ramp)) < 256 * 256 * 3 / 50
