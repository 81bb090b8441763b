"""Which size a visitor asks for, and which scale it takes: the next larger one, then a good downscale."""

import math
from dataclasses import dataclass
from typing import Any

from sr_model.errors import ConfigError

UNITS = ("width", "height", "megapixels")
FACTORS = (2, 3, 4)  # that are offered; those without weights are made by the next larger one


@dataclass(frozen=True)
class Target:
    """The size that the result shall have: one side in pixels, or its area in megapixels."""

    unit: str
    value: float

    def size(self, w: int, h: int) -> tuple[int, int]:
        """(width, height) of the result of a w x h picture, of the same proportions."""
        factor = {"width": self.value / w, "height": self.value / h}.get(self.unit)
        if factor is None:
            factor = math.sqrt(self.value * 1e6 / (w * h))
        return max(1, round(w * factor)), max(1, round(h * factor))


def target_of(value: Any) -> Target | None:
    """The target that a browser's value asks for: None, or {"unit": one of UNITS, "value": number}.

    Raises ConfigError for anything else.
    """
    if value is None or value == "":
        return None
    unit = value.get("unit") if isinstance(value, dict) else None
    number = value.get("value") if isinstance(value, dict) else None
    if unit not in UNITS or isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1e6:
        raise ConfigError("Please give the size as a width or height in pixels, or in megapixels.")
    return Target(unit, float(number))


def next_scale(factor: float, scales: list[int]) -> int:
    """The smallest scale that reaches `factor`. Raises ConfigError where none does."""
    for scale in sorted(scales):
        if scale >= factor - 1e-9:
            return scale
    raise ConfigError(
        f"That is {factor:.4g} times the picture's size; this network reaches {max(scales)} times. "
        "Choose a smaller size."
    )
