"""Several files at once, as a person drops them, in a real browser."""

import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler
from sr_model.networks.autoencoder import Autoencoder
from sr_model.ui.many import turns
from sr_model.ui.serving.crowd import Crowd
from tests.browser.conftest import Visit
from tests.browser.test_page import SCREENSHOTS
from tests.conftest import EXAMPLES, tiny_model

CHELSEA = EXAMPLES / "chelsea.png"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A picture, a text, and a zip of another picture and of a file that leads out of it."""
    photo = Image.open(CHELSEA).convert("RGB")
    photo.crop((90, 40, 210, 120)).save(tmp_path / "a.png")
    photo.crop((200, 100, 290, 160)).save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("no picture")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "b.png", "trip/b.png")
        archive.write(tmp_path / "b.png", "../c.png")
    return [tmp_path / name for name in ("a.png", "notes.txt", "more.zip")]


def rows(visit: Visit) -> list[tuple[str, str]]:
    """(name, state) of each row."""
    found = visit.page.locator(".sr-row").all()
    return [(row.locator(".sr-row-name").inner_text(), str(row.get_attribute("data-state"))) for row in found]


def test_several_files_become_a_zip(
    visit: Visit, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row each, bad ones say why, the results come as one zip; afterwards one picture is as it always was.

    Others wait meanwhile, so each picture has a turn of its own in the queue.
    """
    monkeypatch.setattr(turns, "TURN", 0.0)
    monkeypatch.setattr(Crowd, "waiting", 1)
    page = visit.page
    page.set_input_files("#sr-picture input", files)
    page.locator(".sr-queue-line", has_text="2 to enlarge").wait_for()
    expected = [("a.png", "waiting"), ("notes.txt", "refused"), ("trip/b.png", "waiting"), ("../c.png", "refused")]
    assert rows(visit) == expected
    assert page.locator(".sr-row", has_text="leads out of the zip").count() == 1
    assert not page.locator("#sr-viewer").is_visible()
    assert not page.locator("#sr-mode").is_visible()
    assert visit.press() == "Done."
    page.locator(".sr-zip:visible").wait_for()
    assert [state for _, state in rows(visit)] == ["done", "refused", "done", "refused"]
    with page.expect_download() as waiting:
        page.locator(".sr-zip").click()
    assert waiting.value.suggested_filename == "base-x2.zip"
    waiting.value.save_as(tmp_path / "got.zip")
    upscaler = Upscaler(tiny_model(), "cpu")
    with zipfile.ZipFile(tmp_path / "got.zip") as archive:
        for name, source in (("a-base-x2.png", "a.png"), ("trip/b-base-x2.png", "b.png")):
            large = images.load(archive.read(name)).pixels
            assert np.array_equal(large, upscaler(images.load(tmp_path / source)).pixels)
        assert len(archive.namelist()) == 2
    for width, scheme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"several-{width}-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    page.get_by_label("Results as").select_option("webp")
    page.locator(".sr-queue-line", has_text="2 to enlarge").wait_for()
    visit.choose(tmp_path / "a.png")
    assert not page.locator(".sr-queue").is_visible()
    assert page.locator("#sr-mode").is_visible()
    visit.press()
    assert visit.labels() == [("Bicubic", "240x160"), ("Autoencoder", "240x160")]


def test_cancel_and_go_on(visit: Visit, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancel keeps what is done, another press does the rest; all of it by the keyboard."""
    page = visit.page
    done, go_on = threading.Event(), threading.Event()
    prepare = Autoencoder.prepare
    calls: list[int] = []

    def held(self: Autoencoder, x: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            done.set()
            go_on.wait(60)
        return prepare(self, x)

    shutil.copy(tmp_path / "b.png", tmp_path / "c.png")
    page.set_input_files("#sr-picture input", [files[0], tmp_path / "b.png", tmp_path / "c.png"])
    page.locator(".sr-queue-line", has_text="3 to enlarge").wait_for()
    visit.forget()
    monkeypatch.setattr(Autoencoder, "prepare", held)
    page.locator("#sr-run").focus()
    page.keyboard.press("Enter")
    assert done.wait(60)
    page.locator(".sr-row[data-state='done']").wait_for()
    page.keyboard.press("Escape")
    page.locator("#sr-status", has_text="Cancelling").wait_for()
    go_on.set()
    assert visit.ended("cancelled") == "Cancelled."
    page.locator(".sr-queue-line", has_text="2 to enlarge").wait_for()
    states = dict(rows(visit))
    assert (states["a.png"], states["c.png"]) == ("done", "waiting")
    visit.forget()
    page.locator("#sr-run").press("Enter")
    visit.ended()
    assert [state for _, state in rows(visit)] == ["done"] * 3
    assert len(calls) <= 5
    page.get_by_role("button", name="Remove").first.press("Enter")
    assert not page.locator(".sr-queue").is_visible()
    page.get_by_label("My device").check()
    page.set_input_files("#sr-picture input", [files[0], tmp_path / "b.png"])
    page.get_by_role("alert").filter(has_text="not by your device").wait_for()
