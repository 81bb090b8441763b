"""What is to be made of a queue by the page's settings, and what of it exceeds a limit; before any work."""

from dataclasses import dataclass, replace

from sr_model.bulk.outputs import Output
from sr_model.errors import ConfigError, SRError
from sr_model.imaging import images
from sr_model.inference.mixing import in_steps
from sr_model.ui import work
from sr_model.ui.jobs import planning
from sr_model.ui.jobs.planning import Settings
from sr_model.ui.many.rows import Queue
from sr_model.ui.upscalers import Upscalers

FORMATS = ("png", "webp", "jpg")
MOST_RESULT_PIXELS = 256_000_000  # of all results together

NO_SIZE = "Several files are enlarged by a scale, such as 2x. A size in pixels is for one picture."
NO_FORMAT = f"Choose one of: {', '.join(FORMATS)}."
TOGETHER = (
    f"All results together may have {MOST_RESULT_PIXELS / 1e6:g} megapixels. Choose this picture again when the others "
    "are done, or choose a smaller scale."
)


@dataclass(frozen=True)
class Plan:
    """How a queue is to be enlarged. `refusals` says by the number of a row why it is not."""

    preset: str
    scale: int  # of the network
    strength: float | None  # None for what is found of each picture
    output: Output
    label: str  # of the results: base-x2
    cost: float  # seconds for each pixel
    refusals: dict[int, str]

    @property
    def stamp(self) -> str:
        """Equal for plans that make equal results."""
        return f"{self.label} {self.strength} {self.output.format}"

    def pending(self, queue: Queue) -> list[int]:
        """The numbers of the rows that there is something to do for."""
        again = queue.made != self.stamp
        return [
            number
            for number, row in enumerate(queue.rows)
            if not row.reason and number not in self.refusals and (again or row.record is None)
        ]


def planned(queue: Queue, settings: Settings, kind: object, upscalers: Upscalers, max_seconds: float) -> Plan:
    """Loads the network if it was not yet, to know its cost. Raises ConfigError."""
    if settings.scale == planning.OTHER_SIZE:
        raise ConfigError(NO_SIZE)
    if kind not in FORMATS:
        raise ConfigError(NO_FORMAT)
    times = planning.as_scale(settings.scale)
    scale, factor = planning.network_scale(settings.preset, times, upscalers)
    cost = upscalers.seconds(settings.preset, scale, 1)
    strength = planning.strength_asked(settings) if settings.preset in upscalers.mixed else None
    label = f"{settings.preset}-x{times}"
    at = "" if strength is None else f"-strength-{in_steps(strength):.0%}".rstrip("%")
    output = Output(str(kind), suffix=f"-{label}{at}", times=factor, first_frame=True)
    plan = Plan(settings.preset, scale, strength, output, label, cost, {})
    return replace(plan, refusals=_refusals(queue, plan, times, max_seconds))


def _refusals(queue: Queue, plan: Plan, times: int, max_seconds: float) -> dict[int, str]:
    refusals, together = {}, 0
    for number, row in enumerate(queue.rows):
        if row.reason:
            continue
        (w, h), pixels = row.size, row.pixels * times**2
        try:
            work.check_result(row.size, (w * plan.scale, h * plan.scale), f"{plan.scale} times")
            work.check_seconds(row.pixels * plan.cost, max_seconds, row.pixels)
            images.check_size((w * times, h * times), f".{plan.output.format}")
        except SRError as error:
            refusals[number] = str(error)
            continue
        if together + pixels > MOST_RESULT_PIXELS:
            refusals[number] = TOGETHER
        else:
            together += pixels
    return refusals
