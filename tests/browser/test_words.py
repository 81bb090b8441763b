"""The page in other languages than English."""

import io
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from sr_model.errors import SRError
from sr_model.evaluation.comparison import shrink_picture
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.networks import presets
from sr_model.ui import cache, limits, texts, words, work
from sr_model.ui.jobs import beside, sizing
from sr_model.ui.many import plans, rows, unpacking
from sr_model.ui.serving import crowd, downloads
from tests.browser.conftest import Visit
from tests.conftest import EXAMPLES

# The names that browsers have for them; one is the second choice of a visitor whose first the page does not know.
TAGS = {"de": ["de-AT"], "es": ["es-ES"], "fr": ["pt-BR", "fr-CA"], "zh": ["zh-Hans-SG"], "ja": ["ja-JP"]}
# Texts of what is seen, and of what screen readers say; labels and buttons that are cut; the width of all.
LOOK = """() => {
    const seen = (node) => node.getClientRects().length && getComputedStyle(node).visibility !== "hidden";
    const tags = "h1, h2, p, span, strong, b, label, legend, button, option, th, td, summary";
    const all = [...document.querySelectorAll(tags)];
    const texts = all.filter(seen).map((node) => node.innerText.trim());
    const named = [...document.querySelectorAll("[aria-label], [alt]")].filter(seen);
    texts.push(...named.map((node) => node.getAttribute("aria-label") || node.alt));
    const fitted = [...document.querySelectorAll("button, legend, .sr-choice label, .sr-saving label")];
    const cut = fitted.filter((node) => seen(node) && node.scrollWidth > node.clientWidth + 1);
    return { texts, cut: cut.map((node) => node.innerText), width: document.documentElement.scrollWidth };
}"""


def sentence(work: Callable[[], Any]) -> str:
    with pytest.raises(SRError) as raised:
        work()
    return str(raised.value)


def sentences(folder: Path) -> Iterator[str]:
    """What the server may say to visitors."""
    yield from (texts.NO_PICTURE, texts.FAILED, texts.NO_MEMORY, texts.REFUSED, texts.DONE, texts.CANCELLED)
    yield from (cache.FULL, downloads.GONE, plans.NO_SIZE, rows.TOO_MANY, rows.TOO_MUCH, rows.GONE)
    zips = ("DAMAGED", "EMPTY", "TOO_MANY", "LEADS_OUT", "LINK", "NESTED", "ENCRYPTED", "METHOD", "TOO_LARGE")
    yield from (getattr(unpacking, name) for name in (*zips, "BAD_MEMBER"))
    yield texts.TOO_LONG.format(seconds=200, most=120)
    for form in (crowd.OWN, crowd.FULL):
        yield from (form.format(count=4, when=crowd.in_words(seconds)) for seconds in (20, 60, 500))
    yield from (text for name in ("base", "base-int8") for text in (presets.find(name).title, presets.find(name).about))
    yield sentence(lambda: work.check_seconds(400, 120, 16_000_000))
    for how in ("3 times", "The size that you ask for of"):
        yield sentence(partial(work.check_result, (4000, 4000), (12000, 12000), how))
    small = Picture(np.zeros((2, 3, 3), np.uint8))
    yield sentence(lambda: work.fit_reference(small, (300, 200), 2))
    yield sentence(lambda: shrink_picture(small, 4))
    yield sentence(lambda: sizing.next_scale(5, [2]))
    yield sentence(lambda: images.check_size((20000, 300), ".webp"))
    yield sentence(lambda: sizing.target_of("wide"))
    yield sentence(lambda: beside.check_count(["nano"]))
    data = {"file": {"path": str(folder / "gone.png")}}
    yield sentence(lambda: limits.uploaded_path(data, folder))
    yield sentence(lambda: images.load(b"no picture"))
    yield sentence(lambda: images.load((EXAMPLES / "chelsea.png").read_bytes()[:5000]))
    buffer = io.BytesIO()
    Image.new("1", (5000, 5000)).save(buffer, "PNG")
    yield sentence(lambda: images.load(buffer.getvalue(), 16_000_000))


SAID = """async (all) => {
    const script = performance.getEntriesByType("resource").find(({ name }) => name.endsWith("/words/said.js"));
    const { said } = await import(script.name);
    return all.map((text) => said(text));
}"""


def test_8_bit_does_not_break_after_its_hyphen(visit: Visit) -> None:
    """In English too, where the server's words are shown as they are."""
    assert visit.page.evaluate(SAID, ["Fine, 8-bit", "Cat-scan"]) == ["Fine, 8\N{NON-BREAKING HYPHEN}bit", "Cat-scan"]


@pytest.mark.parametrize("language", list(TAGS))
def test_all_of_the_page_is_in_the_visitor_s_language_and_fits(
    browser: Any, address: str, tmp_path: Path, language: str
) -> None:
    """On a phone, for each task: no English is left, nothing is cut or sticks out, and axe finds nothing serious.

    What the server says is translated too.
    """
    tags = TAGS[language]
    visit = Visit(
        browser, address, viewport={"width": 390, "height": 844}, locale=tags[0], speaks=tags, color_scheme="dark"
    )
    page = visit.page
    english, own = words.read(), words.read(language)
    left = {text for key, text in english.items() if own[key] != text and "{" not in text}
    names = {text for key, text in own.items() if "{" not in text}
    page.locator(".sr-saving select").first.wait_for()
    page.get_by_role("button", name=own["run_compare"], exact=True).wait_for()
    assert page.evaluate("document.documentElement.lang") == {"zh": "zh-Hans"}.get(language, language)
    assert page.title() == own["title"]
    point = "." if language in ("zh", "ja") else ","
    assert re.fullmatch(rf"\d+\{point}\d\d dB", page.locator(".sr-scores td").first.inner_text())
    page.locator("details", has=page.locator("th")).locator("summary").click()  # the table of weights
    page.get_by_role("columnheader", name=own["weights_2"], exact=True).wait_for()
    for mode in ("compare", "enlarge", "networks"):
        page.locator("#sr-mode").get_by_label(own[mode], exact=True).check()
        page.get_by_role("button", name=own["run" if mode == "enlarge" else "run_compare"], exact=True).wait_for()
        look = page.evaluate(LOOK)
        assert left & set(look["texts"]) - names == set()
        assert (look["cut"], look["width"]) == ([], 390)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    asked = list(sentences(tmp_path))
    said = page.evaluate(SAID, asked)
    assert [
        text for text, other in zip(asked, said, strict=True) if text == other or re.search(r"\{|undefined", other)
    ] == []
    assert [text for text in said if re.search(r"(?<![\d.,])8[ -]\w", text)] == [], "8-bit stays on one line"
    visit.context.close()
    assert visit.errors == visit.strangers == []
