"""The page without a server, from a folder that Python's own web server serves, with and without a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from sr_model.commands.main import main
from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler, enlarge_bicubic
from sr_model.models import weights
from sr_model.ui.words import read
from tests.browser.conftest import Serve, Visit
from tests.browser.test_device import furthest, photo
from tests.conftest import tiny_model

SCREENSHOTS = Path("screenshots")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with tiny weights of nano at 2 and 4."""
    place, folder = tmp_path_factory.mktemp("weights"), tmp_path_factory.mktemp("site") / "below"
    for scale in (2, 4):
        weights.save(tiny_model(scale), "nano", place, {}, {})
    assert main(["export", "--page", str(folder), "--weights", str(place)]) == 0
    return folder


@pytest.fixture
def visit(browser: Any, serve: Serve, folder: Path) -> Iterator[Visit]:
    """A tab on the page, below its server's root; it must log no error and ask no other host for anything."""
    visit = Visit(browser, f"{serve(folder.parent)}{folder.name}/")
    visit.page.set_default_timeout(120_000)  # milliseconds: a busy machine fails no law
    yield visit
    visit.context.close()
    assert visit.strangers == []


def enlarge(visit: Visit, folder: Path, scale: int) -> None:
    """Choose a small photo and a scale, press, and compare both downloads with what the library makes."""
    path = folder / f"small-{scale}.png"
    photo((60 + scale, 40)).save(path)
    visit.choose(path)
    visit.page.locator("#sr-scale").get_by_label(f"{scale}x").check()
    visit.page.wait_for_selector("#sr-run:enabled")
    assert visit.press() == "Done."
    w, h = 60 + scale, 40
    assert visit.labels() == [(name, f"{scale * w}x{scale * h}") for name in ("Bicubic", "Autoencoder")]
    source = images.load(path)
    for i, picture in enumerate((enlarge_bicubic(source, scale), Upscaler(tiny_model(scale), "cpu")(source))):
        assert furthest(visit.save(i, folder), picture) <= 1


def test_the_page_enlarges_online_and_then_offline(visit: Visit, tmp_path: Path) -> None:
    """At both scales, with the library's pixels; reloaded without a network, under either of its names, it still does.

    Bad files are refused in words, and a browser finds nothing that keeps it from being installed.
    """
    enlarge(visit, tmp_path, 2)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    photo((30, 20)).convert("CMYK").save(tmp_path / "ink.jpg")
    for name, words in (("broken.png", "damaged"), ("ink.jpg", "CMYK")):
        visit.choose(tmp_path / name)
        visit.page.locator(".sr-plan-alert", has_text=words).wait_for()
        assert words in visit.press("refused")
    assert not visit.page.locator(".sr-offer").count()
    devtools = visit.context.new_cdp_session(visit.page)
    problems = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {problem["errorId"] for problem in problems} <= {"in-incognito"}  # as each test's tab is
    visit.errors.clear()  # the broken picture's
    visit.context.set_offline(True)
    place = visit.page.url.split("?")[0]
    visit.page.goto(f"{place}index.html")
    enlarge(visit, tmp_path, 4)
    visit.page.goto(place)
    enlarge(visit, tmp_path, 2)
    assert visit.errors == []


def test_the_page_works_in_another_site_s_frame(browser: Any, serve: Serve, folder: Path, tmp_path: Path) -> None:
    """As a static Space is shown; where the browser forbids it to keep anything, it works, but not offline."""
    (tmp_path / "index.html").write_text(f"<iframe src='{serve(folder)}' width='1200' height='900'></iframe>")
    page = browser.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(serve(tmp_path).replace("127.0.0.1", "localhost"))
    inside = page.frame_locator("iframe")
    photo((60, 40)).save(tmp_path / "small.png")
    inside.locator("#sr-picture input").set_input_files(tmp_path / "small.png")
    inside.locator("#sr-run:enabled").click(timeout=120_000)
    inside.locator(".sr-status[data-kind='done']").wait_for(timeout=120_000)
    assert inside.locator(".sr-label").first.inner_text().startswith("Bicubic")
    assert failures == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_is_accessible(visit: Visit, tmp_path: Path, scheme: Any) -> None:
    """An example runs with one press; wide and narrow nothing sticks out sideways, and axe finds nothing serious.

    Leaves screenshots to look at.
    """
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.wait_for_selector("#sr-run:enabled")
    visit.page.click("[data-name='chelsea.png']")
    visit.ended()
    assert [name for name, _ in visit.labels()] == ["Bicubic", "Autoencoder", "Reference"]
    SCREENSHOTS.mkdir(exist_ok=True)
    for width, height in ((1440, 900), (390, 844)):
        visit.page.set_viewport_size({"width": width, "height": height})
        visit.page.screenshot(path=SCREENSHOTS / f"standalone-{width}-{scheme}.png", full_page=True)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(visit.page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    assert visit.errors == []


def test_the_page_is_in_the_visitor_s_language(browser: Any, serve: Serve, folder: Path) -> None:
    """Its texts, controls and examples, and the words of the language are kept for later like all files."""
    german = Visit(browser, f"{serve(folder.parent)}{folder.name}/", locale="de-DE")
    page, own = german.page, read("de")
    page.get_by_role("button", name=own["run_compare"], exact=True).wait_for()
    for key in ("title", "lead_here", "how_1", "privacy_here", "enlarge", "example_chelsea"):
        page.get_by_text(own[key], exact=True).first.wait_for()
    assert page.evaluate("document.documentElement.lang") == "de"
    assert page.title() == own["title"]
    page.goto(f"{page.url}?mode=enlarge&scale=4&preset=base")
    page.locator("#sr-scale label:has(:checked)", has_text="4x").wait_for()
    page.get_by_role("button", name=own["run"], exact=True).wait_for()
    page.locator("#sr-scale").get_by_label("2x").check()
    page.wait_for_url("**/?mode=enlarge&scale=2&preset=base")
    assert "app/words/de.json" in (folder / "service.js").read_text(encoding="utf-8")
    german.context.close()
    assert german.errors == german.strangers == []
