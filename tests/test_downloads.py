"""Downloads by the page's own route: every format keeps what it can hold of a result, and nothing that it must not."""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import enlarge_bicubic
from sr_model.models import weights
from sr_model.ui.cache import Store
from sr_model.ui.handlers import Handlers
from sr_model.ui.jobs import showing
from sr_model.ui.serving import crowd
from sr_model.ui.serving.routes import routes
from sr_model.ui.upscalers import Upscalers
from tests.conftest import EXAMPLES, tiny_model

FORMATS = {"png": "PNG", "webp": "WEBP", "avif": "AVIF", "jpg": "JPEG"}
LOSSLESS = ("png", "webp")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Page(NamedTuple):
    """What makes results, and who asks for their files."""

    handlers: Handlers
    visitor: TestClient

    def enlarged(self, image: Image.Image, **options: Any) -> dict[str, str]:
        """An upload enlarged by the main button's handler; how its download is asked for."""
        path = self.handlers.store.new_folder() / "small.png"
        image.save(path, **options)
        value = {"file": {"path": str(path)}}
        *_, last = self.handlers.run(value, None, {"chosen": "enlarge"}, {"chosen": 2}, {"chosen": "nano"})
        assert last[0]["kind"] == "done"
        return {"result": last[1]["result"], "name": last[1]["panes"][0]["name"]}

    def get(self, asked: dict[str, str], kind: str, **more: str) -> Image.Image:
        """The file, as any program opens it."""
        answer = self.visitor.get("/sr-download", params={**asked, "format": kind, **more})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.headers["content-disposition"] == f'attachment; filename="small-bicubic-x2.{kind}"'
        image = Image.open(io.BytesIO(answer.content))
        assert image.format == FORMATS[kind]
        return image

    def expected(self, image: Image.Image) -> Picture:
        """What the library makes of the picture: by bicubic, as a tiny network's noise is not for lossy formats."""
        return enlarge_bicubic(images.from_pil(image), 2)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("weights")
    weights.save(tiny_model(), "nano", folder, {}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        handlers = Handlers(Upscalers(folder, "cpu"), {}, Store())
        nobody: Any = crowd  # only /health asks who waits
        yield Page(handlers, TestClient(Starlette(routes=routes(handlers.store, handlers.upscalers, nobody))))


@pytest.fixture(scope="module")
def small() -> Image.Image:
    return Image.open(EXAMPLES / "chelsea.png").convert("RGB").crop((90, 40, 138, 72))


def closeness(image: Image.Image, pixels: np.ndarray) -> float:
    """The mean difference in levels of 255."""
    return float(np.abs(np.asarray(image, float) - pixels.astype(float)).mean())


@pytest.mark.parametrize("kind", FORMATS)
def test_colours_and_their_profile_are_kept(page: Page, small: Image.Image, kind: str) -> None:
    """The very pixels in PNG and WebP, almost the same in AVIF and JPEG; with the profile that the upload had."""
    asked = page.enlarged(small, icc_profile=PROFILE)
    image = page.get(asked, kind)
    off = closeness(image.convert("RGB"), page.expected(small).pixels)
    assert off == 0 if kind in LOSSLESS else 0 < off < 4
    assert image.info["icc_profile"] == PROFILE
    assert "exif" not in image.info
    if kind not in LOSSLESS:
        smaller = page.visitor.get("/sr-download", params={**asked, "format": kind, "quality": "50"})
        assert len(smaller.content) < len(page.visitor.get("/sr-download", params={**asked, "format": kind}).content)


@pytest.mark.parametrize("kind", FORMATS)
def test_transparency_is_kept_or_laid_on_white(page: Page, small: Image.Image, kind: str) -> None:
    """JPEG has none: there it lies on white."""
    seen = small.copy()
    seen.putalpha(Image.radial_gradient("L").resize(small.size))
    expected = page.expected(seen)
    image = page.get(page.enlarged(seen), kind)
    if kind == "jpg":
        assert image.mode == "RGB"
        assert closeness(image, images.without_alpha(expected).pixels) < 4
        return
    assert image.mode == "RGBA"
    assert expected.alpha is not None
    off = closeness(image.getchannel("A"), expected.alpha)
    assert off == 0 if kind in LOSSLESS else off < 2
    if kind in LOSSLESS:
        assert np.array_equal(np.asarray(image)[..., :3], expected.pixels)


@pytest.mark.parametrize("kind", FORMATS)
def test_grey_stays_grey(page: Page, small: Image.Image, kind: str) -> None:
    """One channel where the format has such files, three equal ones elsewhere."""
    image = page.get(page.enlarged(small.convert("L")), kind)
    grey = images.mean_channel(page.expected(small.convert("L")).pixels)
    assert image.mode == ("RGB" if kind == "webp" else "L")
    for channel in image.split():
        off = closeness(channel, grey)
        assert off == 0 if kind in LOSSLESS else off < 4


@pytest.mark.parametrize("kind", FORMATS)
def test_16_bits_are_kept_or_rounded(page: Page, small: Image.Image, kind: str) -> None:
    """All of them in PNG; the other formats hold 8, and white stays white."""
    deep = np.asarray(small.convert("L")).astype(np.uint16) * 257
    deep[:8] = 65535
    deep[8:, ::2] += 100
    picture = Image.fromarray(deep)
    expected = images.mean_channel(page.expected(picture).pixels)
    image = page.get(page.enlarged(picture), kind)
    if kind == "png":
        assert image.mode == "I;16"
        assert np.array_equal(np.asarray(image), expected)
        return
    off = closeness(image.convert("L"), (expected / 257).round())
    assert off == 0 if kind == "webp" else off < 4
    assert np.asarray(image.convert("L"))[:8].min() > 250


def camera() -> Image.Exif:
    """What a telephone writes: turned by a quarter, with date, maker and place."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:01:02 03:04:05"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 1.0, 2.0)
    return exif


@pytest.mark.parametrize("kind", FORMATS)
def test_camera_data_only_on_request_and_never_the_place(page: Page, small: Image.Image, kind: str) -> None:
    """Orientation is applied to the pixels, and so is not in the file; GPS is nowhere in it."""
    asked = page.enlarged(small, exif=camera().tobytes())
    plain = page.get(asked, kind)
    assert plain.size == (64, 96)
    assert dict(plain.getexif()) == {}
    upright = page.expected(small.transpose(Image.Transpose.ROTATE_270))
    off = closeness(plain.convert("RGB"), upright.pixels)
    assert off == 0 if kind in LOSSLESS else off < 4
    told = page.get(asked, kind, exif="1")
    exif = told.getexif()
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:01:02 03:04:05"
    assert ExifTags.Base.Orientation not in exif
    assert dict(exif.get_ifd(ExifTags.IFD.GPSInfo)) == {}
    assert np.array_equal(np.asarray(told), np.asarray(plain))


@pytest.mark.parametrize("kind", FORMATS)
def test_large_results_are_put_together_from_their_tiles(
    page: Page, small: Image.Image, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The download is the whole picture, though the page has only parts of it."""
    monkeypatch.setattr(showing, "WHOLE", 100)
    monkeypatch.setattr(showing, "TILE", 25)
    image = page.get(page.enlarged(small, icc_profile=PROFILE), kind)
    off = closeness(image.convert("RGB"), page.expected(small).pixels)
    assert off == 0 if kind in LOSSLESS else off < 4
    assert image.info["icc_profile"] == PROFILE


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "exe"},
        {"format": "jpg", "quality": "0"},
        {"format": "jpg", "quality": "1e9"},
        {"name": "../x.png"},
        {"name": "exif.bin"},
        {"result": ".."},
        {"result": "a/b" * 10},
    ],
)
def test_what_the_page_does_not_ask_is_refused(page: Page, small: Image.Image, wrong: dict[str, str]) -> None:
    """In a sentence, and no file but a result's picture is ever sent."""
    asked = {**page.enlarged(small), "format": "png"}
    answer = page.visitor.get("/sr-download", params={**asked, **wrong})
    assert answer.status_code == 400
    assert answer.text.endswith(".")
    gone = page.visitor.get("/sr-download", params={**asked, "result": "x" * 22})
    assert (gone.status_code, "no longer here" in gone.text) == (404, True)
