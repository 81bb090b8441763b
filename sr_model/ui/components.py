"""The page's own components: Gradio's HTML component with a fixed template and a script that fills it.

No value is ever put into a template: Gradio compiles templates as JavaScript, and file names come from strangers. The
scripts only set text and attributes.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent


def asset(name: str) -> str:
    """The text of an asset in one of the folders beside this file, by its name."""
    (path,) = HERE.glob(f"*/{name}")
    return path.read_text(encoding="utf-8")


def file_data(path: Path) -> dict[str, Any]:
    """A file in a value as Gradio expects it; Gradio adds the address that the browser fetches."""
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


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


def picker(value: Any = None, *, heading: str, hint: str, main: bool, max_bytes: int, **options: Any) -> gr.HTML:
    """Takes a picture by drop, paste or file dialogue, and uploads the original bytes of the file.

    Value: None or "" for nothing, or {"file": file data, "name": str, "thumb": data URL or None}. The main one takes
    pictures dropped or pasted anywhere on the page.
    """
    return _component("picker", value, options, heading=heading, hint=hint, main=main, max_bytes=max_bytes)


def viewer(value: Any = None, *, definition: str, **options: Any) -> gr.HTML:
    """Shows pictures of equal size side by side, with shared zoom and position.

    Value: None, or {"panes": [{"title", "width", "height", "file", "name"}], "line": str, "note": str,
    "scores": [{"title", "psnr", "ssim", "psnr_best", "ssim_best"}], "view": {"zoom", "x", "y"} or None}.
    """
    return _component("viewer", value, options, scripts=("viewer", "gestures", "results"), definition=definition)


def status(value: Any = None, **options: Any) -> gr.HTML:
    """A line of status and a progress bar. Value: None, or {"kind", "text", "done", "total"}."""
    return _component("status", value, options)


def choice(value: Any, *, heading: str, **options: Any) -> gr.HTML:
    """Radio buttons in a row; `input` is triggered when a visitor chooses one.

    Value: {"chosen": value, "options": [{"value", "label", "hint"}]}. Gradio's own radio buttons do not form a group
    that arrow keys and screen readers recognise.
    """
    return _component("choice", value, options, heading=heading)


def gallery(value: Any, **options: Any) -> gr.HTML:
    """Examples as buttons; `select` carries the name of the one pressed.

    Value: [{"name", "title", "credit", "thumb"}].
    """
    return _component("gallery", value, options)


def _component(
    name: str, value: Any, options: dict[str, Any], *, scripts: tuple[str, ...] = (), **props: Any
) -> gr.HTML:
    # Functions rather than subclasses: Gradio writes a .pyi file beside the module of every subclass.
    return gr.HTML(
        value=value,
        html_template=asset(f"{name}.html"),
        js_on_load="".join(asset(f"{script}.js") for script in scripts or (name,)),
        apply_default_css=False,
        **props,
        **options,
    )
