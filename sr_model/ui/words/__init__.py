"""The page's words in several languages, one file for each."""

import json
from functools import cache
from pathlib import Path

import gradio as gr

LANGUAGES = ("en", "de", "es", "fr", "zh", "ja")


@cache
def read() -> dict[str, dict[str, str]]:
    """By language and key."""
    folder = Path(__file__).parent
    found = {}
    for language in LANGUAGES:
        path = folder / f"{language}.json"
        if path.exists():
            found[language] = json.loads(path.read_text(encoding="utf-8"))
    return found


def translations() -> gr.I18n:
    """For Gradio's `launch`: its own components and ours take their words from it."""
    return gr.I18n(**read())


WORD = translations()  # WORD("key") is a text of Gradio's components, in the visitor's language
