"""Engines of one network whose weights are mixed at a strength, which each picture has its own of."""

import math
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from threading import Lock

from sr_model.errors import ConfigError
from sr_model.imaging.images import Picture
from sr_model.imaging.strength import find_strength
from sr_model.inference.engines import Engine
from sr_model.networks import Network

STEPS = 16  # from 0 to 1
ENGINES_KEPT = 8
AUTO = "auto"


def parse_strength(value: float | str) -> float | None:
    """A strength from 0 to 1, or None for auto. Raises ConfigError for anything else."""
    if value == AUTO:
        return None
    try:
        strength = float(value)
    except ValueError:
        strength = math.nan
    if not 0 <= strength <= 1:
        raise ConfigError(f"The strength is {value!r}; it must be {AUTO} or lie between 0 and 1.")
    return strength


def in_steps(strength: float) -> float:
    """The nearest strength that there is an engine of."""
    return round(strength * STEPS) / STEPS


class Mixed:
    """Compiles an engine for each step of the strength when it is first needed, and keeps the last few."""

    def __init__(
        self, at_strength: Callable[[float], Network], load: Callable[[Network], Engine], fixed: float | None
    ) -> None:
        """`fixed` is the strength of all pictures; None looks at each of them."""
        self._at_strength, self._load, self.fixed = at_strength, load, fixed
        self._engines: OrderedDict[float, Engine] = OrderedDict()
        self._lock = Lock()

    def at(self, fixed: float | None) -> "Mixed":
        """The same engines, for another `fixed`."""
        other = copy(self)
        other.fixed = fixed
        return other

    def networks(self) -> dict[float, Network]:
        """The network at each strength that pictures may get: what another process needs to be given."""
        steps = [in_steps(self.fixed)] if self.fixed is not None else [step / STEPS for step in range(STEPS + 1)]
        return {step: self._at_strength(step) for step in steps}

    def strength_of(self, picture: Picture) -> float:
        """The strength for a picture, 0 to 1 in steps of 1 / STEPS."""
        return in_steps(find_strength(picture) if self.fixed is None else self.fixed)

    def engine_at(self, strength: float) -> Engine:
        """The engine of a strength, to the next step; may be called from several threads."""
        strength = in_steps(strength)
        with self._lock:
            if strength not in self._engines:
                self._engines[strength] = self._load(self._at_strength(strength))
                if len(self._engines) > ENGINES_KEPT:
                    self._engines.popitem(last=False)
            self._engines.move_to_end(strength)
            return self._engines[strength]

    def release(self) -> None:
        """Give back the memory that the engines keep for their next pictures."""
        with self._lock:
            engines = list(self._engines.values())
        for engine in engines:
            engine.release()
