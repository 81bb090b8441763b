"""Several networks for one picture: it is shrunk, enlarged by each of them, and each is measured."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sr_model.errors import ConfigError
from sr_model.imaging import fitting, images
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import Upscaler, enlarge_bicubic
from sr_model.networks import presets
from sr_model.ui.jobs import judging, maps
from sr_model.ui.limits import MAX_PIXELS, safe_stem
from sr_model.ui.work import BICUBIC, REFERENCE, Job, Outcome, Pane, Progress, as_shown, check_seconds, shrunk

LEAST, MOST = 2, 4  # networks at once


@dataclass(frozen=True)
class Contender:
    """A network that takes part, and what it costs."""

    preset: str
    upscaler: Upscaler
    cost: float  # seconds for each pixel that enters it

    @property
    def title(self) -> str:
        return presets.find(self.preset).title


def check_count(names: Sequence[str]) -> None:
    """Raise ConfigError for fewer than LEAST, more than MOST, or the same network twice."""
    if not LEAST <= len(names) <= MOST or len(set(names)) != len(names):
        raise ConfigError(f"Please choose {LEAST} to {MOST} different networks.")


def perform_beside(job: Job, contenders: Sequence[Contender], max_seconds: float) -> Iterator[Progress | Outcome]:
    """As `work.perform`: progress over the tiles of all networks, then one pane for each, and the truth.

    A network of scale 1 restores what bicubic has enlarged; one of a larger scale than asked for is shrunk after it.
    """
    check_count([each.preset for each in contenders])
    low, truth = shrunk(images.load(job.picture, MAX_PIXELS), job.times, job.shrinking)
    truth = as_shown(truth)
    w, h = low.size
    bicubic = as_shown(enlarge_bicubic(low, job.times))
    work = [(each, _entering(each, low, bicubic)) for each in contenders]
    expected = [each.cost * math.prod(entering.size) for each, entering in work]
    check_seconds(sum(expected), max_seconds, w * h)
    scores = [judging.judge(BICUBIC, bicubic, truth, job.times)]
    panes: list[Pane] = []
    total = len(contenders)
    for done, (each, entering) in enumerate(work):
        before = time.perf_counter()
        for step in each.upscaler.steps(entering):
            share = step.done / step.total if step.total else 0.0
            left = sum(expected[done:]) - share * expected[done]
            yield Progress(done, total, left or None)
        assert step.result is not None, "an enlargement ends with its picture"
        seconds = time.perf_counter() - before
        result = as_shown(_fitted(step.result, truth.size))
        name = f"{safe_stem(job.picture.name)}-{each.preset}-x{job.times}.png"
        panes.append(Pane(each.title, result, name, {maps.ERROR: maps.difference(result, truth)}))
        scores.append(judging.judge(each.title, result, truth, job.times, seconds))
    yield Progress(total, total, None)
    spot = maps.greatest(maps.difference(panes[0].picture, panes[-1].picture))
    panes.append(Pane(REFERENCE, truth, f"{safe_stem(job.picture.name)}-reference.png"))
    yield Outcome(tuple(panes), tuple(scores), low.size, sum(s.seconds or 0 for s in scores), (), spot)


def _entering(each: Contender, low: Picture, bicubic: Picture) -> Picture:
    return bicubic if each.upscaler.scale == 1 else low


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    return replace(fitting.fit(picture, size), alpha=None)
