import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model import Upscaler
from sr_model.errors import ConfigError, ImageError
from sr_model.imaging import images
from sr_model.imaging.images import from_pil
from sr_model.imaging.resampling import enlarge
from sr_model.inference.upscaler import enlarge_bicubic
from sr_model.networks import Network
from sr_model.networks.base import SCALES
from tests.conftest import tiny_model


@pytest.fixture
def upscaler(model: Network) -> Upscaler:
    return Upscaler(model, device="cpu", tile=16)


@pytest.mark.long
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 17), (48, 32)])
def test_pictures_equal_the_network_s_output_rounded(scale: int, size: tuple[int, int], photo: Image.Image) -> None:
    """Tiles, memory layout and conversion change nothing: each level is the network's on the whole picture."""
    small = photo.crop((100, 80, 100 + size[0], 80 + size[1]))
    model = tiny_model(scale)
    with torch.inference_mode():
        expected = images.to_array(model(images.to_tensor(np.asarray(small))))
    result = np.asarray(Upscaler(model, device="cpu", tile=16)(small))
    assert result.shape == (size[1] * scale, size[0] * scale, 3)
    assert np.abs(result.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (33, 17), (40, 27)])
def test_the_best_quality_does_not_depend_on_how_a_picture_is_held(
    model: Network, size: tuple[int, int], photo: Image.Image
) -> None:
    """The mean over flips and turns turns with the picture (of even sides), and is the same in tiles."""
    small = photo.crop((100, 80, 100 + size[0], 80 + size[1]))
    best, tiled = (Upscaler(model, "cpu", tile, "torch", "max") for tile in (256, 16))
    whole = np.asarray(best(small)).astype(int)
    assert np.abs(np.asarray(tiled(small)).astype(int) - whole).max() <= 1
    once = np.asarray(Upscaler(model, "cpu", 256, "torch")(small)).astype(int)
    assert (np.abs(once - whole).max() > 1) == (size != (1, 1))  # a single pixel has nothing to be turned
    even = small.resize((size[0] * 2, size[1] * 2))
    turned = np.asarray(best(even.transpose(Image.Transpose.ROTATE_90))).astype(int)
    assert np.abs(np.rot90(turned, -1) - np.asarray(best(even))).max() <= 1


def test_an_unknown_quality_is_refused(model: Network) -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match="normal, max"):
        Upscaler(model, "cpu", quality="best")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_the_kind_of_picture_is_kept(upscaler: Upscaler, mode: str, photo: Image.Image) -> None:
    """Grey stays grey, alpha stays alpha, 16 bits stay 16 bits, twice as large."""
    small = photo.crop((0, 0, 21, 19))
    small = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257) if mode == "I;16" else small
    result = upscaler(small if mode == "I;16" else small.convert(mode))
    assert (result.mode, result.size) == (mode, (42, 38))


def test_16_bits_are_more_than_8(upscaler: Upscaler) -> None:
    """A faint 16-bit ramp has more levels in the result than 8 bits could hold."""
    ramp = np.linspace(30_000, 31_000, 40, dtype=np.uint16)[None].repeat(8, axis=0)
    assert len(np.unique(upscaler(ramp))) > 20


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (6, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_come_back_as_arrays(
    upscaler: Upscaler, shape: tuple[int, ...], dtype: type, rng: np.random.Generator
) -> None:
    """Same channels, same type, twice the sides; and the input is left as it was."""
    array: np.ndarray = rng.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    before = array.copy()
    result = upscaler(array)
    assert result.shape == (12, 10, *shape[2:])
    assert result.dtype == dtype
    assert np.array_equal(array, before)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros(4, np.uint8)]
)
def test_other_arrays_are_refused(upscaler: Upscaler, array: np.ndarray) -> None:
    """The error says which shapes and types are pictures."""
    with pytest.raises(ImageError, match="must be"):
        upscaler(array)


def test_an_empty_array_is_refused(upscaler: Upscaler) -> None:
    """No pixels, no picture."""
    with pytest.raises(ImageError, match="no pixel"):
        upscaler(np.zeros((0, 4, 3), np.uint8))


def test_alpha_is_bicubic_and_opaque_stays_opaque(upscaler: Upscaler, photo: Image.Image) -> None:
    """Masks are enlarged by bicubic; a fully opaque picture has no transparent pixel afterwards."""
    small = photo.crop((0, 0, 20, 20))
    small.putalpha(255)
    assert upscaler(small).getchannel("A").getextrema() == (255, 255)
    mask = photo.crop((60, 40, 80, 60)).convert("L")
    small.putalpha(mask)
    enlarged = from_pil(mask.convert("RGB"))
    expected = enlarge_bicubic(enlarged, 2).pixels[..., 0].astype(int)  # torch's bicubic; the mask's is Pillow's
    assert np.abs(np.asarray(upscaler(small).getchannel("A")) - expected).max() <= 1


def test_steps_count_tiles_and_end_with_the_result(upscaler: Upscaler, photo: Image.Image) -> None:
    """Progress goes from 0 to the number of tiles, and only the last step has the picture."""
    picture = from_pil(photo.crop((0, 0, 40, 20)))  # 3 x 2 tiles of 16
    steps = list(upscaler.steps(picture))
    assert [(s.done, s.total) for s in steps] == [(i, 6) for i in range(7)]
    assert [s.result is not None for s in steps] == [False] * 6 + [True]
    assert steps[-1].result is not None
    assert np.array_equal(steps[-1].result.pixels, upscaler(picture).pixels)


def test_bicubic_pictures_equal_bicubic_tensors(photo: Image.Image) -> None:
    """What is shown as bicubic is what is measured as bicubic."""
    small = photo.crop((7, 9, 90, 70))
    expected = images.to_array(enlarge(images.to_tensor(np.asarray(small)), 3))
    assert np.array_equal(enlarge_bicubic(from_pil(small), 3).pixels, expected)


def test_unknown_names_are_told_with_the_valid_ones() -> None:
    """A wrong preset, scale or device is answered by a list."""
    with pytest.raises(ConfigError, match="nano, small, base"):
        Upscaler.from_preset("huge")
    with pytest.raises(ConfigError, match="2, 3, 4"):
        Upscaler.from_preset("base", scale=7)
    with pytest.raises(ConfigError, match="auto, cuda, mps, cpu"):
        Upscaler(tiny_model(), device="tpu")


# Prints the most memory in MB over idle that enlarging a picture of argv's width and height takes, file to file.
PEAK = """
import sys
from pathlib import Path
from PIL import Image
from sr_model import Upscaler
from sr_model.bulk.job import file_job

def megabytes(name):
    return int(next(s for s in open("/proc/self/status") if s.startswith(name)).split()[1]) / 1024

preset, w, h, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
Image.effect_noise((w // 8, h // 8), 60).resize((w, h)).convert("RGB").save(folder / "in.jpg")
upscaler = Upscaler.from_preset(preset, 2, "cpu")
idle = megabytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
(record,) = file_job(str(folder / "in.jpg"), str(folder / "out.png")).run(upscaler)
assert Image.open(folder / "out.png").size == (2 * w, 2 * h)
print(megabytes("VmHWM") - idle)
"""


def peak(preset: str, w: int, h: int, folder: Path) -> float:
    command = [sys.executable, "-c", PEAK, preset, str(w), str(h), str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_a_large_picture_takes_little_memory(tmp_path: Path) -> None:
    """12 megapixels to 48 by `base` stay under 1.5 GB over idle."""
    assert peak("base", 4000, 3000, tmp_path) < 1500


@pytest.mark.slow
def test_memory_grows_by_8_bit_pixels_alone(tmp_path: Path) -> None:
    """From 24 to 96 megapixels of result: their input and output, in arrays and in Pillow, and the file; no floats."""
    small, large = peak("nano", 3000, 2000, tmp_path), peak("nano", 6000, 4000, tmp_path)
    pixels = 18e6 * (1 + 4) / 2**20  # in MB, for one byte per pixel of both
    assert large - small < 11 * pixels  # 3 + 4 bytes and what the file has; a float picture alone would take 12 more


def test_steps_give_the_kind_that_they_take(upscaler: Upscaler, photo: Image.Image) -> None:
    """A PIL image, an array and a `Picture` each come back as what they were, with the same pixels."""
    image = photo.crop((0, 0, 24, 20))
    expected = np.asarray(upscaler(image))
    *_, pil = upscaler.steps(image, with_bicubic=True)
    *_, array = upscaler.steps(np.asarray(image), with_bicubic=True)
    *_, picture = upscaler.steps(from_pil(image), with_bicubic=True)
    assert isinstance(pil.result, Image.Image)
    assert isinstance(pil.bicubic, Image.Image)
    assert isinstance(array.result, np.ndarray)
    assert isinstance(picture.result, images.Picture)
    for pixels in (np.asarray(pil.result), array.result, picture.result.pixels):
        assert np.array_equal(pixels, expected)


def test_what_is_no_image_is_named(upscaler: Upscaler) -> None:
    """A path, say, is answered with what can be given."""
    with pytest.raises(ImageError, match="A str cannot be enlarged; give a PIL image or an array"):
        upscaler("photo.jpg")  # type: ignore[type-var]
