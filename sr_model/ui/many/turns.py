"""The page's events of a queue: files arrive, settings change, the button is pressed."""

import logging
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from sr_model.bulk.job import Job
from sr_model.bulk.records import Item, Record
from sr_model.errors import SRError
from sr_model.inference.batches import Tick
from sr_model.inference.mixing import in_steps
from sr_model.system import memory, zero_gpu
from sr_model.ui import texts
from sr_model.ui.cache import Store
from sr_model.ui.handlers import MAX_SECONDS, Updates, busy, idle, session_of
from sr_model.ui.jobs import asked, planning
from sr_model.ui.many import plans
from sr_model.ui.many.headway import Headway, shown
from sr_model.ui.many.plans import Plan
from sr_model.ui.many.rows import Queue, Queues
from sr_model.ui.serving.crowd import Crowd
from sr_model.ui.upscalers import Upscalers

log = logging.getLogger(__name__)

TURN = 20.0  # seconds, if others wait: then it is their turn, and the rest goes to the end of the line
GPU_TURN = 60.0  # seconds on ZeroGPU, whether others wait or not
BUDGET = 400_000_000  # bytes of pictures on their way, or what the largest one needs
OFTEN = 0.25  # seconds between two looks of the rows
Answer = tuple[Any, Any, Any, Any, Any]  # the queue's value, and Updates


@dataclass(frozen=True)
class Turns:
    """Works on queues by the same job as the command's on a folder; each result counts in the `store`."""

    upscalers: Upscalers
    store: Store
    max_seconds: float = MAX_SECONDS
    crowd: Crowd | None = None
    queues: Queues = field(init=False)
    compute: Callable[..., Generator[Tick | Record, None, None]] = field(init=False)

    def __post_init__(self) -> None:
        def compute(seconds: int, items: list[Item], folder: str, plan: Plan) -> Generator[Tick | Record, None, None]:
            upscaler = self.upscalers.for_job().get(plan.preset, plan.scale)
            if plan.strength is not None:
                upscaler = upscaler.at(in_steps(plan.strength))
            job = Job(lambda: iter(items), folder, plan.output, journal=False, budget=BUDGET, write=self._write)
            with closing(job.steps(upscaler)) as steps:
                yield from steps

        object.__setattr__(self, "queues", Queues(self.store))
        object.__setattr__(self, "compute", zero_gpu.on_gpu(compute, lambda seconds, *rest: seconds))

    def look(self, value: Any, request: gr.Request | None, *controls: Any) -> Any:
        """The rows of files that have arrived, or of a queue by other settings; a "note" where they cannot be."""
        if not isinstance(value, dict):
            return gr.skip()
        answer: dict[str, Any] = {"ask": value.get("ask"), "format": value.get("format"), "note": "", "rows": []}
        try:
            queue = self.queues.get(value.get("id") or self.queues.add(value.get("files"), session_of(request)))
            answer |= shown(queue, None)
            answer |= shown(queue, self._plan(queue, value, controls))
        except SRError as error:
            answer["note"] = str(error)
        except Exception:
            log.exception("files could not be looked at")
            answer["note"] = texts.FAILED
        return answer

    def run(self, value: Any, request: gr.Request | None, *controls: Any) -> Iterator[Answer]:
        """The main button. Yields at each tile, so that Cancel and a closed tab stop the work."""
        yield gr.skip(), *busy("opening", texts.OPENING)
        try:
            queue = self.queues.get(value.get("id") if isinstance(value, dict) else None)
            plan = self._plan(queue, value, controls)
            queue.begin(plan.stamp)
            same = {"ask": value.get("ask"), "format": plan.output.format, "note": "", "turn": queue.turns}
            for rows, updates in self._work(queue, plan, session_of(request)):
                yield {**rows, **same} if rows else gr.skip(), *updates
        except SRError as error:
            yield gr.skip(), *idle("refused", str(error))
        except Exception:
            log.exception("a queue failed")
            yield gr.skip(), *idle("refused", texts.FAILED)
        finally:
            memory.release_soon(self.upscalers.release)

    def leave(self, request: gr.Request) -> None:
        """The tab was closed or reloaded."""
        session = session_of(request)
        self.queues.forget(session)
        self.store.forget(_key(session))

    def _plan(self, queue: Queue, value: dict[str, Any], controls: tuple[Any, ...]) -> Plan:
        settings = asked.settings_of(*controls)
        return plans.planned(queue, settings, value.get("format"), self.upscalers, self.max_seconds)

    def _work(self, queue: Queue, plan: Plan, session: str) -> Iterator[tuple[Any, Updates]]:
        pending = plan.pending(queue)
        headway = Headway(queue, plan, pending)
        items = queue.items(plan.output)
        folder = queue.folder / plan.label
        made = {n: folder / items[n].target for n in pending}
        self._protect(queue, pending, made, session)
        while pending:
            seconds = min(planning.GPU_START + int(GPU_TURN), planning.GPU_MOST)
            steps = self.compute(seconds, [items[n] for n in pending], str(folder), plan)
            try:
                with closing(steps):
                    for step in steps:
                        if isinstance(step, Tick):
                            headway.tick(step.pixels)
                        else:
                            queue.rows[pending.pop(0)].record = step
                            self._protect(queue, pending, made, session)
                            if pending and self._is_over(headway):
                                yield {**shown(queue, plan, headway), "again": True}, busy("waiting", texts.WAITING)
                                return
                        if isinstance(step, Record) or headway.is_due(OFTEN):
                            yield shown(queue, plan, headway), headway.status()
                        else:
                            yield None, (gr.skip(),) * 4
                break
            except SRError:
                raise
            except Exception:  # one file does not end the others
                log.exception("a picture of a queue failed")
                number = pending.pop(0)
                item = items[number]
                queue.rows[number].record = Record(item.source, item.target, "refused", texts.FAILED)
        yield shown(queue, plan), idle("done", texts.DONE)

    def _protect(self, queue: Queue, pending: list[int], made: dict[int, Path], session: str) -> None:
        """From those who need room: the results, what is still to be enlarged, and what is made of it ahead."""
        sources = [row.path for row in map(queue.rows.__getitem__, pending) if row.path]
        ahead = [path for n in pending for path in (made[n], _part(made[n]))]
        self.store.show(_key(session), [*queue.results(), *sources, *ahead])

    def _is_over(self, headway: Headway) -> bool:
        if zero_gpu.ACTIVE:
            return headway.seconds > GPU_TURN
        return headway.seconds > TURN and self.crowd is not None and self.crowd.waiting > 0

    def _write(self, url: str, data: bytes) -> None:
        """A result, within the budget of the disk; under a hidden name until it is whole."""
        path = Path(url)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = _part(path)
        self.store.write(part, data)
        os.replace(part, path)


def _part(path: Path) -> Path:
    """Where a result is until it is whole."""
    return path.with_name(f".{path.name}")


def _key(session: str) -> str:
    """What `Store.show` knows a session's queue by."""
    return f"{session}/many"
