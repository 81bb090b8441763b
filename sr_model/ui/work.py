"""The work behind the main button, independent of the page: files in, pictures and scores out, tile by tile."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sr_model.errors import ConfigError, ImageError
from sr_model.evaluation import comparison
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import Upscaler
from sr_model.models.weights import name as weights_name
from sr_model.ui.limits import MAX_PIXELS, MAX_RESULT_PIXELS, safe_stem

ENLARGE, COMPARE = "enlarge", "compare"
MODES = (ENLARGE, COMPARE)
BICUBIC, AUTOENCODER, REFERENCE = "Bicubic", "Autoencoder", "Reference"
INPUT = "Input"  # in place of bicubic, if nothing is enlarged


@dataclass(frozen=True)
class Job:
    """What a visitor asks for. `reference` is used only by Enlarge."""

    picture: Path
    mode: str
    preset: str
    scale: int
    reference: Path | None = None


@dataclass(frozen=True)
class Progress:
    """Tiles done, tiles in total, and the seconds left, if known."""

    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True)
class Pane:
    """A picture of the result, its title, and the file name of its download."""

    title: str
    picture: Picture  # as its file holds it
    file_name: str


@dataclass(frozen=True)
class Score:
    """How close a picture is to the reference."""

    title: str
    psnr: float  # dB
    ssim: float


@dataclass(frozen=True)
class Outcome:
    """Everything that is shown when the work is done."""

    panes: tuple[Pane, ...]  # bicubic, autoencoder, and the reference if there is one; all of equal size
    scores: tuple[Score, ...]  # bicubic and autoencoder, or none without a reference
    source_size: tuple[int, int]  # (width, height) of what was enlarged
    seconds: float  # that the network took


def perform(
    job: Job, upscaler: Upscaler, seconds_per_pixel: float = 0.0, max_seconds: float = math.inf
) -> Iterator[Progress | Outcome]:
    """Enlarge, or shrink and enlarge again and measure; the last item is the Outcome.

    Abandon the generator to stop the work. A job that would take more than `max_seconds`, at `seconds_per_pixel` of the
    small picture, is refused. Raises ImageError and ConfigError with sentences for the visitor.
    """
    if job.mode not in MODES:
        raise ConfigError("Please choose Enlarge or Compare.")
    low, reference = _open(job)
    w, h = low.size
    expected = w * h * seconds_per_pixel
    if expected > max_seconds:
        raise ImageError(
            f"This would take about {_short(expected)} seconds here, and at most {_short(max_seconds)} are allowed. "
            f"Choose a faster network, or a picture of at most {_short(w * h * max_seconds / expected / 1e6)} million "
            "pixels."
        )
    for step in upscaler.steps(low, with_bicubic=True):
        left = step.seconds / step.done * (step.total - step.done) if step.done else expected
        yield Progress(step.done, step.total, left or None)
    assert step.result is not None, "an enlargement ends with its pictures"
    assert step.bicubic is not None, "it was asked for"
    finishing = Progress(step.total, step.total, None)  # each time it is yielded, the visitor can cancel
    # At x1, Compare shrinks the picture and enlarges it back by bicubic; Enlarge takes it as it is.
    plain = INPUT if job.scale == 1 and job.mode == ENLARGE else BICUBIC
    pictures = {plain: as_shown(step.bicubic), AUTOENCODER: as_shown(step.result)}
    scores: list[Score] = []
    if reference is not None:
        pictures[REFERENCE] = as_shown(reference)
        for title in (plain, AUTOENCODER):
            yield finishing
            scores.append(Score(title, *comparison.compare(pictures[title], pictures[REFERENCE], job.scale)))
    yield finishing
    panes = tuple(Pane(title, picture, _file_name(title, job)) for title, picture in pictures.items())
    yield Outcome(panes, tuple(scores), low.size, step.seconds)


def as_shown(picture: Picture) -> Picture:
    """The picture as read back from a PNG, with equal channels if it is grey: what is measured is what is shown."""
    if not picture.grey and picture.pixels.dtype == np.uint8:
        return picture  # a PNG holds exactly this; do not copy large pictures
    return images.from_pil(images.to_pil(picture))


def fit_reference(reference: Picture, size: tuple[int, int], scale: int) -> Picture:
    """The reference cropped at the bottom and right to `scale` times `size`, if it is at most `scale` pixels larger.

    Raises ImageError for any other size.
    """
    (w, h), (rw, rh) = size, reference.size
    if not (0 <= rw - w * scale <= scale and 0 <= rh - h * scale <= scale):
        raise ImageError(
            f"The reference is {rw}x{rh}, but {scale} times the picture's {w}x{h} is {w * scale}x{h * scale}. "
            "Give the original of that size, choose another scale, or remove the reference."
        )
    alpha = None if reference.alpha is None else reference.alpha[: h * scale, : w * scale]
    pixels = reference.pixels[: h * scale, : w * scale]
    return Picture(pixels, alpha, reference.grey, reference.icc_profile)


def _open(job: Job) -> tuple[Picture, Picture | None]:
    """(the picture to enlarge, the reference to measure against or None)."""
    picture = images.load(job.picture, MAX_PIXELS)
    if job.mode == COMPARE:
        return comparison.shrink_picture(picture, job.scale)
    w, h = picture.size
    result = w * h * job.scale**2
    if result > MAX_RESULT_PIXELS:
        raise ImageError(
            f"{job.scale} times {w}x{h} would be {result / 1e6:.0f} million pixels; at most "
            f"{MAX_RESULT_PIXELS / 1e6:g} million can be made here. Choose a smaller scale, or crop the picture."
        )
    if job.reference is None:
        return picture, None
    # Measuring takes far more memory than enlarging, so a reference may have no more pixels than an upload.
    return picture, fit_reference(images.load(job.reference, MAX_PIXELS), picture.size, job.scale)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _file_name(title: str, job: Job) -> str:
    kind = {
        BICUBIC: f"bicubic-x{job.scale}",
        INPUT: "input",
        AUTOENCODER: weights_name(job.preset, job.scale),
        REFERENCE: "reference",
    }
    return f"{safe_stem(job.picture.name)}-{kind[title]}.png"
