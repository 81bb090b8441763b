import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from sr_model.errors import ImageError
from sr_model.imaging import images
from sr_model.imaging.images import from_pil, open_image, to_pil


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(w: int, h: int) -> bytes:
    """A valid PNG of black pixels that is tiny on disk, whatever its size."""
    header = struct.pack(">IIBBBBB", w, h, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (w + 7) // 8) * min(h, 64)), 9)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pictures_survive_unchanged(mode: str, rng: np.random.Generator) -> None:
    """from_pil and to_pil are inverse for every mode that to_pil writes, and PNG keeps each pixel."""
    shape = {"L": (5, 7), "I;16": (5, 7), "LA": (5, 7, 2), "RGB": (5, 7, 3), "RGBA": (5, 7, 4)}[mode]
    dtype, top = (np.uint16, 65536) if mode == "I;16" else (np.uint8, 256)
    image = Image.fromarray(rng.integers(0, top, shape).astype(dtype))
    assert image.mode == mode
    back = to_pil(from_pil(image))
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), np.asarray(image))
    again = open_image(images.encode(back))
    assert again.mode == mode
    assert np.array_equal(np.asarray(again), np.asarray(image))


@pytest.mark.parametrize(("mode", "expected"), [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("YCbCr", "RGB")])
def test_other_modes_become_what_they_show(mode: str, expected: str, photo: Image.Image) -> None:
    """Bilevel is grey; palettes, CMYK and YCbCr are colour, and look as they did."""
    image = photo.convert(mode)
    result = to_pil(from_pil(image))
    assert result.mode == expected
    difference = np.abs(np.asarray(result.convert("RGB"), int) - np.asarray(image.convert("RGB"), int))
    assert difference.max() <= 1


def test_a_palette_with_transparency_keeps_it() -> None:
    """The transparent entry of a GIF or PNG palette becomes alpha 0."""
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    result = to_pil(images.load(encoded(image, "PNG", transparency=1)))
    assert result.mode == "RGBA"
    assert [result.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0, 255), (0, 255, 0, 0)]


def test_16_bit_white_stays_white() -> None:
    """16-bit grey is scaled, not clipped: half stays half and white stays white."""
    picture = from_pil(Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)))
    values = images.to_tensor(picture.pixels)[0, 0, 0]
    assert values.tolist() == pytest.approx([0, 0.5, 1], abs=1e-4)
    jpeg = images.encode(to_pil(picture), ".jpg")
    assert Image.open(io.BytesIO(jpeg)).getextrema() == (0, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_forgotten(orientation: int, photo: Image.Image) -> None:
    """All eight EXIF orientations come out upright, and the result says nothing of them."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = photo if undo is None else photo.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = to_pil(images.load(encoded(stored, "PNG", exif=exif)))
    assert np.array_equal(np.asarray(result), np.asarray(photo))
    assert not open_image(images.encode(result)).getexif()


def test_no_metadata_but_the_colour_profile_is_written(photo: Image.Image) -> None:
    """The place where a photo was taken is not in the result; its colours mean what they did."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    exif[0x010F] = "maker of the camera"
    data = encoded(photo, "JPEG", exif=exif, icc_profile=profile, comment=b"secret")
    for suffix in images.WRITABLE_SUFFIXES:
        result = images.encode(to_pil(images.load(data)), suffix)
        assert b"maker of the camera" not in result
        assert b"secret" not in result
        assert Image.open(io.BytesIO(result)).info["icc_profile"] == profile


def test_a_broken_profile_does_no_harm(photo: Image.Image) -> None:
    """A profile that cannot be read, or is larger than any honest one, is left out."""
    for profile in (b"not a profile", bytes(images.MAX_PROFILE_BYTES + 1)):
        picture = images.load(encoded(photo, "PNG", icc_profile=profile))
        assert picture.icc_profile is None
        assert np.array_equal(picture.pixels, np.asarray(photo))


def test_hidden_colours_do_not_seep_out() -> None:
    """Fully transparent black takes the colour of its visible neighbours; visible pixels stay as they are."""
    pixels = np.zeros((9, 9, 3), np.uint8)
    pixels[:, :5] = (200, 100, 50)
    alpha = np.where(np.arange(9) < 5, 255, 0).astype(np.uint8)[None].repeat(9, axis=0)
    filled = images.bleed_colours(images.Picture(pixels, alpha=alpha)).pixels
    assert np.array_equal(filled[:, :5], pixels[:, :5])
    assert np.abs(filled[:, 5:].astype(int) - (200, 100, 50)).max() <= 3


def test_tiff_is_turned_upright_once(photo: Image.Image) -> None:
    """Pillow turns TIFF by itself when it opens it; the header's size and the picture's agree."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo.crop((0, 0, 64, 48)), "TIFF", exif=exif)
    assert images.load(data).size == images.read_size(data) == (48, 64)


NOISE = Image.effect_noise((64, 64), 40).convert("RGB")


@pytest.mark.parametrize("kind", ["TIFF", "HEIF"])
def test_formats_of_scanners_and_telephones(photo: Image.Image, kind: str) -> None:
    """TIFF comes back exactly, HEIC nearly; of several pictures the first counts."""
    first = photo.crop((0, 0, 64, 48))
    options = {"quality": 95} if kind == "HEIF" else {}
    data = encoded(first, kind, save_all=True, append_images=[NOISE], **options)
    picture = images.load(data)
    expected = np.asarray(first, int)
    assert picture.size == images.read_size(data) == (64, 48)
    difference = np.abs(picture.pixels.astype(int) - expected)
    assert difference.mean() == 0 if kind == "TIFF" else difference.mean() < 4


GOOD = encoded(Image.effect_noise((64, 64), 40), "PNG")

BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not an image"),
    "text": (lambda: b"hello, I am a text named photo.png", "not an image"),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "not an image"),
    "tiff cut": (lambda: encoded(Image.effect_noise((64, 64), 40), "TIFF")[:900], "damaged"),
    "heic cut": (lambda: encoded(NOISE, "HEIF")[: len(encoded(NOISE, "HEIF")) // 2], "damaged|not an image"),
    "eps": (lambda: encoded(Image.new("RGB", (4, 4)), "EPS"), "not an image"),
    "png cut at 10 %": (lambda: GOOD[: len(GOOD) // 10], "damaged"),
    "png cut at 50 %": (lambda: GOOD[: len(GOOD) // 2], "damaged"),
    "png cut at 99 %": (lambda: GOOD[: len(GOOD) * 99 // 100], "damaged"),
    "jpeg cut": (lambda: encoded(Image.effect_noise((64, 64), 40), "JPEG")[:900], "damaged"),
    "webp cut": (lambda: encoded(Image.effect_noise((64, 64), 40), "WEBP")[:300], "damaged|not an image"),
    "png with a flipped bit": (lambda: GOOD[:200] + bytes([GOOD[200] ^ 1]) + GOOD[201:], "damaged"),
    "bomb": (lambda: png_of_size(60_000, 60_000), "million"),
    "one pixel too many": (lambda: png_of_size(101, 100), "million"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    """Whatever is wrong with a file, from memory or disk, is told by ImageError."""
    make, words = BAD_FILES[name]
    limit = 10_000 if name == "one pixel too many" else images.MAX_PIXELS
    path = tmp_path / "photo.png"
    path.write_bytes(make())
    for source in (make(), path):
        with pytest.raises(ImageError, match=words):
            open_image(source, limit)


def test_the_limit_itself_is_allowed() -> None:
    """A picture of exactly the stated number of pixels is opened."""
    image = Image.new("L", (100, 100))
    assert open_image(encoded(image, "PNG"), max_pixels=10_000).size == (100, 100)


def test_a_missing_file_and_a_folder_are_named_errors(tmp_path: Path) -> None:
    """No traceback for a wrong path."""
    with pytest.raises(ImageError, match="no such file"):
        open_image(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="cannot be read"):
        open_image(tmp_path)


def test_a_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    """A picture is written whole or not at all, and nothing temporary stays."""
    path = tmp_path / "out.png"
    images.save(Image.new("RGB", (3, 3), "red"), path)
    before = path.read_bytes()
    with pytest.raises(ImageError, match="ending must be one of"):
        images.save(Image.new("RGB", (3, 3)), tmp_path / "out.tiff")
    broken = Image.new("RGB", (3, 3))
    broken.info["icc_profile"] = 5  # fails within the encoder
    with pytest.raises(TypeError):
        images.save(broken, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_are_found_in_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    """A folder is searched recursively; other files and hidden folders are passed over."""
    for name in ("b.JPG", "a/z.png", ".hidden/x.png", "notes.txt", "a/.y.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [p.relative_to(tmp_path).as_posix() for p in images.find_images(tmp_path)] == ["a/z.png", "b.JPG"]


MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I;16")


@pytest.mark.parametrize("suffix", images.WRITABLE_SUFFIXES)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_can_be_written_in_every_format(mode: str, suffix: str, tmp_path: Path) -> None:
    """Whatever Pillow has in memory becomes a file, and a picture that was mid grey is mid grey there."""
    if mode == "I;16":
        image = Image.fromarray(np.full((6, 8), 128 * 257, np.uint16))
    else:
        image = Image.new("L", (8, 6), 128).convert("RGB")
        if mode in ("La", "RGBa"):
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[mode])
        elif mode in ("PA", "LAB"):
            image = Image.new(mode, (8, 6), (128, 255) if mode == "PA" else (128, 128, 128))
        image = image.convert(mode)
    images.save(image, tmp_path / f"picture{suffix}")
    written = images.load(tmp_path / f"picture{suffix}")
    assert written.size == (8, 6)
    if mode not in ("1", "PA", "LAB", "P"):  # no tone between black and white, no palette, another space
        levels = 257 if written.pixels.dtype == np.uint16 else 1
        assert abs(written.pixels / levels - 128).max() <= 2


@pytest.mark.parametrize("suffix", [".webp", ".jpg"])
def test_a_format_that_cannot_hold_the_picture_is_named(suffix: str, tmp_path: Path) -> None:
    """With its limit, and what to write instead; no file is left."""
    wide = Image.new("L", (images.LONGEST_SIDE[suffix] + 1, 1))
    with pytest.raises(ImageError, match=r"holds at most [\d,]+ on a side. Write a png"):
        images.save(wide, tmp_path / f"wide{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_jpeg_s_tables_are_kept_and_nothing_else_has_any(photo: Image.Image, tmp_path: Path) -> None:
    """From a file, turned upright or not, and from a Pillow image; a PNG of the same pixels has none."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "plain.jpg", quality=40)
    photo.save(tmp_path / "turned.jpg", quality=40, exif=exif)
    photo.save(tmp_path / "clean.png")
    plain, turned, clean = (images.load(tmp_path / name) for name in ("plain.jpg", "turned.jpg", "clean.png"))
    assert len(plain.jpeg_tables) == 2
    assert all(len(table) == 64 for table in plain.jpeg_tables)
    assert turned.jpeg_tables == plain.jpeg_tables
    assert turned.size == plain.size[::-1]
    assert images.from_pil(Image.open(tmp_path / "plain.jpg")).jpeg_tables == plain.jpeg_tables
    assert clean.jpeg_tables == ()
