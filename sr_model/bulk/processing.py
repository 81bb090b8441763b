"""One file after another: read, skip what is done, decode, enlarge, encode, write, note; the stages overlap."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sr_model.bulk import outputs, storage
from sr_model.bulk.journal import Journal, is_intact
from sr_model.bulk.outputs import Content, Output
from sr_model.bulk.records import Item, Record, settings_id
from sr_model.errors import SRError, TargetError
from sr_model.imaging import agreement
from sr_model.imaging.images import Picture
from sr_model.inference.batches import Stream, Tick, default_batch, enlarge_all
from sr_model.inference.devices import available_cpus
from sr_model.inference.overlap import BUDGET, Admit, Finished, Pictures, overlapped
from sr_model.inference.upscaler import Upscaler
from sr_model.system.threads import StoppedError

MOST_THREADS = 8  # that decode, and as many that encode


@dataclass
class Task:
    """An item on its way, with what its stages leave for each other."""

    item: Item
    read: Callable[[], bytes] | None = None  # where it is no file of its own
    record: Record | None = None
    content: Content | None = None
    sources: list[Picture] = field(default_factory=list)  # what agreement is measured with


class Processing:
    """Enlarges items into the folder `out`. What the journal knows is skipped; without one, nothing is."""

    def __init__(
        self,
        upscaler: Upscaler,
        out: str,
        output: Output,
        journal: Journal | None = None,
        budget: int = BUDGET,
        write: Callable[[str, bytes], None] = storage.write,
        measure: bool = False,
    ) -> None:
        """With `measure`, records say how strongly a picture was repaired and how well the result agrees with it."""
        self.measure = measure
        self.upscaler, self.out, self.output, self.journal, self.budget = upscaler, out, output, journal, budget
        self._write = write
        self._settings: dict[str, dict[str, Any]] = {}  # by ending
        self._gate = Gate()
        if journal:  # else it is one file
            upscaler.expect_many()

    def run(self, tasks: Iterable[Task]) -> Iterator[Tick | Record]:
        """Yield what becomes of each task, in order, and a Tick after each tile.

        Raises TargetError. Whoever stops iterating stops the work within a tile, and no file is left half-written.
        """
        batch = default_batch(self.upscaler.device)
        threads = max(1, min(MOST_THREADS, available_cpus() // 2))

        def enlarge(pictures: Stream) -> Iterator[Tick | Any]:
            return enlarge_all(self.upscaler, pictures, batch)

        try:
            yield from overlapped(tasks, self._load, enlarge, self._save, self.budget, threads, self.upscaler.streams)
        finally:
            self._gate.close()

    def settings(self, target: str) -> dict[str, Any]:
        """All that decides what becomes of a file of this name."""
        ending = storage.ending(target)
        if ending not in self._settings:
            self._settings[ending] = self.output.settings(self.upscaler, ending)
        return self._settings[ending]

    def _load(self, task: Task, admit: Admit) -> list[Picture] | Finished[Record]:
        begin = time.perf_counter()
        item = task.item
        task.record = Record(
            item.source,
            storage.join(self.out, item.target),
            "refused",
            bytes_in=item.size,
            settings=self.settings(item.target),
        )
        if item.problem:
            return Finished(replace(task.record, reason=item.problem))
        try:
            if item.version and (known := self._done(task, version=item.version)):
                return Finished(known)
            raw = task.read() if task.read else storage.read(item.source)
            sha256 = hashlib.sha256(raw).hexdigest()
            task.record = replace(task.record, bytes_in=len(raw), sha256_in=sha256)
            if known := self._done(task, sha256_in=sha256):
                return Finished(known)
            ending = storage.ending(item.target)
            task.content, pictures = outputs.decode(raw, ending, self.output, self.upscaler.scale, admit)
        except TargetError:
            raise
        except SRError as error:
            return Finished(replace(task.record, reason=str(error)))
        seconds = {"load": time.perf_counter() - begin}
        task.record = replace(task.record, size=task.content.size, frames=len(pictures), seconds=seconds)
        if task.content.direct:
            return Finished(self._save(task, Pictures(pictures)))
        if self.measure:
            task.sources = list(pictures)
        return pictures

    def _done(self, task: Task, **identity: str) -> Record | None:
        """The record of an item that the journal knows with these settings, and whose result is still there."""
        assert task.record is not None, "it is being loaded"
        known = self.journal.lookup(task.item.target) if self.journal else None
        if known is None or self.journal is None:
            return None
        if not known.is_of(settings_id(task.record.settings), **identity) or not is_intact(known, task.record.target):
            return None
        record = replace(task.record, bytes_out=known.bytes_out, sha256_in=known.sha256_in.hex())
        record = replace(record, sha256_out=known.sha256_out.hex())
        if known.run == bytes.fromhex(self.journal.run):  # by a worker that was killed before it could say so
            return replace(record, status="done")
        return replace(record, status="skipped", reason="It is done: same content, same settings.")

    def _save(self, task: Task, made: Pictures) -> Record:
        record, content = task.record, task.content
        assert record is not None, "it has been loaded"
        assert content is not None, "it has been loaded"
        if made.error:
            return replace(record, reason=str(made.error))
        scale = self.upscaler.scale
        try:
            record = self._measured(record, task, made.pictures)
            begin = time.perf_counter()
            data = outputs.encode(content, made.pictures, self.output, scale)
            made.pictures.clear()
            record = replace(
                record,
                status="done",
                result_size=outputs.output_size(content.size, self.output, scale),
                bytes_out=len(data),
                sha256_out=hashlib.sha256(data).hexdigest(),
            )
            with self._gate:
                self._write(record.target, data)
                seconds = {"network": made.seconds, "save": time.perf_counter() - begin}
                record = replace(record, seconds=record.seconds | seconds)
                if self.journal:
                    self.journal.add(task.item.target, record, settings_id(record.settings), task.item.version)
        except TargetError:
            raise
        except SRError as error:
            return replace(record, status="refused", reason=str(error))
        return record

    def _measured(self, record: Record, task: Task, results: list[Picture]) -> Record:
        if not task.sources:
            return record
        begin = time.perf_counter()
        pairs = zip(results, task.sources, strict=True)
        least = min(agreement.decibels(agreement.deviation(*pair)) for pair in pairs)
        strength = self.upscaler.strength_of(task.sources[0]) if self.upscaler.is_mixed else None
        task.sources.clear()
        seconds = record.seconds | {"measure": time.perf_counter() - begin}
        return replace(record, strength=strength, agreement=round(least, 2), seconds=seconds)


class Gate:
    """Lets threads through to write until it is closed, which waits for those who are inside."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._changed:
            if self._closed:
                raise StoppedError
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and wait until nobody is inside."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._inside)
