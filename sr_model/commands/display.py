"""How a job speaks: a live bar in a terminal, plain lines in a log, and a file of JSON lines."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sr_model.bulk.plan import duration
from sr_model.bulk.records import Item, Record
from sr_model.errors import SRError
from sr_model.inference.batches import Tick

PLAIN_SECONDS = 30.0  # between two lines on how far it is, in a log


class Display:
    """Shows the steps of a job and counts its records. Use as a context; `report` gets a line of JSON for each."""

    def __init__(self, scale: int, report: TextIO | None = None, timing: bool = False, one_file: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self._scale, self._report, self._timing, self._one_file = scale, report, timing, one_file
        self._files = self._bytes = 0  # of all items, once they are counted
        self._read = self._pixels = 0  # bytes of what is finished; pixels of results, those under way too
        self._began = self._spoke = time.monotonic()
        console = Console(highlight=False, soft_wrap=True)
        self._live = console.is_terminal
        self._bar = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.fields[files]} files, {task.fields[speed]} megapixels/s,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            disable=not self._live or one_file,
        )
        self._task = self._bar.add_task("", total=None, files="0", speed="-")

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if not self._one_file:
            took = duration(time.monotonic() - self._began)
            counts = ", ".join(f"{self.counts[status]} {status}" for status in ("done", "skipped", "refused"))
            print(f"{counts} in {took}", flush=True)

    def count(self, items: Callable[[], Iterator[Item]]) -> None:
        """Count what is to come in the background, for the time that is left."""

        def work() -> None:
            files = size = 0
            with suppress(SRError):  # the job will meet it too
                for item in items():
                    files += 1
                    size += item.size
            self._files, self._bytes = files, size

        threading.Thread(target=work, daemon=True).start()

    def show(self, step: Tick | Record) -> None:
        """A tile more, or what has become of a file."""
        if isinstance(step, Tick):
            self._pixels += step.pixels * self._scale**2
        else:
            self.counts[step.status] += 1
            self._read += step.bytes_in
            self._say(step)
            if self._report:
                self._report.write(step.line())
                self._report.flush()
        self._update()

    def _say(self, record: Record) -> None:
        if record.status == "refused":
            print(f"{record.source}: {record.reason}", file=sys.stderr, flush=True)
        elif record.status == "done" and (self._timing or self._one_file or not self._live):
            parts = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in record.seconds.items())
            print(f"{record.target}  {parts}" if self._timing else record.target, flush=True)

    def _update(self) -> None:
        done = self.counts.total()
        speed = f"{self._pixels / 1e6 / (time.monotonic() - self._began):.1f}"
        files = f"{done} of {self._files}" if self._files else str(done)
        total, completed = (self._bytes, self._read) if self._bytes else (self._files, done)
        self._bar.update(self._task, total=total or None, completed=completed, files=files, speed=speed)
        if not self._live and not self._one_file and time.monotonic() - self._spoke > PLAIN_SECONDS:
            self._spoke = time.monotonic()
            left = (total - completed) / completed * (self._spoke - self._began) if completed and total else None
            rest = "" if left is None else f", {duration(left)} left"
            print(f"{files} files, {speed} megapixels/s{rest}", flush=True)


class FrameDisplay:
    """Shows how far a video is: a bar in a terminal, a line every half minute in a log. Use as a context."""

    def __init__(self) -> None:
        console = Console(highlight=False, soft_wrap=True)
        self._live = console.is_terminal
        columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("frames,"))
        self._bar = Progress(
            *columns, TimeRemainingColumn(compact=True), TextColumn("left"), console=console, disable=not self._live
        )
        self._task = self._bar.add_task("", total=None)
        self._began = self._spoke = time.monotonic()

    def __enter__(self) -> "FrameDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """So many frames are done of so many, or of an unknown number."""
        self._bar.update(self._task, completed=done, total=total or None)
        if not self._live and time.monotonic() - self._spoke > PLAIN_SECONDS:
            self._spoke = time.monotonic()
            rest = f", {duration((self._spoke - self._began) / done * (total - done))} left" if total else ""
            print(f"{done} of {total or '?'} frames{rest}", flush=True)
