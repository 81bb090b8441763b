"""The page's words in several languages, one file for each; `words.js` chooses in the browser."""

import html
import json
from functools import cache
from pathlib import Path

import gradio as gr

from sr_model.ui.serving.assets import assets_path

LANGUAGES = ("en", "de", "es", "fr", "zh", "ja")
IN_GRADIO = ("run_compare", "cancel")  # what its own components show before our scripts have come


@cache
def read(language: str = "en") -> dict[str, str]:
    """The words of a language by their keys."""
    found: dict[str, str] = json.loads((Path(__file__).parent / f"{language}.json").read_text(encoding="utf-8"))
    return found


def translations() -> gr.I18n:
    """For Gradio's `launch`. It knows the browser's first language only, and not each name that Chinese has."""
    return gr.I18n(**{each: {key: read(each)[key] for key in IN_GRADIO} for each in LANGUAGES})


WORD = translations()  # WORD("key") is a text of Gradio's components, in the visitor's language


def script(call: str) -> str:
    """JavaScript for an event: what `call` says of gradio.js, with `root`, the page's address, and `values`."""
    return f"""(...values) => {{
        const root = ((window.gradio_config || {{}}).root || new URL(".", document.baseURI).href).replace(/\\/$/, "");
        return import(`${{root}}/{assets_path()}/words/gradio.js`).then((words) => words.{call});
    }}"""


def block(heading: str, *paragraphs: str, **values: object) -> str:
    """HTML of words by their keys, in English until `words.js` translates it; `values` fill the gaps."""
    filled = html.escape(json.dumps(values))
    parts = [("h1" if heading == "title" else "h2", heading), *(("p", key) for key in paragraphs)]
    lines = [
        f'<{tag} data-word="{key}" data-values="{filled}">{html.escape(read()[key].format(**values))}</{tag}>'
        for tag, key in parts
    ]
    return "\n".join(lines)
