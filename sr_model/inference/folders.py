"""Files and folders of pictures: what is read, what is written, and how long each file took."""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sr_model.errors import ConfigError, ImageError
from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler


@dataclass(frozen=True)
class Timing:
    """Seconds that a file took, by what it took them for."""

    decode: float
    network: float
    other: float  # bicubic, tiles, rounding and conversions
    encode: float  # and writing

    @property
    def total(self) -> float:
        return self.decode + self.network + self.other + self.encode

    def text(self) -> str:
        """For people, with the share that is not the network's."""
        rest = 1 - self.network / self.total
        parts = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in asdict(self).items())
        return f"{parts}; all but the network {rest:.0%}"


def upscale_file(upscaler: Upscaler, source: str | os.PathLike, target: str | os.PathLike) -> Timing:
    """Enlarge an image file into another.

    Raises ImageError for what cannot be read or written, and MemoryLimitError as `Upscaler` does.
    """
    start = time.perf_counter()
    picture = images.load(source)
    w, h = picture.size
    images.check_size((w * upscaler.scale, h * upscaler.scale), Path(target).suffix)  # before the work, not after it
    decoded = time.perf_counter()
    *_, last = upscaler.steps(picture)
    assert last.result is not None, "an enlargement ends with its result"
    enlarged = time.perf_counter()
    images.save(images.to_pil(last.result), target)
    return Timing(decoded - start, last.seconds, enlarged - decoded - last.seconds, time.perf_counter() - enlarged)


def jobs(source: Path, target: Path, ending: str) -> list[tuple[Path, Path]]:
    """(file to read, file to write) for every picture asked for. Raises ConfigError and ImageError."""
    if not source.exists():
        raise ImageError(f"There is no file or folder {source}.")
    if not source.is_dir():
        if target.is_dir():
            target = target / f"{source.stem}.{ending}"
        if target.exists() and target.samefile(source):
            raise ConfigError(f"OUT would replace the original {source}; choose another name.")
        return [(source, target)]

    if target.exists() and not target.is_dir():
        raise ConfigError(f"IN is a folder, so OUT must be one too, and {target} is a file.")
    if target.resolve() == source.resolve():
        raise ConfigError("OUT is the same folder as IN, and originals could be replaced; choose another one.")
    # A folder inside IN that an earlier call has written to is not input again.
    found = [path for path in images.find_images(source) if target.resolve() not in path.resolve().parents]
    if not found:
        raise ImageError(f"There is no picture in {source}; looked for {', '.join(images.SUFFIXES)}.")
    taken: set[Path] = set()
    found_jobs = []
    for path in found:
        relative = path.relative_to(source)
        new = relative.with_suffix(f".{ending}")
        if new in taken:  # cat.jpg and cat.png
            new = relative.with_name(f"{relative.name}.{ending}")
        taken.add(new)
        found_jobs.append((path, target / new))
    return found_jobs
