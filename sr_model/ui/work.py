"""The work behind the main button, independent of the page: files in, pictures and scores out, tile by tile."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from sr_model.degrading import degradations
from sr_model.errors import ConfigError, ImageError
from sr_model.evaluation import comparison
from sr_model.imaging import fitting, images
from sr_model.imaging.images import Picture
from sr_model.imaging.resampling import crop_to_multiple
from sr_model.inference.mixing import in_steps
from sr_model.inference.upscaler import Upscaler
from sr_model.ui.jobs import judging, maps
from sr_model.ui.jobs.judging import Agreement, Score
from sr_model.ui.limits import MAX_PIXELS, MAX_RESULT_PIXELS, safe_stem

ENLARGE, COMPARE, NETWORKS = "enlarge", "compare", "networks"
MODES = (ENLARGE, COMPARE, NETWORKS)
BICUBIC, AUTOENCODER, REFERENCE = "Bicubic", "Autoencoder", "Reference"
INPUT = "Input"  # in the place of bicubic, where nothing is enlarged
CLEAN, PHOTO = "bicubic", "photo"  # how Compare shrinks
SHRINKINGS = (CLEAN, PHOTO)


@dataclass(frozen=True)
class Job:
    """What a visitor asks for. `reference` counts in Enlarge only, `shrinking` where the picture is shrunk."""

    picture: Path
    mode: str
    preset: str
    scale: int  # of the network
    reference: Path | None = None
    shrinking: str = CLEAN
    factor: int | None = None  # how many times larger, where that is less than the network's scale
    size: tuple[int, int] | None = None  # (width, height) of the result, where it is no multiple of the picture's
    strength: float | None = None  # of weights that are mixed; None for what is found of the picture

    @property
    def times(self) -> int:
        """How many times larger the result is, or would be before it is shrunk to `size`."""
        return self.factor or self.scale

    @property
    def suffix(self) -> str:
        """What the names of downloads say of the size: x2, or 1920x1080."""
        return f"x{self.times}" if self.size is None else f"{self.size[0]}x{self.size[1]}"


@dataclass(frozen=True)
class Progress:
    """Tiles done, tiles in total, and the seconds left, if known."""

    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True)
class Pane:
    """A picture of the result, its title, the name that its download has, and maps of it by `maps.KINDS`."""

    title: str
    picture: Picture  # as its file holds it
    file_name: str
    maps: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Everything that is shown when the work is done."""

    panes: tuple[Pane, ...]  # bicubic, autoencoder, and the reference if there is one; all of equal size
    scores: tuple[Score, ...]  # bicubic and autoencoder, or none without a reference
    source_size: tuple[int, int]  # (width, height) of what was enlarged
    seconds: float  # that the network took
    agreements: tuple[Agreement, ...] = ()  # where there is no reference and something was enlarged
    spot: tuple[float, float] = (0.5, 0.5)  # (x, y) in parts of the sides: where the methods differ most
    strength: float | None = None  # that the weights were mixed at, where they are mixed


def perform(
    job: Job, upscaler: Upscaler, seconds_per_pixel: float = 0.0, max_seconds: float = math.inf
) -> Iterator[Progress | Outcome]:
    """Enlarge, or shrink and enlarge again and measure; the last item is the Outcome.

    Abandon the generator to stop the work. A job that would take more than `max_seconds`, at `seconds_per_pixel` of the
    small picture, is refused. Raises ImageError and ConfigError with sentences for the visitor.
    """
    if job.mode not in (ENLARGE, COMPARE):
        raise ConfigError("Please choose Enlarge or Compare.")
    low, reference = _open(job)
    w, h = low.size
    expected = w * h * seconds_per_pixel
    check_seconds(expected, max_seconds, w * h)
    strength = upscaler.strength_of(low) if job.strength is None else in_steps(job.strength)
    for step in upscaler.steps(low, with_bicubic=True, strength=strength):
        left = step.seconds / step.done * (step.total - step.done) if step.done else expected
        yield Progress(step.done, step.total, left or None)
    assert step.result is not None, "an enlargement ends with its pictures"
    assert step.bicubic is not None, "it was asked for"
    finishing = Progress(step.total, step.total, None)  # each time it is yielded, the visitor can cancel
    # At x1, Compare shrinks the picture and enlarges it back by bicubic; Enlarge takes it as it is.
    plain = INPUT if job.scale == 1 and job.mode == ENLARGE else BICUBIC
    size = job.size or (w * job.times, h * job.times)
    by_bicubic = step.bicubic if step.bicubic.size == size else _bicubic(low, size)
    pictures = {plain: as_shown(by_bicubic), AUTOENCODER: as_shown(fitting.fit(step.result, size))}
    yield finishing
    added = maps.difference(pictures[AUTOENCODER], pictures[plain])
    spot = maps.greatest(added)
    drawn: dict[str, dict[str, np.ndarray]] = {plain: {}, AUTOENCODER: {} if reference else {maps.ADDED: added}}
    scores: list[Score] = []
    agreements: list[Agreement] = []
    if reference is not None:
        pictures[REFERENCE] = as_shown(reference)
    for title in (plain, AUTOENCODER):
        yield finishing
        if reference is not None:
            scores.append(judging.judge(title, pictures[title], pictures[REFERENCE], job.times))
            drawn[title][maps.ERROR] = maps.difference(pictures[title], pictures[REFERENCE])
        elif size != low.size:
            agreements.append(judging.agree(title, pictures[title], low))
            drawn[title][maps.OFF] = agreements[-1].levels
    yield finishing
    mixed = strength if upscaler.is_mixed else None
    panes = tuple(Pane(title, p, _file_name(title, job, mixed), drawn.get(title, {})) for title, p in pictures.items())
    yield Outcome(panes, tuple(scores), low.size, step.seconds, tuple(agreements), spot, mixed)


def check_seconds(expected: float, max_seconds: float, pixels: int) -> None:
    """Raise ImageError where `pixels` of the small picture would take longer than is allowed, with what would fit."""
    if expected > max_seconds:
        raise ImageError(
            f"This would take about {short(expected)} seconds here, and at most {short(max_seconds)} are allowed. "
            f"Choose a faster network, or a picture of at most {short(pixels * max_seconds / expected / 1e6)} million "
            "pixels."
        )


def check_result(size: tuple[int, int], result: tuple[int, int], how: str) -> None:
    """Raise ImageError where the result would have too many pixels; `how` begins the sentence."""
    pixels = result[0] * result[1]
    if pixels > MAX_RESULT_PIXELS:
        raise ImageError(
            f"{how} {size[0]}x{size[1]} would be {pixels / 1e6:.0f} million pixels; at most "
            f"{MAX_RESULT_PIXELS / 1e6:g} million can be made here. Choose a smaller scale, or crop the picture."
        )


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


def shrunk(picture: Picture, times: int, shrinking: str) -> tuple[Picture, Picture]:
    """(low, truth): the picture laid on white, and a copy that is shrunk by bicubic or as phones and the web do it."""
    if shrinking not in SHRINKINGS:
        raise ConfigError("Please choose how the picture is shrunk.")
    low, truth = comparison.shrink_picture(picture, times)
    if shrinking == PHOTO:
        high = crop_to_multiple(images.to_tensor(truth.pixels), max(times, 2))
        copy = degradations.photo(high, times, np.random.default_rng(0))  # the same each time, so results compare
        low = replace(low, pixels=images.to_array(copy))
    return low, truth


def short(value: float) -> str:
    """A number of two digits, or more before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _open(job: Job) -> tuple[Picture, Picture | None]:
    """(the picture to enlarge, the reference to measure against or None)."""
    picture = images.load(job.picture, MAX_PIXELS)
    if job.mode == COMPARE:
        return shrunk(picture, job.times, job.shrinking)
    w, h = picture.size
    check_result((w, h), (w * job.scale, h * job.scale), f"{job.scale} times")
    if job.reference is None:
        return picture, None
    if job.size is not None:
        raise ConfigError("A reference needs a scale such as 2x; choose one, or remove the reference.")
    # Measuring takes far more memory than enlarging, so that a reference may have no more pixels than an upload.
    return picture, fit_reference(images.load(job.reference, MAX_PIXELS), picture.size, job.times)


def _bicubic(picture: Picture, size: tuple[int, int]) -> Picture:
    """Enlarged to any size by bicubic (a = -0.5), as `enlarge_bicubic` does to multiples."""
    alpha = None if picture.alpha is None else fitting.resized(picture.alpha, size, Image.Resampling.BICUBIC)
    picture = images.bleed_colours(picture)
    channels = [fitting.resized(picture.pixels[..., c], size, Image.Resampling.BICUBIC) for c in range(3)]
    return replace(picture, pixels=np.stack(channels, axis=2), alpha=alpha)


def _file_name(title: str, job: Job, strength: float | None) -> str:
    at = "" if strength is None else f"-strength-{strength:.0%}".rstrip("%")
    kind = {
        BICUBIC: f"bicubic-{job.suffix}",
        INPUT: "input",
        AUTOENCODER: f"{job.preset}-{job.suffix}{at}",
        REFERENCE: "reference",
    }
    return f"{safe_stem(job.picture.name)}-{kind[title]}.png"
