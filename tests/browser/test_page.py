"""The page as a person uses it, in a real browser."""

import base64
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from sr_model.evaluation import comparison
from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler, best_tile, enlarge_bicubic
from sr_model.networks.autoencoder import Autoencoder
from sr_model.ui.jobs import judging
from tests.browser.conftest import Visit
from tests.conftest import EXAMPLES, tiny_model

CHELSEA = EXAMPLES / "chelsea.png"
SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"


def numbers(picture: images.Picture, reference: images.Picture) -> list[str]:
    psnr, ssim = comparison.compare(picture, reference, 2)
    return [f"{psnr:.2f} dB", f"{ssim:.4f}", f"{judging.ssimulacra2_of(picture, reference):.1f}"]


def test_compare_shows_three_pictures_and_their_true_numbers(tab: Visit, tmp_path: Path) -> None:
    """What is shown, measured and downloaded is what the library computes, pixel for pixel."""
    tab.choose(CHELSEA)
    tab.compare()
    tab.press()
    assert tab.labels() == [("Bicubic", "450x300"), ("Autoencoder", "450x300"), ("Reference", "450x300")]
    low, high = comparison.shrink_picture(images.load(CHELSEA), 2)
    network, bicubic = Upscaler(tiny_model(), "cpu")(low), enlarge_bicubic(low, 2)
    names = ["chelsea-bicubic-x2.png", "chelsea-base-x2.png", "chelsea-reference.png"]
    for i, (name, picture) in enumerate(zip(names, (bicubic, network, high), strict=True)):
        path = tab.save(i, tmp_path)
        assert path.name == name
        assert np.array_equal(np.asarray(Image.open(path)), picture.pixels)
    expected = [["Bicubic", *numbers(bicubic, high)], ["Autoencoder", *numbers(network, high)]]
    assert tab.scores() == expected
    assert tab.page.locator(".sr-best").count() == 3
    assert "225x150 → 450x300" in tab.page.inner_text(".sr-line")


def test_the_first_sight_is_a_finished_example(visit: Visit) -> None:
    """Nobody meets an empty page: three pictures, loaded and measured."""
    assert [name for name, _ in visit.labels()] == ["Bicubic", "Autoencoder", "Reference"]
    visit.page.wait_for_function(
        "[...document.querySelectorAll('.sr-window img')].every((i) => i.complete && i.naturalWidth == i.width)"
    )
    assert len(visit.scores()) == 2


def test_the_first_load_is_small(visit: Visit) -> None:
    """The page, and the scripts, styles and words that are ours, take less than 150 KB on their way."""
    sizes = visit.page.evaluate(
        """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
          .map((each) => [new URL(each.name).pathname, each.transferSize])"""
    )
    own = {path: size for path, size in sizes if path == "/" or path.startswith("/sr-")}
    assert len(own) > 10
    assert all(own.values())
    assert sum(own.values()) < 150_000


def test_scripts_cannot_reach_another_host(browser: Any, address: str) -> None:
    """What the page does not load, a stranger's script or picture in it could not load either."""
    visit = Visit(browser, address)
    asked = """async (other) => {
      const picture = new Image();
      const failed = new Promise((done) => {
        picture.onerror = () => done("refused");
        picture.onload = () => done("loaded");
      });
      picture.src = `${other}/picture.png`;
      const fetched = await fetch(`${other}/secret`, { mode: "no-cors" }).then(() => "fetched", () => "refused");
      return [await failed, fetched];
    }"""
    # localhost is served by the same server, but for a browser it is another host than 127.0.0.1
    other = address.rstrip("/").replace("127.0.0.1", "localhost")
    assert visit.page.evaluate(asked, other) == ["refused", "refused"]
    assert any("Content Security Policy" in error for error in visit.errors)
    visit.context.close()


def test_enlarge_with_and_without_a_reference(tab: Visit, tmp_path: Path) -> None:
    """Two panes without one; three and the numbers with one, cut to fit; one of a wrong size is refused."""
    reference = Image.open(CHELSEA).convert("RGB").crop((0, 0, 121, 80))
    reference.save(tmp_path / "large.png")
    high = images.from_pil(reference.crop((0, 0, 120, 80)))
    low, _ = comparison.shrink_picture(high, 2)
    images.save(images.to_pil(low), tmp_path / "low.png")
    tab.choose(tmp_path / "low.png")
    tab.task("Enlarge")
    tab.press()
    assert tab.labels() == [("Bicubic", "120x80"), ("Autoencoder", "120x80")]
    assert "Without a reference" in tab.page.inner_text(".sr-note")
    assert [len(row) for row in tab.scores()] == [2, 2], "each method and how it agrees with the picture"
    tab.choose(CHELSEA, "#sr-reference")
    sentence = tab.press("refused")
    assert "451x300" in sentence
    assert "120x80" in sentence
    tab.choose(tmp_path / "large.png", "#sr-reference")
    tab.press()
    assert tab.labels()[2] == ("Reference", "120x80")
    network = Upscaler(tiny_model(), "cpu")(low)
    assert tab.scores()[1] == ["Autoencoder", *numbers(network, high)]


def test_a_bad_file_is_refused_in_words_and_the_next_one_works(tab: Visit, tmp_path: Path) -> None:
    """The reason stays on the page, and nothing is broken after it."""
    (tmp_path / "cut.png").write_bytes(CHELSEA.read_bytes()[:5000])
    tab.choose(tmp_path / "cut.png")
    assert "damaged or cut off" in tab.press("refused")
    assert tab.page.get_by_role("alert").filter(has_text="damaged").is_visible()
    assert tab.page.locator(".toast-wrap *").count() == 0
    tab.choose(CHELSEA)
    tab.compare()
    tab.press()
    assert len(tab.labels()) == 3


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(tab: Visit, tmp_path: Path) -> None:
    """The visitor does not wait for an upload that cannot succeed."""
    (tmp_path / "large.png").write_bytes(bytes(31 * 1024**2))
    sent: list[str] = []
    tab.page.on("request", lambda request: sent.append(request.url))
    tab.page.set_input_files("#sr-picture input", tmp_path / "large.png")
    alert = tab.page.locator("#sr-picture [role='alert']")
    alert.filter(has_text="at most 30 MB").wait_for()
    assert not [url for url in sent if "/upload" in url]
    assert "Choose a picture first" in tab.press("refused")


def hand_over(visit: Visit, event: str, target: str, name: str) -> None:
    """Dispatch a paste or drop of the example photo, as the browser does for a file of that name."""
    visit.page.evaluate(
        """([event, target, name, data]) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: "image/png" }));
            const options = { bubbles: true, cancelable: true };
            document.querySelector(target).dispatchEvent(
                event === "paste"
                    ? new ClipboardEvent(event, { ...options, clipboardData: transfer })
                    : new DragEvent(event, { ...options, dataTransfer: transfer }),
            );
        }""",
        [event, target, name, base64.b64encode(CHELSEA.read_bytes()).decode()],
    )


@pytest.mark.parametrize(
    ("event", "target"), [("paste", "body"), ("drop", "#sr-picture .sr-zone"), ("drop", "#sr-viewer")]
)
def test_pictures_can_be_pasted_and_dropped(visit: Visit, tmp_path: Path, event: str, target: str) -> None:
    """By paste or drop, anywhere on the page, the file's own bytes arrive."""
    hand_over(visit, event, target, "handed.png")
    visit.chosen("handed.png")
    visit.compare()
    visit.press()
    reference = np.asarray(Image.open(visit.save(2, tmp_path)))
    assert np.array_equal(reference, np.asarray(Image.open(CHELSEA).convert("RGB"))[:, :450])


def test_a_drop_on_the_reference_is_the_reference(tab: Visit) -> None:
    """The second picker takes what falls on it, and the first does not."""
    tab.task("Enlarge")
    tab.page.wait_for_selector("#sr-reference .sr-zone:visible")
    hand_over(tab, "drop", "#sr-reference .sr-zone", "handed.png")
    tab.chosen("handed.png", "#sr-reference")
    assert "handed.png" not in tab.page.inner_text("#sr-picture")


def test_an_example_runs_with_one_press(tab: Visit) -> None:
    """The picture, its name, the plan and the results change together; a task chosen by hand stays chosen."""
    tab.forget()
    tab.page.click("[data-name='coffee.png']")
    tab.chosen("Coffee cup")
    tab.ended()
    assert tab.labels()[0] == ("Bicubic", "600x400")
    tab.page.locator(".sr-plan-text", has_text="600×400 → 1200×800").wait_for()


def test_the_scales_follow_the_preset(tab: Visit) -> None:
    """Only scales that the preset has weights for can be chosen."""
    tab.choose(CHELSEA)
    tab.compare()
    scales = tab.page.locator("#sr-scale label")
    assert scales.all_inner_texts() == ["2x", "Size"]
    tab.page.locator("#sr-preset").get_by_label("Fast").check()
    scales.nth(2).wait_for()
    tab.page.get_by_label("3x").check()
    tab.press()
    assert tab.labels()[1] == ("Autoencoder", "450x300")
    assert tab.page.locator(".sr-stamp").inner_text() == "Fast 3x"
    assert tab.page.locator(".sr-saving option").nth(1).get_attribute("value") == "chelsea-nano-x3.png"
    tab.page.locator("#sr-preset").get_by_label("Fine").check()
    scales.nth(2).wait_for(state="detached")
    assert tab.page.get_by_label("2x").is_checked()


def test_cancel_stops_the_work(tab: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The button answers at once, no further tile is computed, and the next press works."""
    done = []
    prepare = Autoencoder.prepare  # called once for each tile, whatever the engine

    def slow(self: Autoencoder, x: Any) -> Any:
        time.sleep(0.2)
        done.append(1)
        return prepare(self, x)

    Image.new("RGB", (10 * best_tile(tiny_model()), 64)).save(tmp_path / "wide.png")
    tab.choose(tmp_path / "wide.png")
    tab.task("Enlarge")
    with monkeypatch.context() as patch:
        patch.setattr(Autoencoder, "prepare", slow)
        tab.page.click("#sr-run")
        tab.page.wait_for_function(
            "/[1-5] of 10 tiles done, about \\d+ s left/.test(document.querySelector('#sr-status').innerText)"
        )
        tab.page.click("#sr-cancel")
        assert tab.ended("cancelled") == "Cancelled."
        time.sleep(0.5)
        stopped = len(done)
        time.sleep(0.5)
        assert len(done) == stopped < 10
    tab.choose(CHELSEA)
    tab.press()


def test_nothing_is_left_in_the_browser(visit: Visit) -> None:
    """After a run there are no cookies, no databases, and no trace of the picture in the storage."""
    visit.choose(CHELSEA)
    visit.press()
    assert visit.context.cookies() == []
    assert visit.page.evaluate("indexedDB.databases()") == []
    assert "chelsea" not in visit.page.evaluate("JSON.stringify([localStorage, sessionStorage])")


def test_every_control_has_a_name_and_can_be_reached(visit: Visit) -> None:
    """Tab leads through all controls, and each says what it is."""
    visit.page.evaluate("document.activeElement.blur()")
    names = []
    for _ in range(50):
        visit.page.keyboard.press("Tab")
        names.append(
            visit.page.evaluate(
                """() => {
                    const node = document.activeElement;
                    const label = node.labels && node.labels[0];
                    return node.getAttribute("aria-label") || (label || node).innerText || "";
                }"""
            ).strip()
        )
    everything = " | ".join(names)
    for name in (
        "choose a file",
        "Remove",
        "Compare",
        "2x",
        "Fine",
        "Zoom in",
        "Fit",
        "Side by side",
        "Only Bicubic",
        "Raccoon",
    ):
        assert name in everything
    for name in ("Loupe", "Error map", "Download", "Copy"):
        assert name in everything
    assert all(names[:20])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_page_fits_wide_and_narrow_light_and_dark(
    browser: Any, address: str, width: int, height: int, scheme: Any
) -> None:
    """Nothing sticks out sideways, axe finds nothing serious, and the background follows the visitor's setting.

    Leaves screenshots to look at.
    """
    visit = Visit(browser, address, viewport={"width": width, "height": height}, color_scheme=scheme)
    visit.page.locator(".sr-window").first.wait_for()
    visit.page.wait_for_function("document.fonts.status === 'loaded' && [...document.images].every((i) => i.complete)")
    SCREENSHOTS.mkdir(exist_ok=True)
    visit.page.screenshot(path=SCREENSHOTS / f"page-{width}-{scheme}.png", full_page=True)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(visit.page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in background.strip("rgba()").split(",")[:3]) / 3
    assert (brightness > 128) == (scheme == "light")
    tops = visit.page.locator(".sr-window").evaluate_all("(all) => all.map((p) => p.getBoundingClientRect().top)")
    assert len(set(tops)) == (1 if width > 700 else 3)
    visit.context.close()
    assert visit.errors == visit.strangers == []
