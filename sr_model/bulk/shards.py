"""Tar shards in webdataset's layout: samples of files that share a key, `000.jpg` and `000.json`.

A shard becomes one of the same name, with the same files in the same order and its pictures enlarged. Results are
gathered in a folder first, with a journal of their own, so a job that was killed goes on within the shard.
"""

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, cast

from sr_model.bulk import storage
from sr_model.bulk.journal import FOLDER, Journal, is_intact
from sr_model.bulk.outputs import Output
from sr_model.bulk.processing import Processing, Task
from sr_model.bulk.records import Item, Record, settings_id
from sr_model.errors import SRError, StorageError, TargetError
from sr_model.imaging.images import SUFFIXES
from sr_model.inference.batches import Tick
from sr_model.system.remote import is_remote


def process(item: Item, processing: Processing) -> Iterator[Tick | Record]:
    """Enlarge the pictures of a shard: a record of each, and the last one of the shard."""
    target = storage.join(processing.out, item.target)
    record = Record(item.source, target, "refused", settings=processing.settings(f".{processing.output.format}"))
    try:
        with storage.as_local(item.source) as path:
            record = replace(record, bytes_in=path.stat().st_size, sha256_in=_sha256(path))
            if known := _known(item, record, processing):
                yield known
                return
            with _stage(processing.out, item.target) as stage:
                refused: set[str] = set()
                for step in _enlarge(path, item, stage, processing):
                    if isinstance(step, Record):
                        name = Path(step.target).relative_to(stage).as_posix()
                        refused |= {name} if step.status == "refused" else set()
                        step = replace(step, target=f"{target}/{name}", shard=item.source)
                    yield step
                record = _assemble(path, stage, record, processing.output, refused)
    except TargetError:
        raise
    except SRError as error:
        record = replace(record, reason=str(error))
    except (tarfile.TarError, EOFError) as error:
        record = replace(record, reason=f"The shard is damaged, or no plain tar file ({error}).")
    else:
        if processing.journal:
            processing.journal.add(item.target, record, settings_id(record.settings), item.version)
    yield record


def contents(item: Item, output: Output) -> Iterator[tuple[str, bytes]]:
    """(name of the result, bytes) of each picture in a shard; one without bytes for a shard that cannot be read."""
    try:
        with storage.as_local(item.source) as path:
            for member, name in _members(path, output):
                if name:
                    yield name, _part(path, member.offset_data, member.size)
    except (SRError, tarfile.TarError, EOFError):
        yield item.target, b""


def _known(item: Item, record: Record, processing: Processing) -> Record | None:
    known = processing.journal.lookup(item.target) if processing.journal else None
    if known is None or not known.is_of(settings_id(record.settings), record.sha256_in):
        return None
    if not is_intact(known, record.target):
        return None
    reason = "It is done: same content, same settings."
    return replace(
        record, status="skipped", reason=reason, bytes_out=known.bytes_out, sha256_out=known.sha256_out.hex()
    )


@contextmanager
def _stage(out: str, name: str) -> Iterator[Path]:
    """A folder for the results of a shard: beside the journal, to be found again, or for a URL a temporary one."""
    if is_remote(out):
        with tempfile.TemporaryDirectory(prefix="sr_model-") as folder:
            yield Path(folder)
        return
    stage = Path(out) / FOLDER / "shards" / name
    yield stage
    shutil.rmtree(stage, ignore_errors=True)


def _members(path: Path, output: Output) -> Iterator[tuple[tarfile.TarInfo, str | None]]:
    """The shard's files with the names of their results; None for those that are copied.

    Of a sample's files those are pictures that have nothing but a picture's ending behind the key: `000.jpg` is one,
    a mask `000.mask.png` is none.
    """
    with tarfile.open(path, "r:") as shard:
        taken: set[str] = set()
        for member in shard:
            if not member.isfile():
                continue
            if not storage.is_below(member.name):
                raise StorageError(f"The shard is refused: its name {member.name!r} leads out of a folder.")
            key, _, ending = member.name.rpartition("/")[2].partition(".")
            if f".{ending.lower()}" not in SUFFIXES or not key:
                yield member, None
                continue
            result = output.name(member.name)
            if result in taken:
                result = output.name(member.name, whole=True)
            taken.add(result)
            yield member, result


def _enlarge(path: Path, item: Item, stage: Path, processing: Processing) -> Iterator[Tick | Record]:
    def tasks() -> Iterator[Task]:
        for member, name in _members(path, processing.output):
            if name:
                task = Task(Item(f"{item.source}/{member.name}", name, member.size))
                task.read = partial(_part, path, member.offset_data, member.size)
                yield task

    with closing(Journal(str(stage))) as journal:
        upscaler, output, measure = processing.upscaler, processing.output, processing.measure
        inner = Processing(upscaler, str(stage), output, journal, processing.budget, measure=measure)
        yield from inner.run(tasks())


def _assemble(path: Path, stage: Path, record: Record, output: Output, refused: set[str]) -> Record:
    """Write the shard. Samples with a picture that was refused are left out as a whole."""
    missing = {_key(member.name) for member, name in _members(path, output) if name in refused}
    with storage.writer(record.target) as stream, tarfile.open(fileobj=cast(IO[bytes], stream), mode="w|") as shard:
        for member, name in _members(path, output):
            if _key(member.name) in missing:
                continue
            data = (stage / name).read_bytes() if name else _part(path, member.offset_data, member.size)
            info = tarfile.TarInfo(name or member.name)
            info.size, info.mtime = len(data), member.mtime
            shard.addfile(info, io.BytesIO(data))
    return replace(record, status="done", bytes_out=stream.size, sha256_out=stream.sha256)


def _key(name: str) -> str:
    folder, _, name = name.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _part(path: Path, offset: int, size: int) -> bytes:
    with open(path, "rb") as stream:
        stream.seek(offset)
        return stream.read(size)


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
