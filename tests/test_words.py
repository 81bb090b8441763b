"""The page's words in all of its languages."""

import html
import re
from pathlib import Path

import pytest

from sr_model.networks import presets
from sr_model.ui import texts, words
from sr_model.ui.standalone.static_page import STATIC

OTHERS = [language for language in words.LANGUAGES if language != "en"]


def gaps(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_words_of_english(language: str) -> None:
    """The same keys in the same order, and each sentence has the same gaps and says something."""
    english, other = words.read(), words.read(language)
    assert list(other) == list(english)
    assert {key: gaps(other[key]) for key in english} == {key: gaps(text) for key, text in english.items()}
    assert all(text.strip() for text in other.values())


def test_the_scripts_know_the_languages_that_there_are() -> None:
    """The list in the browser is that of the files, and of the package."""
    script = (Path(words.__file__).parent / "words.js").read_text(encoding="utf-8")
    listed = re.search(r"LANGUAGES = \[(.*?)\]", script)
    assert listed
    assert tuple(re.findall(r'"(\w+)"', listed[1])) == words.LANGUAGES
    assert {path.stem for path in Path(words.__file__).parent.glob("*.json")} == set(words.LANGUAGES)


def test_what_has_no_key_in_the_code_is_found_by_its_english_text() -> None:
    """Networks, the text for programs, and the page without a server say the very words of en.json."""
    english = words.read()
    for name, preset in presets.PRESETS.items():
        assert (english[f"preset_{name}"], english[f"about_{name}"]) == (preset.title, preset.about)
    program = texts.api("nano", 2)
    assert all(english[key] in program for key in english if key.startswith("program"))
    index = (STATIC / "index.html").read_text(encoding="utf-8")
    written = re.findall(r'<(?:h1|h2|p) data-word="(\w+)">(.*?)</', index, re.DOTALL)
    assert len(written) > 10
    assert {key: " ".join(html.unescape(text).split()) for key, text in written} == {
        key: english[key] for key, _ in written
    }


def test_a_block_fills_its_gaps() -> None:
    """What stands there before it is translated is English with the values in it, which come along for later."""
    block = words.block("limits", "limits_1", **texts.LIMITS)
    assert "at most 16 megapixels and 30 MB" in block
    assert "{" not in re.sub(r'data-values="[^"]*"', "", block)
    assert "&quot;pixels&quot;: &quot;16&quot;" in block
