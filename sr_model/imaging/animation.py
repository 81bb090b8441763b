"""Animated GIF, WebP and PNG: frames with their durations, read and written."""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from sr_model.errors import ImageError
from sr_model.imaging import images
from sr_model.imaging.images import MAX_PIXELS, Picture

ANIMATED = (".png", ".webp", ".gif")  # what can be written


@dataclass(frozen=True)
class Timing:
    """How an animation is played."""

    durations: tuple[int, ...]  # milliseconds, of each frame
    plays: int  # 0: without end


def frame_count(source: bytes | str) -> int:
    """How many frames an image file has; 1 where it is no animation. Raises ImageError."""
    return images.with_header(source, MAX_PIXELS, lambda image: len(_frames(image)))


def read(source: bytes, max_pixels: int = MAX_PIXELS) -> tuple[list[Picture], Timing]:
    """All frames of an animation, each as it is seen, and their timing.

    Raises ImageError as `images.open_image` does, and where all frames together have more than `max_pixels`.
    """

    def decode(image: Image.Image) -> tuple[list[Picture], Timing]:
        w, h = image.size
        indices = _frames(image)
        count = len(indices)
        if w * h * count > max_pixels:
            raise ImageError(
                f"The animation has {count} frames of {w}x{h} pixels, {w * h * count / 1e6:.1f} million in all; "
                f"at most {max_pixels / 1e6:g} million are allowed. Make it shorter or smaller, or a video of it."
            )
        frames, durations = [], []
        for index in indices:
            image.seek(index)
            image.load()
            frames.append(images.from_pil(image.copy()))
            durations.append(round(image.info.get("duration") or 0))
        return frames, Timing(tuple(durations), _plays(image))

    return images.with_header(source, max_pixels, decode)


def encode(frames: list[Image.Image], timing: Timing, suffix: str, quality: int | None = None) -> bytes:
    """The bytes of an animated file, by its ending, as `images.encode` writes stills; GIF in 256 colours a frame.

    Raises ImageError.
    """
    if suffix not in ANIMATED:
        raise ImageError(f"A {suffix[1:]} file holds no animation; choose one of {', '.join(s[1:] for s in ANIMATED)}.")
    images.check_size(frames[0].size, suffix)
    mode = "RGBA" if any("A" in frame.getbands() for frame in frames) else "RGB"
    first, *rest = (frame.convert(mode) for frame in frames)  # 16-bit animations do not exist
    options: dict[str, Any] = {"format": "GIF"} if suffix == ".gif" else images.file_options(suffix, quality)
    options["duration"] = list(timing.durations)
    if suffix == ".gif":
        options["disposal"] = 2 if mode == "RGBA" else 1
        if timing.plays != 1:
            options["loop"] = max(0, timing.plays - 1)
    else:
        options["loop"] = timing.plays
    buffer = io.BytesIO()
    profile = frames[0].info.get("icc_profile")
    first.save(buffer, save_all=True, append_images=rest, icc_profile=profile, **options)
    return buffer.getvalue()


def _frames(image: Image.Image) -> range:
    """Those that are shown. Photos of some cameras have further pictures in them, which are not."""
    if image.format not in ("GIF", "WEBP", "PNG"):
        return range(1)
    hidden = 1 if image.info.get("default_image") else 0  # for programs that know no animated PNG
    return range(hidden, int(getattr(image, "n_frames", 1)))


def _plays(image: Image.Image) -> int:
    loop = image.info.get("loop")
    if image.format != "GIF":
        return int(loop or 0)
    # GIF counts repetitions, and where it says nothing it is played once.
    return 1 if loop is None else 0 if loop == 0 else int(loop) + 1
