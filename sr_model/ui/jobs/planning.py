"""From a visitor's settings to a job, and before it is done: its sizes, its seconds, and what would fit instead."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sr_model.errors import ConfigError, SRError
from sr_model.imaging import images
from sr_model.imaging.strength import find_strength
from sr_model.imaging.tiles import tiles
from sr_model.inference.mixing import AUTO, in_steps, parse_strength
from sr_model.ui import work
from sr_model.ui.jobs import beside, sizing
from sr_model.ui.limits import MAX_PIXELS
from sr_model.ui.upscalers import Upscalers
from sr_model.ui.work import COMPARE, ENLARGE, NETWORKS, Job

# Seconds that ZeroGPU is asked for: to start and to measure, for each tile of GPU_SIDE pixels, and at most.
GPU_START, GPU_TILE, GPU_SIDE, GPU_MOST = 15, 1, 512, 120
LOOKED_AT = 4_000_000  # pixels of a picture whose strength is found before the work; more take seconds
OTHER_SIZE = "size"  # in the place of a scale: the size is in the target


@dataclass(frozen=True)
class Settings:
    """What the page's controls say. To add one: a field here, a control in `form.py`, and what `settle` makes of it."""

    mode: Any = ENLARGE
    scale: Any = 2  # how many times larger, or OTHER_SIZE
    preset: Any = "base"
    target: Any = None  # what `sizing.target_of` takes; counts with OTHER_SIZE only
    shrinking: Any = work.CLEAN
    networks: tuple[Any, ...] = ()  # presets, in NETWORKS
    strength: Any = AUTO  # 0 to 1, or AUTO; of presets of mixed weights only


@dataclass(frozen=True)
class Plan:
    """What a job would do: sizes as (width, height), and seconds by what was measured."""

    source: tuple[int, int]
    low: tuple[int, int]  # what is enlarged: the source, or the source shrunk
    result: tuple[int, int]
    seconds: float


@dataclass(frozen=True)
class Offer:
    """A setting that fits where the chosen one does not."""

    setting: str  # scale, target or preset
    value: Any


def offered_scales(scales: list[int]) -> list[int]:
    """The factors that a network of these scales can reach: 1 where it restores, and FACTORS up to its largest."""
    return [s for s in scales if s == 1] + [f for f in sizing.FACTORS if f <= max(scales, default=0)]


def settle(path: Path, settings: Settings, upscalers: Upscalers, reference: Path | None = None) -> Job:
    """The job of a picture's file. Reads its header only. Raises ConfigError and ImageError."""
    if settings.mode not in work.MODES:
        raise ConfigError("Please choose Enlarge or Compare.")
    job = Job(path, settings.mode, settings.preset, 0, reference, settings.shrinking, strength=strength_asked(settings))
    if settings.scale == OTHER_SIZE:
        return _sized(job, settings, upscalers)
    times = as_scale(settings.scale)
    if settings.mode == NETWORKS:
        return replace(job, scale=times, preset="")
    scale, factor = network_scale(settings.preset, times, upscalers)
    job = replace(job, scale=scale, factor=factor)
    if factor is None:
        return job
    w, h = images.read_size(path, MAX_PIXELS)
    return replace(job, size=(w * times, h * times)) if settings.mode == ENLARGE and reference is None else job


def network_scale(preset: Any, times: int, upscalers: Upscalers) -> tuple[int, int | None]:
    """(scale of the network, `times` if that is less): what the page offers beyond the scales that have weights."""
    scales = upscalers.scales(preset)
    if times not in offered_scales(scales) or times in scales:
        return times, None  # which `upscalers.get` knows, or refuses in words
    return sizing.next_scale(times, scales), times


def scale_of(preset: str, times: int, upscalers: Upscalers) -> int:
    """The scale at which a preset takes part in NETWORKS: this one, 1 where it restores, or the next larger."""
    scales = upscalers.scales(preset)
    if times in scales:
        return times
    return 1 if 1 in scales else sizing.next_scale(times, scales or [0])


def contenders(networks: tuple[Any, ...], times: int, upscalers: Upscalers) -> list[beside.Contender]:
    """The networks of NETWORKS, loaded. Raises ConfigError for unknown ones and for too few or too many."""
    names = [name for name in networks if isinstance(name, str) and upscalers.scales(name)]
    beside.check_count(names)
    found = []
    for name in names:
        scale = scale_of(name, times, upscalers)
        found.append(beside.Contender(name, upscalers.get(name, scale), upscalers.seconds(name, scale, 1)))
    return found


def gpu_seconds(job: Job, settings: Settings | None = None) -> int:
    """How long a job may need a GPU that others wait for: to start, and for each tile of all its networks."""
    w, h = images.with_header(job.picture, MAX_PIXELS, lambda image: image.size)
    networks = len(settings.networks) if settings and job.mode == NETWORKS else 1
    return min(GPU_START + GPU_TILE * networks * len(tiles(h, w, GPU_SIDE, 1)), GPU_MOST)


def plan(path: Path, settings: Settings, upscalers: Upscalers, reference: Path | None = None) -> Plan:
    """What would be done. Loads the network if it was not yet, to know its cost. Raises ConfigError and ImageError."""
    job = settle(path, settings, upscalers, reference)
    w, h = images.read_size(path, MAX_PIXELS)
    if job.mode == ENLARGE:
        result = job.size or (w * job.times, h * job.times)
        work.check_result((w, h), (w * job.scale, h * job.scale), f"{job.scale} times")
        return Plan((w, h), (w, h), result, upscalers.seconds(job.preset, job.scale, w * h))
    low = max(1, w // max(job.times, 1)), max(1, h // max(job.times, 1))
    result = low[0] * job.times, low[1] * job.times
    if job.mode == COMPARE:
        return Plan((w, h), low, result, upscalers.seconds(job.preset, job.scale, low[0] * low[1]))
    seconds = 0.0
    for each in contenders(settings.networks, job.times, upscalers):
        entering = result if each.upscaler.scale == 1 else low
        seconds += each.cost * entering[0] * entering[1]
    return Plan((w, h), low, result, seconds)


def found_strength(path: Path, settings: Settings, upscalers: Upscalers) -> float | None:
    """The strength that the picture would be given by itself, where it is enlarged as it is by mixed weights."""
    if settings.mode != ENLARGE or settings.preset not in upscalers.mixed:
        return None
    w, h = images.read_size(path, MAX_PIXELS)
    return _strength_of(path) if w * h <= LOOKED_AT else None


def strength_asked(settings: Settings) -> float | None:
    """The one that is asked for; None for what is found. Raises ConfigError for what is neither."""
    value = settings.strength
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError("The strength is a number from 0 to 1, or auto.")
    return parse_strength(value)


def offers(path: Path, settings: Settings, upscalers: Upscalers, max_seconds: float) -> list[Offer]:
    """What would fit in the place of settings that exceed a limit: a smaller scale or size, or a faster network."""
    if settings.mode == NETWORKS or not upscalers.scales(settings.preset):
        return []

    def fits(changed: Settings) -> bool:
        try:
            return plan(path, changed, upscalers).seconds <= max_seconds
        except SRError:
            return False

    found = []
    scales = [s for s in offered_scales(upscalers.scales(settings.preset)) if s != settings.scale]
    for scale in sorted(scales, reverse=True):
        if fits(replace(settings, scale=scale)):
            found.append(Offer("scale", scale))
            break
    for preset in upscalers.presets:
        if preset != settings.preset and fits(replace(settings, preset=preset)):
            found.append(Offer("preset", preset))
            break
    return found


def as_scale(value: Any) -> int:
    """Raises ConfigError for what is not a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ConfigError("Please choose a scale.")


@lru_cache(maxsize=256)  # each upload has a path of its own
def _strength_of(path: Path) -> float:
    return in_steps(find_strength(images.load(path, MAX_PIXELS)))


def _sized(job: Job, settings: Settings, upscalers: Upscalers) -> Job:
    target = sizing.target_of(settings.target)
    if target is None:
        raise ConfigError("Please give the size as a width or height in pixels, or in megapixels.")
    if job.mode != ENLARGE:
        raise ConfigError("A size in pixels is for Enlarge; to compare, choose a scale such as 2x.")
    w, h = images.read_size(job.picture, MAX_PIXELS)
    size = target.size(w, h)
    work.check_result((w, h), size, "The size that you ask for of")
    scales = upscalers.scales(settings.preset) or [2]
    return replace(job, scale=sizing.next_scale(max(size[0] / w, size[1] / h), scales), size=size)
