"""What a job would take, before it is begun: files, time and disk, from headers and a few samples."""

import hashlib
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sr_model.bulk import listing, outputs, shards, storage
from sr_model.bulk.job import Job
from sr_model.bulk.journal import Journal, is_intact
from sr_model.bulk.processing import Processing
from sr_model.bulk.records import Item, settings_id
from sr_model.errors import SRError
from sr_model.imaging import images
from sr_model.inference.devices import available_cpus
from sr_model.inference.upscaler import Upscaler
from sr_model.system.remote import is_remote

SAMPLES = 8


@dataclass(frozen=True)
class Plan:
    """What a job would take."""

    files: int  # to be enlarged
    done: int  # by the journal
    refused: int
    megapixels: float  # of the results
    seconds: float
    bytes: float
    free: int | None  # bytes where the results go, where that is known

    def text(self) -> str:
        """For people, in lines."""
        lines = [
            f"{self.files} files to enlarge, {self.done} done before, {self.refused} that will be refused",
            f"about {duration(self.seconds)} here, for {self.megapixels:.0f} megapixels of results",
            f"about {self.bytes / 1e9:.2f} GB of results",
        ]
        if self.free is not None:
            lines[2] += f"; {self.free / 1e9:.1f} GB are free" + ("" if self.bytes < self.free else ": too little")
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """For people: 40 s, 12 min, 3.5 h, 4.2 days."""
    for unit, length, digits in (("days", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def plan(job: Job, upscaler: Upscaler) -> Plan:
    """Read the headers of all items, and enlarge parts of a few. Nothing is written. Raises as `Job.steps` does."""
    journal = Journal(job.out) if job.journal else None
    processing = Processing(upscaler, job.out, job.output, journal)
    rng = random.Random(0)
    samples: list[tuple[bytes, str]] = []
    files = done = refused = pixels = worked = 0
    for item in job.items():
        if _is_done(item, processing):
            done += 1
            continue
        for name, raw in _contents(item, job):
            try:
                w, h = images.read_size(raw)
                size = outputs.output_size((w, h), job.output, upscaler.scale)
                images.check_size(size, storage.ending(name))
                frames = outputs.count_frames(raw, storage.ending(name), job.output)
                pixels += size[0] * size[1] * frames
                if not outputs.is_direct((w, h), job.output):
                    worked += w * h * upscaler.scale**2 * frames
            except SRError:
                refused += 1
                continue
            files += 1
            place = len(samples) if len(samples) < SAMPLES else rng.randrange(files)
            if place < SAMPLES:
                samples[place : place + 1] = [(raw, storage.ending(name))]
    seconds, size_in_bytes = _costs(samples, job, upscaler)
    free = None if is_remote(job.out) else shutil.disk_usage(_existing(Path(job.out))).free
    return Plan(files, done, refused, pixels / 1e6, worked * seconds, pixels * size_in_bytes, free)


def _is_done(item: Item, processing: Processing) -> bool:
    known = processing.journal.lookup(item.target) if processing.journal else None
    if known is None:
        return False
    ending = f".{processing.output.format}" if item.target.endswith(listing.SHARDS) else item.target
    settings = settings_id(processing.settings(ending))
    try:
        sha256 = "" if item.version else hashlib.sha256(storage.read(item.source)).hexdigest()
    except SRError:
        return False
    return known.is_of(settings, sha256, item.version) and is_intact(known, storage.join(processing.out, item.target))


def _contents(item: Item, job: Job) -> Iterator[tuple[str, bytes]]:
    """(name of the result, bytes) of the pictures in an item; nothing of one that cannot be read, which is refused."""
    if item.target.endswith(listing.SHARDS):
        yield from shards.contents(item, job.output)
        return
    try:
        yield item.target, storage.read(item.source)
    except SRError:
        yield item.target, b""


def _costs(samples: list[tuple[bytes, str]], job: Job, upscaler: Upscaler) -> tuple[float, float]:
    """(seconds, bytes) that a pixel of a result takes, before it is shrunk, from the middle of each sample."""
    if not samples:
        return 0.0, 0.0
    upscaler.warm_up()
    seconds = 0.0
    pixels = size = 0
    for raw, ending in samples:
        image = images.open_image(raw)
        w, h = image.size
        side = upscaler.tile
        left, top = max(0, w - side) // 2, max(0, h - side) // 2
        picture = images.from_pil(image.crop((left, top, min(w, left + side), min(h, top + side))))
        begin = time.perf_counter()
        large = upscaler(picture)
        enlarged = time.perf_counter()
        w, h = large.size
        pixels += w * h
        content = outputs.Content(picture.size, ending, None, None)
        size += len(outputs.encode(content, [large], replace(job.output, max_side=None), upscaler.scale))
        # Encoding runs beside the network, but on a processor that the network may want too.
        seconds += (enlarged - begin) / upscaler.streams + (time.perf_counter() - enlarged) / available_cpus()
    return seconds / pixels, size / pixels


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
