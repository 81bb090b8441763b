import io
from typing import Any

import pytest
from PIL import Image, ImageCms

from sr_model.imaging import images
from sr_model.imaging.codecs.compression import webp_quantizer
from sr_model.imaging.strength import find_strength


@pytest.fixture
def small(photo: Image.Image) -> Image.Image:
    return photo.resize((225, 150), Image.Resampling.BICUBIC).crop((40, 10, 200, 140))


def as_webp(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()


def as_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_the_quantizer_of_a_webp_is_read_from_its_header(small: Image.Image) -> None:
    """On flat pictures it is what libwebp computes of the quality, and its default of noise shaping (1.426) there."""
    flat = Image.new("RGB", (64, 48), (90, 120, 30))
    for quality in (10, 40, 75, 90):
        part = quality / 100
        compression = (part * 2 / 3 if part < 0.75 else 2 * part - 1) ** (1 / 3)
        assert webp_quantizer(as_webp(flat, quality=quality)) == pytest.approx(127 * (1 - compression**1.426), abs=1)
    found = [webp_quantizer(as_webp(small, quality=quality)) for quality in (20, 50, 80, 95)]
    assert found == sorted(found, key=lambda value: -(value or 0))
    assert len(set(found)) == 4


def test_a_webp_without_a_quantizer_has_none(small: Image.Image) -> None:
    """Lossless ones and other formats; with alpha, a profile or more frames it is where it always is."""
    plain = as_webp(small, quality=50)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert webp_quantizer(as_webp(small, lossless=True)) is None
    assert webp_quantizer(as_png(small)) is None
    assert webp_quantizer(as_webp(small, quality=50, icc_profile=profile)) == webp_quantizer(plain)
    frames = as_webp(small, quality=50, save_all=True, append_images=[small.rotate(90)], allow_mixed=False)
    assert webp_quantizer(frames) is not None
    turned = small.convert("RGBA")
    turned.putalpha(small.convert("L"))
    assert webp_quantizer(as_webp(turned, quality=50)) is not None


def test_a_damaged_webp_says_nothing_wrong(small: Image.Image) -> None:
    """Cut off anywhere, its header gives a number or None, in no time and without an error."""
    whole = as_webp(small, quality=50)
    assert {webp_quantizer(whole[:length]) for length in range(100)} <= {None, *range(128)}
    assert webp_quantizer(whole[:12] + b"JUNK" + bytes(4) + whole[12:]) == webp_quantizer(whole)


def test_a_webp_is_repaired_by_what_it_says(small: Image.Image) -> None:
    """The coarser, the more strongly; once it is upright and a PIL image, too."""
    files = [as_webp(small, quality=quality) for quality in (98, 80, 50, 20)]
    strengths = [find_strength(images.load(file)) for file in files]
    assert strengths == sorted(strengths)
    assert len(set(strengths)) == 4
    assert find_strength(images.from_pil(images.open_image(files[2]))) == strengths[2]
