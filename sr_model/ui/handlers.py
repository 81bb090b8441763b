"""Event handlers of the page: they turn values from the browser into work, and its outcome into values."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from sr_model.errors import ImageError, MemoryLimitError, SRError
from sr_model.imaging import images
from sr_model.inference.mixing import AUTO
from sr_model.system import memory, zero_gpu
from sr_model.ui import texts
from sr_model.ui.cache import Store, file_data
from sr_model.ui.examples import Example
from sr_model.ui.jobs import asked, beside, inside, planning, showing
from sr_model.ui.jobs.asked import chosen
from sr_model.ui.jobs.planning import Settings, as_scale
from sr_model.ui.jobs.showing import Shown
from sr_model.ui.limits import MAX_PIXELS, uploaded_path
from sr_model.ui.serving.crowd import Crowd
from sr_model.ui.serving.downloads import private_exif
from sr_model.ui.upscalers import Upscalers
from sr_model.ui.work import AUTOENCODER, COMPARE, ENLARGE, NETWORKS, Job, Outcome, Progress, perform

log = logging.getLogger(__name__)

MAX_SECONDS = 120.0  # per job, as all visitors share one slot
FIRST_ZOOM = 2.0  # of examples: enough to see the difference at a glance
UNSHOWN = ("TIFF", "HEIF")  # what most browsers cannot decode
PREVIEW_SIZE = (1600, 1600)  # pixels, at most
Updates = tuple[Any, Any, Any, Any]  # of status, viewer, main button, cancel button


@dataclass(frozen=True)
class Handlers:
    """`store` holds uploads and results; no job may take more than `max_seconds`."""

    upscalers: Upscalers
    examples: dict[str, Example]
    store: Store
    max_seconds: float = MAX_SECONDS
    crowd: Crowd | None = None
    compute: Callable[[Job, Settings | None], Iterator[Progress | Outcome]] = field(init=False)

    def __post_init__(self) -> None:
        def compute(job: Job, settings: Settings | None) -> Iterator[Progress | Outcome]:
            yield from self._computed(job, settings)

        object.__setattr__(self, "compute", zero_gpu.on_gpu(compute, planning.gpu_seconds))

    def run(
        self,
        picture: Any,
        reference: Any,
        mode: Any,
        scale: Any,
        preset: Any,
        target: Any = None,
        shrinking: Any = None,
        networks: Any = None,
        strength: Any = AUTO,
        request: gr.Request | None = None,
    ) -> Iterator[Updates]:
        """The main button. Yields at each tile, so that Cancel and a closed tab stop the work."""
        yield busy("opening", texts.OPENING)
        try:
            path = uploaded_path(picture, self.store.folder)
            if path is None:
                raise ImageError(texts.NO_PICTURE)
            settings = asked.settings_of(mode, scale, preset, target, shrinking, networks, strength)
            larger = uploaded_path(reference, self.store.folder) if settings.mode == ENLARGE else None
            yield from self._perform(path, settings, larger, session_of(request))
        except (MemoryLimitError, MemoryError, torch.OutOfMemoryError):
            log.exception("out of memory")
            yield idle("refused", texts.NO_MEMORY)
        except SRError as error:
            yield idle("refused", str(error))
        except Exception:
            log.exception("enlargement failed")
            yield idle("refused", texts.FAILED)

    def run_example(
        self,
        mode: Any,
        scale: Any,
        preset: Any,
        target: Any,
        shrinking: Any,
        networks: Any,
        strength: Any,
        event: gr.EventData,
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        """A press on an example: chooses it, then does what the main button does, in Compare unless networks compete.

        The updates of the two pickers come first, the plan of the settings last.
        """
        name = event._data.get("name") if isinstance(event._data, dict) else None
        example = self.examples.get(name) if isinstance(name, str) else None
        if example is None:
            yield gr.skip(), gr.skip(), *idle("refused", "There is no such example."), gr.skip()
            return
        picture = picked(example)
        others = (scale, preset, target, shrinking, networks, strength)
        yield picture, None, *busy("opening", texts.OPENING), self.plan(picture, None, mode, *others)
        if chosen(mode) != NETWORKS:
            mode = {"chosen": COMPARE}  # Enlarge has nothing to measure against
        for update in self.run(picture, None, mode, *others, request):
            yield gr.skip(), gr.skip(), *update, gr.skip()

    def plan(self, picture: Any, reference: Any, *controls: Any) -> dict[str, Any]:
        """Sizes and seconds of what the settings ask for, or why they cannot be and what can; before any work.

        "asked" says what the settings were: answers may overtake each other.
        """
        return {**self._plan(picture, reference, *controls), "asked": asked.echo(*controls)}

    def inside(self, asked_for: Any, picture: Any, *controls: Any) -> dict[str, Any]:
        """What `inside.look` makes of the picture, for {"kind", "ask"}; `ask` comes back, to tell answers apart.

        {"kind": "refused", "text"} where it cannot be.
        """
        kind, ask = (asked_for.get(key) for key in ("kind", "ask")) if isinstance(asked_for, dict) else (None, None)
        try:
            path = uploaded_path(picture, self.store.folder)
            if path is None:
                raise ImageError(texts.NO_PICTURE)
            found = inside.look(kind, path, asked.settings_of(*controls), self.upscalers, self.store)
        except SRError as error:
            found = {"kind": "refused", "text": str(error)}
        except Exception:
            log.exception("nothing to see inside")
            found = {"kind": "refused", "text": texts.FAILED}
        finally:
            memory.release_soon(self.upscalers.release)
        return {**found, "ask": ask}

    def finished_example(self, preset: str, scale: int) -> tuple[Any, Any]:
        """(picker's value, viewer's value) for the first example, compared; (None, None) if there is none."""
        for example in self.examples.values():
            settings = Settings(COMPARE, scale, preset)
            *_, last = perform(Job(example.path, COMPARE, preset, scale), self.upscalers.get(preset, scale))
            assert isinstance(last, Outcome), "work ends with its outcome"
            *_, shown = self._show(last, example, None, settings)
            assert isinstance(shown, Shown), "showing ends with what is shown"
            return picked(example), shown.value
        return None, None

    def enlarge(self, picture: dict, scale: int = 2, preset: str = "base") -> Iterator[dict]:
        """Enlarge a picture. Takes a file, a scale from 1 to 4 and the name of a preset; the last result is a PNG file.

        Earlier results are {"done": tiles, "total": tiles}. A client that disconnects stops the work.

        Args:
            picture: what POST /gradio_api/upload answered: {"path": its answer, "meta": {"_type": "gradio.FileData"}}
            scale: how many times larger
            preset: the network: base, nano or photo
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
            raise gr.Error(str(error), print_exception=False) from None

    def failed(self, status: Any, request: gr.Request | None = None) -> Updates:
        """The request did not reach `run`, as the queue is full or this client has its share of it.

        Cancelled requests end here too.
        """
        if isinstance(status, dict) and status.get("kind") == "cancelled":
            return idle("cancelled", texts.CANCELLED)
        return idle("refused", (self.crowd and self.crowd.refusal(request)) or texts.REFUSED)

    def leave(self, request: gr.Request) -> None:
        """The tab was closed or reloaded."""
        self.store.forget(session_of(request))

    def _plan(self, picture: Any, reference: Any, *controls: Any) -> dict[str, Any]:
        try:
            path = uploaded_path(picture, self.store.folder)
            if path is None:
                return {"kind": "empty"}
            settings = asked.settings_of(*controls)
            larger = uploaded_path(reference, self.store.folder) if settings.mode == ENLARGE else None
            planned = planning.plan(path, settings, self.upscalers, larger)
        except SRError as error:
            return {"kind": "exceeds", "text": str(error), "offers": self._offers(picture, *controls)}
        except Exception:
            log.exception("no plan")
            return {"kind": "empty"}
        preview = self._preview(path)
        value = {
            "preview": preview,
            "source": planned.source,
            "low": planned.low,
            "result": planned.result,
            "seconds": planned.seconds,
            "strength": planning.found_strength(path, settings, self.upscalers),
        }
        if planned.seconds <= self.max_seconds:
            return {"kind": "ready", "mode": settings.mode, **value}
        text = texts.TOO_LONG.format(seconds=planned.seconds, most=self.max_seconds)
        return {"kind": "exceeds", "text": text, "offers": self._offers(picture, *controls), **value}

    def _preview(self, path: Path) -> dict[str, Any] | None:
        """A PNG beside an upload that browsers cannot show, such as HEIC; None for all others."""
        if images.with_header(path, MAX_PIXELS, lambda image: image.format) not in UNSHOWN:
            return None
        preview = path.with_name("preview.png")
        if not preview.exists():
            image = images.open_image(path, MAX_PIXELS)
            image.thumbnail(PREVIEW_SIZE)
            self.store.write(preview, images.encode(image))
        return file_data(preview)

    def _offers(self, picture: Any, *controls: Any) -> list[dict[str, Any]]:
        try:
            path = uploaded_path(picture, self.store.folder)
            assert path is not None, "there was one a moment ago"
            found = planning.offers(path, asked.settings_of(*controls), self.upscalers, self.max_seconds)
        except SRError:
            return []
        return [{"setting": offer.setting, "value": offer.value, "label": asked.offer_label(offer)} for offer in found]

    def _work(self, job: Job, settings: Settings | None = None) -> Iterator[Progress | Outcome]:
        try:
            yield from self.compute(job, settings)
        finally:
            memory.release_soon(self.upscalers.release)

    def _computed(self, job: Job, settings: Settings | None) -> Iterator[Progress | Outcome]:
        upscalers = self.upscalers.for_job()
        if job.mode == NETWORKS and settings is not None:
            found = planning.contenders(settings.networks, job.times, upscalers)
            yield from beside.perform_beside(job, found, self.max_seconds)
            return
        upscaler = upscalers.get(job.preset, job.scale)
        cost = upscalers.seconds(job.preset, job.scale, 1)
        yield from perform(job, upscaler, cost, self.max_seconds)

    def _perform(self, path: Path, settings: Settings, larger: Path | None, session: str) -> Iterator[Updates]:
        example = next((e for e in self.examples.values() if e.path.resolve() == path), None)
        job = planning.settle(path, settings, self.upscalers, larger)
        for item in self._work(job, settings):
            if isinstance(item, Progress):
                yield working(item)
                continue
            for step in self._show(
                item, example, session, settings, images.with_header(path, MAX_PIXELS, private_exif)
            ):
                if isinstance(step, Progress):
                    yield working(step)
                else:
                    yield idle("done", texts.DONE, step.value)

    def _show(
        self,
        outcome: Outcome,
        example: Example | None,
        session: str | None,
        settings: Settings,
        exif: bytes | None = None,
    ) -> Iterator[Progress | Shown]:
        """The viewer's value; writes the pictures' files, which the session's page shows from now on."""
        w, h = outcome.source_size
        rw, rh = outcome.panes[0].picture.size
        x, y = example.focus if example else (0.5, 0.5)
        digits = 1 if outcome.seconds >= 1 else 2
        for item in showing.show(
            outcome,
            self.store,
            line=f"{w}x{h} → {rw}x{rh} · {self.upscalers.describe_device()} · {outcome.seconds:.{digits}f} s",
            note="" if outcome.scores else "no_reference",
            view={"zoom": FIRST_ZOOM, "x": x, "y": y} if example else None,
            stamp={
                "label": asked.stamp(settings, outcome),
                "settings": asked.relevant(settings, outcome),
                "strength": outcome.strength,
            },
            exif=exif,
        ):
            if isinstance(item, Shown):
                if session is None:
                    self.store.keep(item.paths)
                else:
                    self.store.show(session, item.paths)
            yield item


def session_of(request: gr.Request | None) -> str:
    """An id that tells visitors' tabs apart."""
    return str(request.session_hash) if request else ""


def picked(example: Example) -> dict[str, Any]:
    """The picker's value for an example."""
    return {"file": file_data(example.path), "name": example.title, "thumb": example.thumb}


def waiting() -> dict[str, Any]:
    """The status before the first answer of `run`."""
    return {"kind": "waiting", "text": texts.WAITING, "word": "waiting", "done": 0, "total": 0}


def busy(word: str, text: str, done: int = 0, total: int = 0, seconds: float | None = None) -> Updates:
    """While there is work; `word` is the sentence's key in words/, for those who read another language."""
    status = {"kind": "working", "text": text, "word": word, "done": done, "total": total, "seconds": seconds}
    return status, gr.skip(), gr.update(visible=False), gr.update(visible=True)


def idle(kind: str, text: str, viewer: Any = None) -> Updates:
    """When there is none."""
    status = {"kind": kind, "text": text, "word": "" if kind == "refused" else kind, "done": 0, "total": 0}
    return status, gr.skip() if viewer is None else viewer, gr.update(visible=True), gr.update(visible=False)


def working(progress: Progress) -> Updates:
    """Tiles done, and the time left where it is known."""
    done, total, left = progress.done, progress.total, progress.seconds_left
    text = f"{done} of {total} tile{'s' if total > 1 else ''} done"
    if done == total:
        return busy("finishing", f"{text}, finishing the pictures", done, total)
    return busy("tiles", text if left is None else f"{text}, about {left:.0f} s left", done, total, left)
