"""What is made of a file's bytes: pictures for the network, and the bytes of the result."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import torch
from PIL import Image

from sr_model.errors import ConfigError, ImageError
from sr_model.imaging import animation, images
from sr_model.imaging.fitting import fit
from sr_model.imaging.images import Picture
from sr_model.inference.overlap import cost
from sr_model.inference.upscaler import Upscaler

FORMATS = ("png", "webp", "jpg", "gif")
ENDINGS = (*images.WRITABLE_SUFFIXES, ".gif")
STILL = animation.Timing((0,), 1)
LOSSY = (".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Output:
    """How results are named and written."""

    format: str = "png"  # one of FORMATS, of files whose names are not given
    quality: int | None = None  # 1 to 100, of JPEG and lossy WebP; None: JPEG 95, WebP without loss
    suffix: str = ""  # behind the name, before the ending
    keep_exif: bool = False
    max_side: int | None = None  # pixels; larger results are shrunk to it
    times: int | None = None  # as many times larger, where the network's scale is more
    first_frame: bool = False  # of animations; otherwise all of them

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"--format is {self.format}; choose one of: {', '.join(FORMATS)}.")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"--quality is {self.quality}; give a number from 1 to 100, or normal or max.")
        if "/" in self.suffix or "\\" in self.suffix:
            raise ConfigError(f"--suffix is {self.suffix!r}; it becomes part of a file's name and may hold no slash.")
        if self.max_side is not None and self.max_side < 1:
            raise ConfigError(f"--max-side is {self.max_side}; give a number of pixels from 1.")

    def name(self, source: str, whole: bool = False) -> str:
        """The result's name for a source's; `whole` keeps the source's ending within it: cat.jpg.png."""
        path = PurePosixPath(source)
        stem = path.name if whole else path.stem
        return str(path.with_name(f"{stem}{self.suffix}.{self.format}"))

    def check(self, ending: str) -> None:
        """Raise ConfigError where files of this ending have no quality that could be chosen."""
        if self.quality is not None and ending not in LOSSY:
            raise ConfigError(f"{ending[1:]} files have no quality to choose; --quality N is for jpg and webp.")

    def settings(self, upscaler: Upscaler, ending: str) -> dict[str, Any]:
        """All that decides what becomes of a file, for the journal. Devices and tiles change nothing."""
        chosen = {key: value for key, value in asdict(self).items() if key not in ("format", "suffix")}
        for key in ("times", "first_frame"):  # they came later, and what was done without them stays done
            if not chosen[key]:
                del chosen[key]
        return {"network": fingerprint(upscaler), "scale": upscaler.scale, "format": ending[1:]} | chosen


DEFAULT = Output()


def fingerprint(upscaler: Upscaler) -> str:
    """Equal for networks that make equal pictures: their config, their weights, and how they are asked."""
    strength = f" {upscaler.strength}" if upscaler.is_mixed else ""
    digest = hashlib.sha256(f"{upscaler.model.config} {upscaler.quality}{strength}".encode())
    for name, value in sorted(upscaler.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Content:
    """A decoded file; its pictures are handed to the network and not kept here."""

    size: tuple[int, int]  # (width, height)
    ending: str  # of the file to write
    timing: animation.Timing | None  # of an animation
    exif: bytes | None
    direct: bool = False  # already as large as the result may be: the network is not asked


def decode(
    raw: bytes, ending: str, output: Output, scale: int, admit: Callable[[int], None]
) -> tuple[Content, list[Picture]]:
    """Decode a file's bytes once `admit` has let in the bytes that this is going to take.

    Raises ImageError, for results that the format cannot hold too: before the work, not after it.
    """
    w, h = images.read_size(raw)
    frames = count_frames(raw, ending, output)
    images.check_size(output_size((w, h), output, scale), ending)
    admit(cost((w, h), scale, frames))
    timing = exif = None
    if frames > 1:
        pictures, timing = animation.read(raw)
    else:
        image = images.open_image(raw)
        exif = images.exif_of(image, output_size((w, h), output, scale)) if output.keep_exif else None
        pictures = [images.from_pil(image)]
    return Content((w, h), ending, timing, exif, is_direct((w, h), output)), pictures


def count_frames(raw: bytes, ending: str, output: Output) -> int:
    """How many pictures of a file are to be enlarged. Raises ImageError where the result cannot hold them."""
    frames = 1 if output.first_frame else animation.frame_count(raw)
    if frames > 1 and ending not in animation.ANIMATED:
        raise ImageError(
            f"This is an animation, and a {ending[1:]} file holds one picture; choose --format webp, png or gif."
        )
    return frames


def is_direct(size: tuple[int, int], output: Output) -> bool:
    """Whether a picture of (width, height) is already as large as its result may be, so no network is needed."""
    return output.max_side is not None and max(size) >= output.max_side


def output_size(size: tuple[int, int], output: Output, scale: int) -> tuple[int, int]:
    """(width, height) of the result of a picture of this size."""
    w, h = size[0] * (output.times or scale), size[1] * (output.times or scale)
    if output.max_side is None or max(w, h) <= output.max_side:
        return w, h
    factor = output.max_side / max(w, h)
    return max(1, round(w * factor)), max(1, round(h * factor))


def encode(content: Content, pictures: list[Picture], output: Output, scale: int) -> bytes:
    """The bytes of the result. Raises ImageError."""
    size = output_size(content.size, output, scale)
    quality = output.quality if content.ending in LOSSY else None
    if output.times and not content.direct:
        w, h = content.size
        pictures = [fit(picture, (w * output.times, h * output.times)) for picture in pictures]
    try:
        frames = [_fitted(images.to_pil(picture), size) for picture in pictures]
        if content.timing or content.ending == ".gif":
            return animation.encode(frames, content.timing or STILL, content.ending, quality)
        return images.encode(frames[0], content.ending, quality, content.exif)
    except (OSError, ValueError, MemoryError) as error:  # what Pillow's encoders raise
        raise ImageError(f"The result cannot be encoded: {error or type(error).__name__}.") from None


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Shrunk to the size, where it is larger."""
    if image.size == size:
        return image
    profile = image.info.get("icc_profile")
    smaller = image.resize(size, Image.Resampling.BICUBIC)
    if profile:
        smaller.info["icc_profile"] = profile
    return smaller
