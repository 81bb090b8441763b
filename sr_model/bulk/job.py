"""A job: many files, one network, one folder of results. It can be killed at any moment and given again."""

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sr_model.bulk import listing, shards, storage
from sr_model.bulk.journal import FOLDER, Journal
from sr_model.bulk.outputs import DEFAULT, Output
from sr_model.bulk.processing import Processing, Task
from sr_model.bulk.records import Item, Record
from sr_model.inference.batches import Tick
from sr_model.inference.overlap import BUDGET
from sr_model.inference.upscaler import Upscaler
from sr_model.system.files import make_folders
from sr_model.system.lock import locked
from sr_model.system.remote import is_remote


@dataclass(frozen=True)
class Job:
    """Enlarge `items` into the folder `out`, a path or a URL.

    >>> for record in folder_job("photos", "large").run(Upscaler.from_preset("base")):
    ...     print(record.status, record.target, record.reason)

    With a journal, in OUT/.sr_model/, what is done is skipped: by the content of the source, the settings and the
    network, while the result is as it was written. A second job on the same folder waits until the first has ended.
    """

    items: Callable[[], Iterator[Item]]
    out: str
    output: Output = DEFAULT
    journal: bool = True
    budget: int = BUDGET  # bytes of pictures that have been read and are not yet written
    write: Callable[[str, bytes], None] = storage.write  # a result, whole or not at all
    measure: bool = False  # whether records say how well each result agrees with its source

    def run(self, upscaler: Upscaler, wait: Callable[[], None] = lambda: None) -> Iterator[Record]:
        """Yield what has become of each item, in order; see `steps`."""
        return (step for step in self.steps(upscaler, wait) if isinstance(step, Record))

    def steps(
        self, upscaler: Upscaler, wait: Callable[[], None] = lambda: None
    ) -> Generator[Tick | Record, None, None]:
        """Yield what has become of each item, in order, and a Tick after each tile.

        Files that cannot be read, enlarged or written are records that say why. Raises TargetError where results
        cannot be written at all (no room, no bucket, no right), ImageError and StorageError where the items cannot be
        listed. Stop asking, and it ends within a tile. `wait` is called where another job has to end first; it may
        raise.
        """
        with self.lock(wait), closing(Journal(self.out)) if self.journal else nullcontext() as journal:
            processing = Processing(upscaler, self.out, self.output, journal, self.budget, self.write, self.measure)
            yield from process(self.items(), processing)

    @contextmanager
    def lock(self, wait: Callable[[], None]) -> Iterator[None]:
        """Held while the job runs. Only folders on a disk can be locked. Raises StorageError."""
        if not self.journal or is_remote(self.out):
            yield
            return
        folder = Path(self.out) / FOLDER
        with ExitStack() as stack:
            try:
                make_folders(folder)
                stack.enter_context(locked(folder / "lock", wait))
            except OSError as error:
                raise storage.as_storage_error(os.fspath(folder), error) from None
            yield


def process(items: Iterator[Item], processing: Processing) -> Iterator[Tick | Record]:
    """Enlarge items, files and shards alike, as `Job.steps` does."""
    for are_shards, part in itertools.groupby(items, lambda item: item.target.lower().endswith(listing.SHARDS)):
        if are_shards:
            for item in part:
                yield from shards.process(item, processing)
        else:
            yield from processing.run(map(Task, part))


def folder_job(
    source: str, target: str, output: Output = DEFAULT, globs: tuple[str, ...] = (), listed: str = "", column: str = ""
) -> Job:
    """A job on the pictures below a folder, with `globs` only on those that match one, with `listed` on a list's.

    Raises ConfigError where OUT could overwrite IN, and ImageError where there is no such folder.
    """
    listing.check_folders(source, target)
    output.check(f".{output.format}")
    if not listed and not storage.is_folder(source):
        raise listing.missing(source)

    def entries() -> Iterable[storage.Entry]:
        if listed:
            return listing.listed(listed, source, column or listing.COLUMN, globs)
        return listing.folder(source, target, globs)

    if listed and listing.is_pipe(listed):
        kept = list(entries())
        return Job(lambda: listing.items(kept, output), target, output)
    return Job(lambda: listing.items(entries(), output), target, output)


def file_job(source: str, target: str, output: Output = DEFAULT) -> Job:
    """A job on one picture, which is enlarged whether it has been or not, or on one shard.

    Raises ImageError and ConfigError.
    """
    if source.lower().endswith(listing.SHARDS):
        out, item = listing.one_shard(source, target)
        return Job(lambda: iter([item]), out, output)
    out, item = listing.one_file(source, target, output)
    output.check(storage.ending(item.target))
    return Job(lambda: iter([item]), out, output, journal=False)
