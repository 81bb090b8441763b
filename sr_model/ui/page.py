"""The layout of the page, and what its events call."""

import contextlib
import json
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api
from starlette.middleware import Middleware

from sr_model.errors import ConfigError
from sr_model.models import weights
from sr_model.system import zero_gpu
from sr_model.ui import cache, components, form, texts, words
from sr_model.ui.components import refuse_addresses
from sr_model.ui.examples import Example, load_examples
from sr_model.ui.handlers import MAX_SECONDS, Handlers, waiting
from sr_model.ui.limits import MAX_BYTES, BodyLimit
from sr_model.ui.many.turns import Turns
from sr_model.ui.serving import crowd, proxies
from sr_model.ui.serving.assets import STYLES
from sr_model.ui.serving.headers import headers
from sr_model.ui.serving.routes import routes
from sr_model.ui.upscalers import Upscalers
from sr_model.ui.words import WORD

SLOT = "enlargement"  # all computation shares one slot: two jobs at once would each take twice as long
# Cancelled work ends after the tile it is at, and Gradio then reports a failure. Only this brings the main button back:
# Gradio's page would take what is begun before for the cancelled work. `srCancelled` is set by parts/status.js.
WAIT = (
    "() => { window.srCancelled = false; return "
    f"{json.dumps([waiting(), gr.update(visible=False), gr.update(visible=True)])}; }}"
)
UNLESS_CANCELLED = "(status) => (window.srCancelled ? { kind: 'cancelled' } : status)"
# Gradio keeps 65 KB for each, of 10,000 if it is not told otherwise; a request through the API is a session too.
SESSIONS = 500
QUICK: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}


def build_app(
    where: str | os.PathLike = weights.SHIPPED,
    device: str = "auto",
    examples: Path | None = None,
    engine: str = "auto",
    max_seconds: float = MAX_SECONDS,
    disk_budget: int = cache.BUDGET,
) -> "App":
    """The page for the weights at `where`, as `places.locate` takes it.

    Uploads and results together take at most `disk_budget` bytes, and jobs that would take more than `max_seconds` are
    refused. This compiles the default network and computes the first example, which warms it up. Raises WeightsError,
    ConfigError and HubError.
    """
    # On ZeroGPU only a job has the GPU; plans and the first example are the CPU's.
    upscalers = Upscalers(where, "cpu" if zero_gpu.ACTIVE else device, engine)
    store = cache.Store(disk_budget)
    shown = load_examples(examples, store.folder) if examples else {}
    store.keep(example.path for example in shown.values())
    # Without Gradio's delete_cache: only our sweeper deletes files in the folder.
    page = gr.Blocks(title=texts.TITLE, analytics_enabled=False, fill_width=True)
    page.queue(max_size=crowd.MOST)
    queue = crowd.Crowd(page)
    handlers = Handlers(upscalers, shown, store, max_seconds, queue)
    turns = Turns(upscalers, store, max_seconds, queue)
    example, finished = handlers.finished_example(*upscalers.default)
    if finished is None:  # otherwise that has warmed up the network
        upscalers.get(*upscalers.default).warm_up()
    with page:
        parts = _layout(upscalers, shown, example, finished)
        parts.plan.value = handlers.plan(example, None, *(control.value for control in parts.controls.all()))
        _connect(parts, handlers, turns)
        _translate(page, parts)
        page.unload(handlers.leave)
        page.unload(turns.leave)
    refuse_addresses(page)
    store.start_sweeper()
    _choose_matplotlib_backend()
    return App(page, store, upscalers, queue)


@dataclass(frozen=True)
class App:
    """The page, the store of its uploads and results, its networks, and its queue."""

    page: gr.Blocks
    store: cache.Store
    upscalers: Upscalers
    crowd: crowd.Crowd

    def launch(
        self, server_port: int | None = None, proxies_trusted: str | None = None, mcp: bool = False, **options: Any
    ) -> Any:
        """Serve the page, with further options of Gradio's; without a port, on 7860 or the next free one.

        `proxies_trusted` as `proxies.trust` takes them. With `mcp` agents are served too. Raises ConfigError for other
        proxies, if the port is taken, and if a package is missing.
        """
        if mcp and find_spec("mcp") is None:
            raise ConfigError("For --mcp a package is missing: pip install 'mcp>=1.21,<2'.")
        proxies.trust(proxies.default_proxies() if proxies_trusted is None else proxies_trusted)
        try:
            # Gradio takes None for what its own variable says.
            return self.page.launch(server_port=server_port, mcp_server=mcp or None, **launch_options(self), **options)
        except OSError as error:
            if "Cannot find empty port" not in str(error):
                raise
            raise ConfigError(
                f"Port {server_port or 'range 7860 to 7959'} is in use. Choose another with --port, or leave it out "
                "to use the next free one."
            ) from None

    def close(self) -> None:
        """Stop serving."""
        self.page.close()


def launch_options(app: App) -> dict[str, Any]:
    """Keyword arguments for `launch` that belong to the page: its looks, its limits, and no recording."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.gray,
        radius_size=gr.themes.sizes.radius_sm,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        # Dark enough for white text.
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
    return {
        "theme": theme,
        "css_paths": STYLES,
        "app_kwargs": {
            "middleware": [*headers(), Middleware(BodyLimit, make_room=app.store.make_room)],
            "routes": routes(app.store, app.upscalers, app.crowd),
        },
        "max_file_size": MAX_BYTES,
        "allowed_paths": [],
        "show_error": False,
        "i18n": WORD,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "state_session_capacity": SESSIONS,
    }


@dataclass(frozen=True)
class Parts:
    """The page's components that events read or change."""

    picture: gr.HTML
    reference: gr.HTML
    controls: form.Controls
    device: gr.HTML
    plan: gr.HTML
    run: gr.Button
    cancel: gr.Button
    status: gr.HTML
    many: gr.HTML
    viewer: gr.HTML
    inside: gr.HTML
    gallery: gr.HTML
    program: gr.Markdown
    weights: gr.Markdown


def _choose_matplotlib_backend() -> None:
    """Gradio asks for it at the first job, which would import all of matplotlib while every visitor waits."""
    with contextlib.suppress(ImportError):
        import matplotlib

        matplotlib.use("agg")


def _layout(upscalers: Upscalers, examples: dict[str, Example], chosen_example: Any, finished: Any) -> Parts:
    gr.HTML(words.block("title", "lead"), elem_id="sr-head")
    with gr.Row(elem_id="sr-main"):
        with gr.Column(elem_id="sr-form"):
            picture = form.picture(chosen_example)
            _, device = form.place(upscalers)
            controls = form.controls(upscalers)
            reference = form.reference()
            plan = components.plan(elem_id="sr-plan")
            run = gr.Button(WORD("run_compare"), variant="primary", elem_id="sr-run")
            cancel = gr.Button(WORD("cancel"), visible=False, elem_id="sr-cancel")
            status = components.status(elem_id="sr-status")
        with gr.Column(elem_id="sr-view"):
            many = components.many(elem_id="sr-many")
            viewer = components.viewer(finished, elem_id="sr-viewer")
            inside = components.inside(elem_id="sr-inside")
    gallery = _examples(examples)
    texts_below = _about(upscalers)
    return Parts(
        picture, reference, controls, device, plan, run, cancel, status, many, viewer, inside, gallery, *texts_below
    )


def _connect(parts: Parts, handlers: Handlers, turns: Turns) -> None:
    settings = parts.controls.all()
    asked = [parts.picture, parts.reference, *settings]
    outputs = [parts.status, parts.viewer, parts.run, parts.cancel]
    queued: dict[str, Any] = {
        "concurrency_id": SLOT,
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "show_progress_on": parts.status,
        "api_visibility": "private",
    }
    # In the browser, as the server's first update arrives only after the queue.
    begun = [parts.run.click, parts.gallery.select, parts.many.select]
    gr.on(begun, None, None, [parts.status, parts.run, parts.cancel], js=WAIT, **QUICK)
    pressed = parts.run.click(handlers.run, asked, outputs, **queued)
    chosen = [parts.picture, parts.reference, *outputs, parts.plan]
    tried = parts.gallery.select(handlers.run_example, settings, chosen, **queued)
    many = [parts.many, *settings]
    worked = parts.many.select(turns.run, many, [parts.many, *outputs], trigger_mode="multiple", **queued)
    parts.cancel.click(None, cancels=[pressed, tried, worked], **QUICK)
    for event in (pressed, tried, worked):
        event.failure(handlers.failed, parts.status, outputs, js=UNLESS_CANCELLED, **QUICK)
    parts.many.input(turns.look, many, parts.many, trigger_mode="always_last", **QUICK)
    parts.inside.select(handlers.inside, [parts.inside, parts.picture, *settings], parts.inside, **queued)
    # What the visitor's own device does stays in the browser.
    parts.device.input(
        None, parts.device, [*outputs, parts.plan], js="(updates) => updates", trigger_mode="multiple", **QUICK
    )
    gr.on(
        [part.input for part in asked],
        handlers.plan,
        asked,
        parts.plan,
        trigger_mode="always_last",
        **QUICK,
    )
    api(handlers.enlarge, api_name="enlarge", concurrency_id=SLOT, concurrency_limit=1)


def _translate(page: gr.Blocks, parts: Parts) -> None:
    """What Gradio's own components say follows the visitor's language, in the browser."""
    mode = parts.controls.mode
    outputs = [parts.run, parts.cancel, parts.program, parts.weights]
    page.load(None, [mode, parts.program, parts.weights], outputs, js=words.script("begin(root, ...values)"), **QUICK)
    mode.input(None, mode, parts.run, js=words.script("nameRun(...values)"), **QUICK)


def _examples(examples: dict[str, Example]) -> gr.HTML:
    entries = [
        {"name": name, "title": e.title, "credit": e.credit, "thumb": e.thumb, "file": cache.file_data(e.path)}
        for name, e in examples.items()
    ]
    if entries:
        gr.HTML(words.block("examples"), elem_id="sr-examples-head")
    return components.gallery(entries, elem_id="sr-examples", visible=bool(entries))


def _about(upscalers: Upscalers) -> tuple[gr.Markdown, gr.Markdown]:
    """How programs use the page, and its weights, below the rest of the texts."""
    preset, scale = upscalers.default
    with gr.Row(elem_id="sr-about"):
        gr.HTML(words.block("how", "how_1", "how_2", "how_3"))
        gr.HTML(words.block("limits", "limits_1", "limits_2", "limits_3", **texts.LIMITS))
        gr.HTML(words.block("privacy", "privacy_1"))
        program = gr.Markdown(texts.api(preset, scale), elem_id="sr-program")
        space = os.environ.get("SPACE_ID")
        duplicate = texts.DUPLICATE.format(space=space) if space else ""
        served = texts.weights(upscalers.cards(), str(upscalers.place.repo or ""))
        return program, gr.Markdown(duplicate + served, elem_id="sr-weights")
