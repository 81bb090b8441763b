"""The page's own components: Gradio's HTML component with a fixed template and a module that fills it.

No value is ever put into a template: Gradio compiles templates as JavaScript, and names of files come from strangers.
The modules set text and attributes only.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gradio as gr

from sr_model.inference.mixing import AUTO, STEPS
from sr_model.ui.device.offered import runtime_megabytes
from sr_model.ui.jobs import maps
from sr_model.ui.limits import MAX_BYTES, MAX_PIXELS, MAX_RESULT_PIXELS
from sr_model.ui.many.plans import FORMATS
from sr_model.ui.many.rows import MOST_BYTES, MOST_FILES
from sr_model.ui.serving.assets import assets_path

HERE = Path(__file__).parent
# Gradio runs this as a function's body. The page may lie below a path, so the address begins with the page's own.
LOADER = """
const here = (window.gradio_config || {{}}).root || new URL(".", document.baseURI).href;
const root = here.replace(/\\/$/, "");
import(`${{root}}/{assets}/{module}`).then((module) =>
  module.default({{ element, props, trigger, watch, upload, server, root }}),
);
"""


def refuse_addresses(page: gr.Blocks) -> None:
    """Make all components refuse a web address in place of a file: Gradio would fetch it, whatever its size."""

    def guard(move: Callable[[str | Path | None], Awaitable[str | None]]) -> Any:
        async def uploads_only(path: str | Path | None) -> str | None:
            if "://" in str(path):
                raise gr.Error("Only pictures that were uploaded here can be opened.")
            return await move(path)

        return uploads_only

    for block in page.blocks.values():
        # Gradio has no setting for this, so the method is wrapped on each component.
        block.async_move_resource_to_block_cache = guard(block.async_move_resource_to_block_cache)  # type: ignore[method-assign]


def picker(
    value: Any = None, *, word: str, main: bool, max_bytes: int, several: bool = False, **options: Any
) -> gr.HTML:
    """Takes a picture by drop, paste or file dialogue, and hands on the file's own bytes; `input` when it has arrived.

    Value: None or "" for nothing, or {"file": file data, "name": str, "thumb": data URL or None}. The main one takes
    pictures dropped or pasted anywhere on the page, and with `several` hands many files and zips on to `many`.
    """
    return _component("parts/picker", value, options, word=word, main=main, max_bytes=max_bytes, several=several)


def many(**options: Any) -> gr.HTML:
    """Rows of several files, shown in the viewer's place; `input` when they are to be looked at, `select` to work.

    Value: {"files": [{"file", "name"}]} or {"id"}, with "ask", which comes back, and "format"; or what `Turns` makes.
    """
    limits = {"files": MOST_FILES, "bytes": MOST_BYTES, "each": MAX_BYTES}
    return _component("many/many", None, options, limits=limits, formats=list(FORMATS))


def viewer(value: Any = None, **options: Any) -> gr.HTML:
    """Shows pictures of one size side by side, with one zoom and one position for all.

    Value: None, or what `showing.show` makes.
    """
    return _component("viewer/viewer", value, options)


def status(value: Any = None, **options: Any) -> gr.HTML:
    """One line that says what is going on. Value: None, or what `handlers.busy` and `idle` make."""
    return _component("parts/status", value, options)


def plan(value: Any = None, **options: Any) -> gr.HTML:
    """What would be done: sizes and seconds, or why not and what would fit. Value: what `Handlers.plan` makes."""
    return _component("controls/plan", value, options)


def choice(
    value: Any,
    *,
    name: str,
    when: list[str] | None = None,
    several: bool = False,
    by_preset: dict[str, Any] | None = None,
    **options: Any,
) -> gr.HTML:
    """One or several of a few, as radio buttons or boxes in a row; `input` is triggered when a visitor chooses.

    Value: {"chosen": value or list, "options": [{"value", "label", "hint"}]}, where labels and hints are words of
    words/ or stand for themselves. `when` names the modes in which it is shown, and `by_preset` the options that each
    preset has. Gradio's own radio buttons do not form a group that arrow keys and screen readers recognise.
    """
    return _component(
        "controls/choice", value, options, name=name, when=when or [], several=several, by_preset=by_preset or {}
    )


def device(offered: list[dict[str, Any]], **options: Any) -> gr.HTML:
    """Does the work in the browser where the place "device" is chosen; `input` carries updates of other components.

    Value: updates of the status, the viewer, the two buttons and the plan, in this order. `offered` is what
    `Offered.listed` makes.
    """
    return _component(
        "device/device",
        None,
        options,
        networks=offered,
        megabytes=runtime_megabytes(),
        limits={"pixels": MAX_PIXELS, "resultPixels": MAX_RESULT_PIXELS},
        stops=list(maps.STOPS),
        server=True,
    )


def target(value: Any = "", **options: Any) -> gr.HTML:
    """A size in pixels or megapixels, shown where the scale is "size". Value: "", or what `sizing.target_of` takes."""
    return _component("controls/target", value, options)


def strength(presets: list[str], **options: Any) -> gr.HTML:
    """How strongly a picture is repaired, shown for `presets` only. Value: "auto" or a number from 0 to 1."""
    return _component("controls/strength", AUTO, options, presets=presets, steps=STEPS)


def inside(**options: Any) -> gr.HTML:
    """Buttons that show what goes on inside the network; `select` when the server is to compute it.

    Value: None, {"kind", "ask"} when it is asked, or what `Handlers.inside` makes.
    """
    return _component("parts/inside", None, options)


def gallery(value: Any, **options: Any) -> gr.HTML:
    """Examples as buttons; `select` carries the name of the one pressed.

    Value: [{"name", "title", "credit", "thumb", "file": file data}].
    """
    return _component("parts/gallery", value, options)


def _component(path: str, value: Any, options: dict[str, Any], **props: Any) -> gr.HTML:
    # Functions rather than subclasses: Gradio writes a .pyi file beside the module of every subclass.
    return gr.HTML(
        value=value,
        html_template=(HERE / f"{path}.html").read_text(encoding="utf-8"),
        js_on_load=LOADER.format(assets=assets_path(), module=f"{path}.js"),
        apply_default_css=False,
        **props,
        **options,
    )
