"""The work on the visitor's own device, in a real browser: the same pictures, and none of them sent."""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from sr_model.evaluation import comparison
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import Upscaler, enlarge_bicubic
from sr_model.ui.jobs.judging import agree
from tests.browser.conftest import CHROMIUM, FLAGS, Serve, Visit
from tests.conftest import EXAMPLES, tiny_model

CHELSEA = EXAMPLES / "chelsea.png"
SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]


def use_device(visit: Visit) -> str:
    """Choose the visitor's own device and wait until it is ready; returns what is said of its speed."""
    visit.page.set_default_timeout(120_000)  # milliseconds: a busy machine fails no law
    visit.page.locator("#sr-place").get_by_label("My device").check()
    visit.page.locator(".sr-device", has_text="for a megapixel").wait_for()
    return str(visit.page.inner_text(".sr-device"))


@pytest.fixture(scope="module")
def device(browser: Any, address: str) -> Iterator[Visit]:
    """A tab that works on the visitor's own device, for all tests that leave it so."""
    visit = Visit(browser, address)
    use_device(visit)
    yield visit
    visit.context.close()
    assert visit.errors == []
    assert visit.strangers == []


def photo(size: tuple[int, int]) -> Image.Image:
    return Image.open(CHELSEA).convert("RGB").resize(size, Image.Resampling.BICUBIC)


def transparent() -> Image.Image:
    """A photo with a soft edge, and black where nothing is to be seen."""
    rgba = np.dstack([np.asarray(photo((90, 61))), np.tile(np.arange(90, dtype=np.uint8) * 255 // 89, (61, 1))])
    rgba[:, :20] = 0
    return Image.fromarray(rgba)


def save_upright(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo((67, 40)).save(path, exif=exif)


PICTURES: dict[str, Callable[[Path], None]] = {
    "colour.png": lambda path: photo((301, 200)).save(path),
    "four tiles.png": lambda path: photo((621, 530)).save(path),
    "saturated.png": lambda path: Image.new("RGB", (40, 30), (255, 0, 200)).save(path),
    "one pixel.png": lambda path: photo((1, 1)).save(path),
    "narrow.bmp": lambda path: photo((3, 70)).save(path),
    "grey.png": lambda path: photo((71, 50)).convert("L").save(path),
    "photo.jpg": lambda path: photo((120, 83)).save(path, quality=80),
    "grey.jpg": lambda path: photo((71, 50)).convert("L").save(path),
    "upright.jpg": save_upright,
    "transparent.png": lambda path: transparent().save(path),
    "transparent.webp": lambda path: transparent().save(path, lossless=True, exact=True),
    "grey and transparent.png": lambda path: transparent().convert("LA").save(path),
    "palette.gif": lambda path: photo((80, 60)).quantize(30).save(path),
    "photo.avif": lambda path: photo((80, 60)).save(path),
    "srgb.png": partial(
        lambda path: photo((40, 30)).save(
            path, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        )
    ),
}


def furthest(path: Path, expected: Picture) -> int:
    """The largest difference in levels between a downloaded file and what the server would make."""
    image = Image.open(path)
    wanted = images.to_pil(expected)
    assert (image.size, image.mode) == (wanted.size, wanted.mode)
    return int(np.abs(np.asarray(image).astype(int) - np.asarray(wanted)).max())


@pytest.mark.parametrize("name", PICTURES)
def test_every_kind_of_picture_is_the_server_s_within_a_level(device: Visit, tmp_path: Path, name: str) -> None:
    """Of any size from 1x1, in tiles or whole, grey or transparent, turned upright: both panes, and their number."""
    PICTURES[name](tmp_path / name)
    device.choose(tmp_path / name)
    device.task("Enlarge")
    assert device.press() == "Done."
    source = images.load(tmp_path / name)
    w, h = source.size
    assert f"{w}x{h} → {2 * w}x{2 * h} · WebAssembly" in device.page.inner_text(".sr-line")
    for i, picture in enumerate((enlarge_bicubic(source, 2), Upscaler(tiny_model(), "cpu")(source))):
        path = device.save(i, tmp_path)
        assert furthest(path, picture) <= 1
        shown = device.scores()[i][1].replace("identical", "80 dB")
        assert float(shown.split()[0]) == pytest.approx(agree("", images.load(path), source).psnr, abs=0.01)
    device.page.click("[data-map='off']")
    drawn = device.page.locator(".sr-map").first
    assert drawn.evaluate("(map) => map.decode().then(() => [map.naturalWidth, map.naturalHeight])") == [w, h]


def test_a_large_result_is_shown_in_tiles_and_saved_whole(device: Visit, tmp_path: Path) -> None:
    """Above four megapixels the viewer gets a preview and tiles, and the download is put together row by row."""
    photo((2050, 500)).save(tmp_path / "large.png")
    device.choose(tmp_path / "large.png")
    device.task("Enlarge")
    device.press()
    source = images.load(tmp_path / "large.png")
    assert furthest(device.save(1, tmp_path), Upscaler(tiny_model(), "cpu")(source)) <= 1
    device.page.locator("[data-zoom='2']").click()
    tile = device.page.locator(".sr-tile").first
    tile.wait_for()
    assert tile.evaluate("(tile) => tile.decode().then(() => tile.naturalWidth)") == 512


def test_compare_needs_no_server_and_has_the_same_numbers(device: Visit, tmp_path: Path) -> None:
    """Shrunk, enlarged by both and measured in the browser, as the library does it; JPEG downloads work too."""
    device.choose(CHELSEA)
    device.task("Compare")
    device.press()
    assert device.labels() == [("Bicubic", "450x300"), ("Autoencoder", "450x300"), ("Reference", "450x300")]
    low, high = comparison.shrink_picture(images.load(CHELSEA), 2)
    network, bicubic = Upscaler(tiny_model(), "cpu")(low), enlarge_bicubic(low, 2)
    for (_, psnr, ssim), picture in zip(device.scores(), (bicubic, network), strict=True):
        expected = comparison.compare(picture, high, 2)
        assert (float(psnr.split()[0]), float(ssim)) == pytest.approx(expected, abs=0.006)
    names = ["chelsea-bicubic-x2.png", "chelsea-nano-x2.png", "chelsea-reference.png"]
    files = [device.save(i, tmp_path) for i in range(3)]
    assert [path.name for path in files] == names
    assert furthest(files[2], high) == 0
    assert furthest(files[0], bicubic) <= 1
    assert Image.open(device.save(1, tmp_path, "jpg")).size == (450, 300)
    device.page.click("[data-map='error']")
    drawn = device.page.locator(".sr-map").first
    assert drawn.evaluate("(map) => map.decode().then(() => map.naturalWidth)") == 450


def test_a_reference_stays_on_the_device_too(device: Visit, tmp_path: Path) -> None:
    """In Enlarge the numbers are against it, cut to fit; one of another size is refused in words."""
    large = photo((121, 80))
    large.save(tmp_path / "large.png")
    low, high = comparison.shrink_picture(images.from_pil(large), 2)
    images.save(images.to_pil(low), tmp_path / "low.png")
    device.choose(tmp_path / "low.png")
    device.task("Enlarge")
    device.choose(tmp_path / "large.png", "#sr-reference")
    device.press()
    assert device.labels()[2] == ("Reference", "120x80")
    expected = comparison.compare(Upscaler(tiny_model(), "cpu")(low), high, 2)[0]
    assert float(device.scores()[1][1].split()[0]) == pytest.approx(expected, abs=0.05)
    device.choose(CHELSEA, "#sr-reference")
    assert "451x300, but 120x80" in device.press("refused")
    device.page.click("#sr-reference .sr-remove")


def test_no_request_carries_the_picture(browser: Any, address: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """From the choice to the download, all that is sent is smaller than the picture, and names nothing of it."""
    noise = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "secret-picture.png")
    visit = Visit(browser, address)
    use_device(visit)
    sent: list[bytes] = []
    visit.page.on("request", lambda request: sent.append(request.url.encode() + (request.post_data_buffer or b"")))
    visit.choose(tmp_path / "secret-picture.png")
    visit.task("Compare")
    visit.press()
    visit.task("Enlarge")
    visit.press()
    visit.save(1, tmp_path)
    visit.context.close()
    assert visit.errors == []
    asked = [each for each in sent if not each.startswith((b"blob:", b"data:"))]
    assert asked, "the page asks the server for plans, without the picture"
    assert not [each for each in asked if b"/upload" in each or b"secret" in each]
    assert max(map(len, asked)) < 10_000 < (tmp_path / "secret-picture.png").stat().st_size


def profile(name: str, *primaries: tuple[float, float, float]) -> bytes:
    """An ICC profile of red, green and blue as X, Y, Z at D50, with a plain curve."""
    text = name.encode() + b"\0"
    white = (0.9642, 1.0, 0.8249)
    tags = {b"desc": b"desc" + struct.pack(">4xI", len(text)) + text + bytes(78)}
    for key, xyz in zip((b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ"), (white, *primaries), strict=True):
        tags[key] = b"XYZ " + struct.pack(">4x3i", *(round(65536 * value) for value in xyz))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv" + struct.pack(">4xIH", 1, 563))  # 2.2
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">I4xI", start + len(data), 0x02100000) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(65536 * value) for value in white)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + data


P3 = (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)


def test_what_browsers_cannot_keep_is_offered_on_the_server(visit: Visit, tmp_path: Path) -> None:
    """16 bits, other colour spaces and CMYK are refused before any work; one press moves on, and only then uploads."""
    use_device(visit)
    Image.fromarray(np.full((20, 30), 40_000, np.uint16)).save(tmp_path / "deep.png")
    photo((30, 20)).convert("CMYK").save(tmp_path / "ink.jpg")
    android = profile("Display P3 Gamut with sRGB Transfer", *P3)
    photo((30, 20)).save(tmp_path / "android.jpg", icc_profile=android)
    alert = visit.page.locator(".sr-plan-alert")
    for name, words in {"ink.jpg": "CMYK", "android.jpg": "sRGB", "deep.png": "8 bits"}.items():
        visit.choose(tmp_path / name)
        alert.filter(has_text=words).wait_for()
        assert words in visit.press("refused")
    uploads: list[str] = []
    visit.page.on("request", lambda request: uploads.append(request.url) if "/upload" in request.url else None)
    visit.page.get_by_role("button", name="Use the server").click()
    visit.page.locator(".sr-plan-text", has_text="60×40").wait_for()
    assert len(uploads) == 1
    visit.press()
    assert Image.open(visit.save(1, tmp_path)).mode == "I;16"


def test_cancel_stops_within_a_tile_and_the_next_press_works(device: Visit, tmp_path: Path) -> None:
    """The button answers while there are tiles left, and nothing is shown of what was begun."""
    Image.new("RGB", (9000, 300)).save(tmp_path / "wide.png")
    device.choose(tmp_path / "wide.png")
    device.task("Enlarge")
    device.forget()
    device.page.click("#sr-run")
    device.page.wait_for_function("/^[1-5] of \\d\\d/.test(document.querySelector('.sr-status').innerText)")
    device.page.click("#sr-cancel")
    assert device.ended("cancelled") == "Cancelled."
    assert [name for name, _ in device.labels()] == ["Your picture"]
    device.choose(CHELSEA)
    device.press()
    assert len(device.labels()) == 2


def test_an_example_runs_on_the_device(device: Visit) -> None:
    """The photo comes from the page, and is compared at once."""
    device.forget()
    device.page.click("[data-name='coffee.png']")
    device.chosen("Coffee cup")
    device.ended()
    assert device.labels()[2] == ("Reference", "600x400")
    assert "WebAssembly" in device.page.inner_text(".sr-line")


def test_only_what_the_device_can_do_is_offered(visit: Visit) -> None:
    """Without a graphics processor the quick networks only; on the server everything again."""

    def offered(control: str) -> list[str]:
        return list(
            visit.page.locator(f"#sr-{control} input").evaluate_all(
                "(all) => all.filter((input) => !input.disabled).map((input) => input.value)"
            )
        )

    before = {name: offered(name) for name in ("preset", "mode", "shrinking")}
    use_device(visit)
    visit.page.locator("#sr-scale label").nth(1).wait_for()
    assert offered("preset") == ["nano"]
    assert offered("mode") == ["enlarge", "compare"]
    assert offered("shrinking") == ["bicubic"]
    visit.page.wait_for_function("document.querySelectorAll('#sr-scale input:enabled').length === 2")
    assert offered("scale") == ["2", "3"]
    visit.page.locator("#sr-place").get_by_label("Server").check()
    assert {name: offered(name) for name in before} == before


def test_nothing_is_loaded_before_it_is_wanted_and_then_for_ever(visit: Visit) -> None:
    """The size is said first; scripts have a type that workers take, and stay in the browser's cache."""
    answers: list[Any] = []
    visit.page.on("response", lambda response: answers.append(response))
    visit.page.reload()
    visit.page.wait_for_selector(".sr-pane img")
    loaded = [answer.url for answer in answers]
    assert not [url for url in loaded if "/runtime/" in url or "worker.js" in url or ".onnx" in url]
    visit.page.locator("#sr-place").get_by_label("My device").hover()
    use_device(visit)
    assert "MB once" in visit.page.inner_text("#sr-place")
    found = {answer.url.rsplit("/", 1)[1]: answer for answer in answers}
    for name, kind in (
        ("worker.js", "javascript"),
        ("ort.wasm.bundle.min.js", "javascript"),
        ("ort-wasm-simd-threaded.wasm.gz", "wasm"),
        ("nano-x2.onnx", "octet-stream"),
    ):
        assert kind in found[name].headers["content-type"]
        assert "immutable" in found[name].headers["cache-control"]
    assert "ort.jspi.bundle.min.js" not in found


def test_threads_where_the_page_is_isolated_and_one_in_a_foreign_frame(
    browser: Any, address: str, serve: Serve, tmp_path: Path
) -> None:
    """Alone the page is isolated by its headers; in another site's page it works all the same, on one thread."""
    visit = Visit(browser, address)
    assert visit.page.evaluate("crossOriginIsolated")
    threads = min(4, int(visit.page.evaluate("navigator.hardwareConcurrency")))
    said = use_device(visit)
    assert (f"{threads} threads" in said) == (threads > 1)
    visit.context.close()
    (tmp_path / "index.html").write_text(f"<iframe src='{address}' width='1200' height='900'></iframe>")
    page = browser.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: failures.append(message.text) if "Error" in message.text else None)
    page.goto(serve(tmp_path).replace("127.0.0.1", "localhost"))  # another site, where nothing may be remembered
    inner = page.frame_locator("iframe")
    inner.locator("#sr-place").get_by_label("My device").check()
    inner.locator(".sr-device", has_text="for a megapixel").wait_for(timeout=120_000)
    assert "WebAssembly:" in inner.locator(".sr-device").inner_text()
    zoom = inner.locator(".sr-percent").inner_text()
    inner.locator(".sr-stage").focus()
    page.keyboard.press("+")
    assert inner.locator(".sr-percent").inner_text() != zoom
    assert failures == []
    page.close()


@pytest.fixture(scope="module")
def gpu_browser(browser: Any) -> Iterator[Any]:
    """A browser with a graphics processor made of software, which is slow and computes rightly."""
    software = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, *SOFTWARE_GPU])
    yield software
    software.close()


@pytest.mark.slow
def test_webgpu_makes_the_same_picture(gpu_browser: Any, address: str, tmp_path: Path) -> None:
    """Where there is an adapter the pictures are the server's too, and larger networks are offered."""
    visit = Visit(gpu_browser, f"{address}?backend=webgpu")
    assert visit.page.evaluate("navigator.gpu.requestAdapter().then((adapter) => adapter !== null)")
    assert use_device(visit).startswith("WebGPU")
    assert visit.page.locator("#sr-preset input:enabled").count() > 1
    photo((61, 40)).save(tmp_path / "small.png")
    visit.choose(tmp_path / "small.png")
    visit.task("Enlarge")
    visit.press()
    assert "WebGPU" in visit.page.inner_text(".sr-line")
    expected = Upscaler(tiny_model(), "cpu")(images.load(tmp_path / "small.png"))
    assert furthest(visit.save(1, tmp_path), expected) <= 1
    visit.context.close()
    assert visit.errors == []


WRONG_NUMBERS = """
import * as ort from "./ort.jspi.bundle.min.js?real";
export const { env, Tensor } = ort;
export const InferenceSession = {
  async create(...given) {
    const session = await ort.InferenceSession.create(...given);
    const run = async (feeds) => {
      const { output } = await session.run(feeds);
      const data = (await output.getData()).map((value) => value + 2 / 255);
      return { output: { getData: async () => data, dispose: () => output.dispose() } };
    };
    return { run, release: () => session.release() };
  },
};
"""


@pytest.mark.parametrize(
    ("file", "body", "kind"),
    [
        ("*jspi.wasm.gz", "no program", "application/wasm"),
        ("ort.jspi.bundle.min.js", WRONG_NUMBERS, "text/javascript"),
    ],
    ids=["broken", "wrong by two levels"],
)
def test_an_adapter_that_fails_is_given_up_for_webassembly(
    gpu_browser: Any, address: str, tmp_path: Path, file: str, body: str, kind: str
) -> None:
    """Once and for all, whether it gives nothing or wrong numbers: the page says so, and the picture is right."""
    visit = Visit(gpu_browser, f"{address}?backend=webgpu")
    visit.context.route(f"**/{file}", lambda route: route.fulfill(body=body, content_type=kind))
    asked: list[str] = []
    visit.context.on("request", lambda request: asked.append(request.url))
    visit.page.locator("#sr-preset input[value='nano']").check()
    said = use_device(visit)
    assert said.startswith("The graphics processor did not work here")
    presets = visit.page.locator("#sr-preset input:enabled")
    assert presets.evaluate_all("(all) => all.map((each) => each.value)") == ["nano"]
    visit.page.locator(".sr-device", has_text="WebAssembly").wait_for()
    photo((61, 40)).save(tmp_path / "small.png")
    visit.choose(tmp_path / "small.png")
    visit.task("Enlarge")
    assert visit.press() == "Done."
    assert "WebAssembly" in visit.page.inner_text(".sr-line")
    expected = Upscaler(tiny_model(), "cpu")(images.load(tmp_path / "small.png"))
    assert furthest(visit.save(1, tmp_path), expected) <= 1
    assert visit.page.inner_text(".sr-device").count("The graphics processor") == 1
    assert len([url for url in asked if url.endswith("ort.jspi.bundle.min.js")]) == 1
    visit.context.close()
