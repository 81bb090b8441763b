"""Event handlers of the page: they turn values from the browser into work, and its outcome into values."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from sr_model.errors import ConfigError, ImageError, MemoryLimitError, SRError
from sr_model.imaging.metrics import MOST_PSNR
from sr_model.system import memory
from sr_model.ui import texts
from sr_model.ui.cache import Store
from sr_model.ui.components import file_data
from sr_model.ui.examples import Example
from sr_model.ui.limits import uploaded_path
from sr_model.ui.upscalers import Upscalers
from sr_model.ui.work import AUTOENCODER, COMPARE, ENLARGE, Job, Outcome, Pane, Progress, Score, perform

log = logging.getLogger(__name__)

MAX_SECONDS = 120.0  # per job, as all visitors share one slot
FIRST_ZOOM = 2.0  # of examples: enough to see the difference at a glance
Updates = tuple[Any, Any, Any, Any]  # of status, viewer, main button, cancel button


@dataclass(frozen=True)
class Handlers:
    """`store` holds uploads and results; no job may take more than `max_seconds`."""

    upscalers: Upscalers
    examples: dict[str, Example]
    store: Store
    max_seconds: float = MAX_SECONDS

    def run(
        self, picture: Any, reference: Any, mode: Any, scale: Any, preset: Any, request: gr.Request | None = None
    ) -> Iterator[Updates]:
        """The main button. Yields after each tile, so Cancel and closing the tab stop the work."""
        yield busy("Opening the picture")
        try:
            path = uploaded_path(picture, self.store.folder)
            if path is None:
                raise ImageError(texts.NO_PICTURE)
            mode = chosen(mode)
            larger = uploaded_path(reference, self.store.folder) if mode == ENLARGE else None
            job = Job(path, mode, chosen(preset), as_scale(chosen(scale)), larger)
            yield from self._perform(job, session_of(request))
        except (MemoryLimitError, MemoryError, torch.OutOfMemoryError):
            log.exception("out of memory")
            yield idle("refused", texts.NO_MEMORY)
        except SRError as error:
            yield idle("refused", str(error))
        except Exception:
            log.exception("enlargement failed")
            yield idle("refused", texts.FAILED)

    def run_example(
        self, mode: Any, scale: Any, preset: Any, event: gr.EventData, request: gr.Request | None = None
    ) -> Iterator[tuple]:
        """An example was pressed: choose it, then do what the main button does.

        The updates of the two pickers come first.
        """
        name = event._data.get("name") if isinstance(event._data, dict) else None
        example = self.examples.get(name) if isinstance(name, str) else None
        if example is None:
            yield gr.skip(), gr.skip(), *idle("refused", "There is no such example.")
            return
        picture = picked(example)
        yield picture, None, *busy("Opening the picture")
        for update in self.run(picture, None, mode, scale, preset, request):
            yield gr.skip(), gr.skip(), *update

    def finished_example(self, preset: str, scale: int) -> tuple[Any, Any]:
        """(picker's value, viewer's value) for the first example, compared; (None, None) if there is none."""
        for example in self.examples.values():
            *_, last = perform(Job(example.path, COMPARE, preset, scale), self.upscalers.get(preset, scale))
            assert isinstance(last, Outcome), "work ends with its outcome"
            return picked(example), self._shown(last, example, None)
        return None, None

    def enlarge(self, picture: dict, scale: int = 2, preset: str = "base") -> Iterator[dict]:
        """Enlarge a picture. Takes a file, a scale from 1 to 4 and the name of a preset; the last result is a PNG file.

        Earlier results are {"done": tiles, "total": tiles}. A client that disconnects stops the work.
        """
        try:
            path = uploaded_path({"file": picture}, self.store.folder)
            assert path is not None, "only an absent value has no path"
            for item in self._work(Job(path, ENLARGE, preset, as_scale(scale))):
                if isinstance(item, Progress):
                    yield {"done": item.done, "total": item.total}
                else:
                    result = next(pane for pane in item.panes if pane.title == AUTOENCODER)
                    yield file_data(self.store.store_png(result.picture, result.file_name))
        except SRError as error:
            raise gr.Error(str(error)) from None

    def cancelled(self) -> Updates:
        return idle("cancelled", texts.CANCELLED)

    def failed(self, status: Any) -> Updates:
        """The request did not reach `run`, for example because the queue is full. Cancelled requests end here too."""
        if isinstance(status, dict) and status.get("kind") == "cancelled":
            return self.cancelled()
        return idle("refused", texts.REFUSED)

    def choose_preset(self, preset: Any, scale: Any) -> Any:
        """Offer the scales of the preset; the chosen scale is kept if possible."""
        scales = self.upscalers.scales(chosen(preset))
        if not scales:
            return gr.skip()
        return scale_choice(scales, chosen(scale))

    def leave(self, request: gr.Request) -> None:
        """The tab was closed or reloaded."""
        self.store.forget(session_of(request))

    def _work(self, job: Job) -> Iterator[Progress | Outcome]:
        upscaler = self.upscalers.get(job.preset, job.scale)
        cost = self.upscalers.seconds(job.preset, job.scale, 1)
        try:
            yield from perform(job, upscaler, cost, self.max_seconds)
        finally:
            memory.release_soon()

    def _perform(self, job: Job, session: str) -> Iterator[Updates]:
        example = next((e for e in self.examples.values() if e.path.resolve() == job.picture), None)
        for item in self._work(job):
            if isinstance(item, Progress):
                yield busy(describe_progress(item), item.done, item.total)
            else:
                yield idle("done", "Done.", self._shown(item, example, session))

    def _shown(self, outcome: Outcome, example: Example | None, session: str | None) -> dict[str, Any]:
        """Write the pictures to files, which the session's page shows from now on; return the viewer's value."""
        w, h = outcome.source_size
        rw, rh = outcome.panes[0].picture.size
        device = self.upscalers.describe_device()
        x, y = example.focus if example else (0.5, 0.5)
        paths: list[Path] = []
        for pane in outcome.panes:
            paths.append(self.store.store_png(pane.picture, pane.file_name))
            if session is None:
                self.store.keep(paths)
            else:
                self.store.show(session, paths)
        return {
            "panes": [_pane(pane, path) for pane, path in zip(outcome.panes, paths, strict=True)],
            "line": f"{w}x{h} to {rw}x{rh} · {device} · {outcome.seconds:.{1 if outcome.seconds >= 1 else 2}f} s",
            "note": "" if outcome.scores else texts.NO_REFERENCE,
            "scores": score_rows(outcome.scores),
            "view": {"zoom": FIRST_ZOOM, "x": x, "y": y} if example else None,
        }


def _pane(pane: Pane, path: Path) -> dict[str, Any]:
    w, h = pane.picture.size
    return {"title": pane.title, "width": w, "height": h, "file": file_data(path), "name": pane.file_name}


def session_of(request: gr.Request | None) -> str:
    """An id that tells visitors' tabs apart."""
    return str(request.session_hash) if request else ""


def as_scale(value: Any) -> int:
    """The scale as an int. Raises ConfigError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ConfigError("Please choose a scale.")


def chosen(value: Any) -> Any:
    """What is chosen in a choice's value, which comes from a browser and may be anything."""
    return value.get("chosen") if isinstance(value, dict) else None


def scale_choice(scales: list[int], scale: Any) -> dict[str, Any]:
    """The value of the choice of scales, with `scale` chosen, or the first if it is not among them."""
    options = [{"value": s, "label": f"{s}x", "hint": texts.RESTORES if s == 1 else ""} for s in scales]
    return {"chosen": scale if scale in scales else scales[0], "options": options}


def picked(example: Example) -> dict[str, Any]:
    """The picker's value for an example."""
    return {"file": file_data(example.path), "name": example.title, "thumb": example.thumb}


def waiting() -> dict[str, Any]:
    """The status before the first update from `run`."""
    return {"kind": "waiting", "text": texts.WAITING, "done": 0, "total": 0}


def busy(text: str, done: int = 0, total: int = 0) -> Updates:
    status = {"kind": "working", "text": text, "done": done, "total": total}
    return status, gr.skip(), gr.update(visible=False), gr.update(visible=True)


def idle(kind: str, text: str, viewer: Any = None) -> Updates:
    status = {"kind": kind, "text": text, "done": 0, "total": 0}
    return status, gr.skip() if viewer is None else viewer, gr.update(visible=True), gr.update(visible=False)


def describe_progress(progress: Progress) -> str:
    """Tiles done, and the time left if it is known."""
    tiles = f"{progress.done} of {progress.total} tile{'s' if progress.total > 1 else ''} done"
    if progress.done == progress.total:
        return f"{tiles}, finishing the pictures"
    return tiles if progress.seconds_left is None else f"{tiles}, about {progress.seconds_left:.0f} s left"


def score_rows(scores: tuple[Score, ...]) -> list[dict[str, Any]]:
    """The table's rows; the best of each column is judged by the printed text, so equal numbers look equal."""
    psnr = [f"{s.psnr:.2f} dB" if s.psnr < MOST_PSNR else "identical" for s in scores]
    ssim = [f"{s.ssim:.4f}" for s in scores]
    best_psnr = psnr[max(range(len(scores)), key=lambda i: scores[i].psnr)] if scores else ""
    best_ssim = ssim[max(range(len(scores)), key=lambda i: scores[i].ssim)] if scores else ""
    return [
        {"title": s.title, "psnr": p, "ssim": q, "psnr_best": p == best_psnr, "ssim_best": q == best_ssim}
        for s, p, q in zip(scores, psnr, ssim, strict=True)
    ]
