"""How a job speaks: a live bar in a terminal, plain lines in a log, and a file of JSON lines."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sr_model.bulk.listing import SHARDS
from sr_model.bulk.plan import duration
from sr_model.bulk.records import Item, Record
from sr_model.bulk.storage import as_storage_error
from sr_model.errors import SRError
from sr_model.imaging import animation, images
from sr_model.inference.batches import Tick
from sr_model.system.remote import is_remote

PLAIN_SECONDS = 30.0  # between two lines on how far it is, in a log


class Report:
    """A file with a line of JSON for each record. The old one goes when the first record comes, not before.

    Until then another job, which this one waits for, may be writing it. Raises StorageError.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._is_new = path, True
        with self._errors():
            self._stream = open(path, "a")  # noqa: SIM115 - closed in close

    def add(self, record: Record) -> None:
        with self._errors():
            if self._is_new and self._path.is_file():  # and no pipe
                self._stream.truncate(0)
            self._is_new = False
            self._stream.write(record.line())
            self._stream.flush()

    def close(self) -> None:
        with self._errors():
            self._stream.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise as_storage_error(f"The report {self._path}", error) from None


class Display:
    """Shows the steps of a job and counts its records. Use as a context; `report` gets all of them."""

    def __init__(self, scale: int, report: Report | None = None, timing: bool = False, one_file: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self._scale, self._report, self._timing, self._one_file = scale, report, timing, one_file
        self._files = self._bytes = 0  # of all items, once they are counted
        self._finished = 0  # items
        self._read = self._read_within = 0  # bytes of finished items, and of those in the shard that is under way
        self._pixels = self._recorded = 0  # of results, by tiles and by files
        self._expected = 0  # pixels of the one result
        self._began = self._spoke = time.monotonic()
        self._completed = 0  # when it last spoke
        console = Console(highlight=False, soft_wrap=True)
        self._live = console.is_terminal
        text = "{task.fields[speed]} megapixels/s,"
        self._bar = Progress(
            BarColumn(bar_width=20),
            TextColumn(text if one_file else "{task.fields[files]} files, " + text),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            transient=one_file,
            redirect_stderr=sys.stderr.isatty(),  # what goes into a file is to reach it
            disable=not self._live,
        )
        self._task = self._bar.add_task("", total=None, files="0", speed="-")

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if not self._one_file and (error is None or self.counts):
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
                if self._one_file and self._live and not is_remote(item.source):
                    w, h = images.read_size(item.source)
                    self._expected = w * h * animation.frame_count(item.source) * self._scale**2
            self._files, self._bytes = files, size

        threading.Thread(target=work, daemon=True).start()

    def show(self, step: Tick | Record) -> None:
        """A tile more, or what has become of a file."""
        if isinstance(step, Tick):
            self._pixels += step.pixels * self._scale**2
        else:
            self._count(step)
            self._say(step)
            if self._report:
                self._report.add(step)
        self._update()

    def _count(self, record: Record) -> None:
        self._recorded += record.pixels
        if record.shard:
            self._read_within += record.bytes_in
        else:
            self._finished += 1
            self._read += record.bytes_in
            self._read_within = 0
        is_shard = record.target.lower().endswith(SHARDS)
        if record.status != "done" or not is_shard:  # in a shard that is done, its pictures count
            self.counts[record.status] += 1

    def _say(self, record: Record) -> None:
        if record.status == "refused":
            print(f"{record.source}: {record.reason}", file=sys.stderr, flush=True)
        elif record.status == "done" and (self._timing or self._one_file or not self._live):
            parts = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in record.seconds.items())
            print(f"{record.target}  {parts}" if self._timing else record.target, flush=True)

    def _update(self) -> None:
        pixels = max(self._pixels, self._recorded)  # workers elsewhere tell of files only
        speed = f"{pixels / 1e6 / (time.monotonic() - self._began):.1f}"
        files = f"{self._finished} of {self._files}" if self._files else str(self._finished)
        total, completed = self._files, self._finished
        if self._one_file:
            total, completed = self._expected, pixels
        elif self._bytes:
            total, completed = self._bytes, self._read + self._read_within
        self._bar.update(self._task, total=total or None, completed=completed, files=files, speed=speed)
        now = time.monotonic()
        if not self._live and not self._one_file and now - self._spoke > PLAIN_SECONDS:
            recent = completed - self._completed  # what is skipped goes faster than what is not
            rest = f", {duration((total - completed) / recent * (now - self._spoke))} left" if recent and total else ""
            self._spoke, self._completed = now, completed
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
