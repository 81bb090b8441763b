"""What one does with a picture: other sizes, several networks, downloads in four formats."""

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_model.imaging import images
from sr_model.inference.upscaler import best_tile, enlarge_bicubic
from sr_model.networks.autoencoder import Autoencoder
from sr_model.ui.jobs import showing
from tests.browser.conftest import Visit
from tests.conftest import EXAMPLES, tiny_model

CHELSEA = EXAMPLES / "chelsea.png"


def test_a_width_in_pixels(tab: Visit, tmp_path: Path) -> None:
    """The next larger scale and then a good downscale give the very width that was asked for."""
    Image.open(CHELSEA).crop((0, 0, 60, 40)).save(tmp_path / "small.png")
    tab.choose(tmp_path / "small.png")
    tab.page.locator("#sr-scale").get_by_label("Size").check()
    tab.page.locator(".sr-target input").fill("90")
    tab.page.locator(".sr-target input").blur()
    tab.page.locator(".sr-plan-text", has_text="60×40 → 90×60").wait_for()
    assert tab.press() == "Done."
    assert tab.labels() == [("Bicubic", "90x60"), ("Autoencoder", "90x60")]
    path = tab.save(1, tmp_path)
    assert (path.name, Image.open(path).size) == ("small-base-90x60.png", (90, 60))
    tab.page.locator("#sr-scale").get_by_label("2x").check()


def test_what_was_added_is_a_number_and_a_map(tab: Visit) -> None:
    """After Enlarge each method has its agreement with the input; maps say what was added and where it disagrees."""
    tab.choose(CHELSEA)
    tab.press()
    assert [row[0] for row in tab.scores()] == ["Bicubic", "Autoencoder"]
    assert all(row[1].endswith(" dB") for row in tab.scores())
    tab.page.get_by_role("button", name="What was added").click()
    assert tab.page.locator(".sr-map").count() == 1
    assert "Difference from bicubic" in tab.page.inner_text(".sr-bar-legend")
    tab.page.get_by_role("button", name="Disagreement").click()
    assert tab.page.locator(".sr-map").count() == 2
    assert "shrunk back" in tab.page.inner_text(".sr-bar-legend")
    tab.page.wait_for_function("[...document.querySelectorAll('.sr-map')].every((i) => i.naturalWidth == 451)")
    tab.page.get_by_role("button", name="Disagreement").click()
    assert tab.page.locator(".sr-map").count() == 0


@pytest.mark.parametrize(("kind", "name"), [("webp", "WEBP"), ("avif", "AVIF"), ("jpg", "JPEG")])
def test_downloads_in_other_formats(tab: Visit, tmp_path: Path, kind: str, name: str) -> None:
    """The name carries preset and scale, WebP is without loss, and the file's size is said."""
    expected = np.asarray(Image.open(tab.save(1, tmp_path)), int)
    path = tab.save(1, tmp_path, kind)
    assert path.name == f"chelsea-base-x2.{kind}"
    image = Image.open(path)
    assert image.format == name
    difference = np.abs(np.asarray(image.convert("RGB"), int) - expected)
    assert (difference.max() == 0) == (kind == "webp")
    assert tab.page.inner_text(".sr-saved") == f"{path.stat().st_size / 1e6:.2f} MB"


def test_a_download_that_fails_says_why(tab: Visit, tmp_path: Path) -> None:
    """A format that cannot hold the result is refused in words, and another one still works."""
    Image.new("L", (9000, 2)).save(tmp_path / "wide.png")
    tab.choose(tmp_path / "wide.png")
    tab.press()
    saving = tab.page.locator(".sr-saving")
    saving.locator("select").nth(1).select_option("webp")
    saving.get_by_role("button", name="File size").click()
    saving.get_by_text("18000x4 pixels do not fit into a webp file").wait_for()
    assert Image.open(tab.save(1, tmp_path)).size == (18000, 4)
    tab.errors.remove("Failed to load resource: the server responded with a status of 400 (Bad Request)")


def test_a_result_is_copied_to_the_clipboard(tab: Visit, tmp_path: Path) -> None:
    """What another program pastes is the picture, pixel for pixel."""
    tab.choose(CHELSEA)
    tab.press()
    expected = np.asarray(Image.open(tab.save(1, tmp_path)))
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.locator(".sr-saving").get_by_role("button", name="Copy").click()
    tab.page.locator(".sr-saved", has_text="Copied.").wait_for()
    data = tab.page.evaluate(
        """async () => {
            const [item] = await navigator.clipboard.read();
            const blob = await item.getType("image/png");
            return [...new Uint8Array(await blob.arrayBuffer())];
        }"""
    )
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB")), expected)


def test_networks_side_by_side(tab: Visit) -> None:
    """Two to four of them: a pane, the time and the numbers each; one alone is refused in words."""
    tab.choose(CHELSEA)
    tab.task("Networks")
    networks = tab.page.locator("#sr-networks")
    for box in networks.get_by_role("checkbox").all():
        box.uncheck()
    for name in ("Classic", "Fast", "Fine", "Photos"):
        networks.get_by_label(name).check()
    assert tab.press() == "Done."
    assert [title for title, _ in tab.labels()] == ["Classic", "Fast", "Fine", "Photos", "Reference"]
    rows = {row[0]: row[1:] for row in tab.scores()}
    assert list(rows) == ["Bicubic", "Classic", "Fast", "Fine", "Photos"]
    assert all(rows[name][3].endswith(" s") for name in ("Fast", "Fine", "Classic", "Photos"))
    networks.get_by_label("Fine").uncheck()
    networks.get_by_label("Photos").uncheck()
    networks.get_by_label("Classic").uncheck()
    assert "2 to 4 different networks" in tab.press("refused")
    tab.task("Enlarge")


def test_the_strength_of_repair(tab: Visit, tmp_path: Path) -> None:
    """Only where the preset has one: found by itself and said, or set by hand; results of another strength say so."""
    strength = tab.page.locator("#sr-strength")
    assert not strength.is_visible()
    Image.open(CHELSEA).convert("RGB").crop((90, 40, 330, 240)).save(tmp_path / "worn.jpg", quality=75)
    tab.choose(tmp_path / "worn.jpg")
    tab.page.locator("#sr-preset").get_by_label("Photos").check()
    strength.get_by_text("Found for this picture: 81 %").wait_for()
    slider, auto = strength.get_by_role("slider"), strength.get_by_role("checkbox")
    assert (slider.input_value(), auto.is_checked()) == ("0.8125", True)
    tab.press()
    stamp, stale = tab.page.locator(".sr-stamp"), tab.page.locator(".sr-stale")
    assert (stamp.inner_text(), stale.inner_text()) == ("Photos 2x · 81%", "")
    slider.focus()
    tab.page.keyboard.press("Home")
    assert (strength.locator("output").inner_text(), auto.is_checked()) == ("0 %", False)
    assert "other settings (Photos 2x · 81%)" in stale.inner_text()
    tab.press()
    assert (stamp.inner_text(), stale.inner_text()) == ("Photos 2x · 0%", "")
    tab.compare()
    tab.page.get_by_label("As on the web").check()
    auto.check()
    assert strength.get_by_text("shown here").is_visible(), "what is shrunk first is not known before"
    tab.press()
    found = stamp.inner_text().split(" · ")[1]
    assert strength.locator("output").inner_text().replace(" ", "") == found != "0%"
    tab.page.get_by_label("Cleanly").check()
    tab.page.locator("#sr-preset").get_by_label("Fine").check()
    assert not strength.is_visible()
    tab.task("Enlarge")


def test_large_results_are_drawn_from_a_preview_and_tiles(
    tab: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file of the whole is loaded: a preview, and where one zooms in only the tiles that are seen."""
    monkeypatch.setattr(showing, "WHOLE", 100_000)
    monkeypatch.setattr(showing, "PREVIEW", 20_000)
    monkeypatch.setattr(showing, "TILE", 64)
    loaded: list[str] = []
    tab.page.on("request", lambda request: loaded.append(request.url))
    tab.choose(CHELSEA)
    tab.press()
    assert tab.labels()[1] == ("Autoencoder", "902x600")
    assert [url for url in loaded if "/download" in url] == []
    assert any("preview.png" in url for url in loaded)
    tab.page.get_by_role("button", name="200 %").click()
    assert 0 < tab.page.locator(".sr-tile").count() <= 2 * 48, "where those around it were too many, what is seen"
    tab.page.get_by_role("button", name="400 %").click()
    tab.page.wait_for_function(
        "(() => { const all = [...document.querySelectorAll('.sr-tile')];"
        " return all.length && all.every((t) => t.complete && t.naturalWidth); })()"
    )
    tiles = len({url for url in loaded if ".tiles/" in url})
    assert 0 < tiles < 2 * 15 * 10 / 2, "of two pictures with 15 times 10 tiles each"
    whole = np.asarray(Image.open(tab.save(0, tmp_path)))
    expected = images.load(CHELSEA)
    assert whole.shape == (600, 902, 3)
    assert np.array_equal(whole, enlarge_bicubic(expected, 2).pixels)


def test_progress_is_in_the_tab_s_title(tab: Visit) -> None:
    """Who looks at another tab sees how far it is; afterwards the title is the page's again."""
    tab.page.evaluate(
        """() => {
            window.titles = [];
            new MutationObserver(() => window.titles.push(document.title))
                .observe(document.querySelector("title"), { childList: true, characterData: true, subtree: true });
        }"""
    )
    tab.choose(CHELSEA)
    tab.press()
    titles = tab.page.evaluate("window.titles")
    assert any(" · Super-resolution" in title for title in titles)
    assert tab.page.title() == "Super-resolution autoencoder"


@pytest.mark.parametrize("suffix", ["heic", "tiff"])
def test_pictures_that_browsers_cannot_show(tab: Visit, tmp_path: Path, suffix: str) -> None:
    """The server shows what was uploaded, and enlarges it like any other."""
    path = tmp_path / f"phone.{suffix}"
    Image.open(CHELSEA).convert("RGB").crop((0, 0, 64, 48)).save(path)
    tab.choose(path)
    label = tab.page.locator(".sr-label", has_text="Your picture").filter(has_text="64x48")
    label.wait_for()
    tab.page.wait_for_function("document.querySelector('.sr-base').naturalWidth == 64")
    assert tab.press() == "Done."
    assert tab.labels()[1] == ("Autoencoder", "128x96")


def test_shortcuts(tab: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+O opens the file dialogue. Esc stops the work, and only when that has ended new work can begin."""
    # Playwright intercepts dialogues from the first listener on, and does not wait until the browser has heard of it.
    tab.page.on("filechooser", lambda chooser: None)
    tab.page.evaluate("0")
    with tab.page.expect_file_chooser() as waiting:
        tab.page.keyboard.press("Control+o")
    assert waiting.value.element.get_attribute("class") == "sr-file"
    prepare = Autoencoder.prepare
    begun, go_on = threading.Event(), threading.Event()

    def held(self: Autoencoder, x: Any) -> Any:
        begun.set()
        go_on.wait(60)
        return prepare(self, x)

    Image.new("RGB", (3 * best_tile(tiny_model()), 64)).save(tmp_path / "wide.png")
    tab.choose(tmp_path / "wide.png")
    tab.forget()
    monkeypatch.setattr(Autoencoder, "prepare", held)
    tab.page.click("#sr-run")
    assert begun.wait(60)
    tab.page.wait_for_selector("#sr-cancel")
    tab.page.keyboard.press("Escape")
    tab.page.locator("#sr-status", has_text="Cancelling").wait_for()
    tab.page.keyboard.press("Escape")
    tab.page.wait_for_timeout(300)
    assert not tab.page.locator("#sr-run").is_visible()
    go_on.set()
    assert tab.ended("cancelled") == "Cancelled."
    tab.press()
    tab.page.wait_for_timeout(300)
    assert tab.page.inner_text("#sr-status").strip() == "Done."
