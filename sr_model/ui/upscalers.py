"""The networks that the page offers, loaded on first use."""

import os
import time
from collections import OrderedDict
from functools import cached_property
from threading import Lock

import numpy as np

from sr_model.errors import ConfigError, WeightsError
from sr_model.imaging.images import Picture
from sr_model.inference.devices import choose_device, describe
from sr_model.inference.upscaler import Upscaler
from sr_model.models import places, weights
from sr_model.models.weights import Card
from sr_model.networks import presets
from sr_model.system import zero_gpu

KEPT = 12  # networks held in memory
PREFERRED = ("base", 2)
TIMED_SIDE = 128  # pixels a side of the picture that a network is timed on, after a warm-up


class Upscalers:
    """Loads an `Upscaler` when it is first needed, and keeps the most recently used.

    `where` is what `places.locate` takes. Raises WeightsError if it has no weights of a known preset, ConfigError for a
    device that is not there, and HubError.
    """

    def __init__(self, where: str | os.PathLike, device: str = "auto", engine: str = "auto") -> None:
        self.place = places.locate(where)
        self.engine = engine
        self.device = choose_device(device)
        self._on_gpu: Upscalers | None = None
        self.choices = [
            (preset, scale) for preset, scale in weights.available(self.place.folder) if presets.is_known(preset)
        ]
        if not self.choices:
            raise WeightsError(
                f"There are no weights in {self.place}. Train some with: python train.py, "
                "and pass the run folder with --weights."
            )
        self._seconds: dict[tuple[str, int], float] = {}  # per pixel of the small picture
        self._loaded: OrderedDict[tuple[str, int], Upscaler] = OrderedDict()
        self._lock = Lock()

    @property
    def default(self) -> tuple[str, int]:
        """(preset, scale) that the page starts with."""
        return PREFERRED if PREFERRED in self.choices else self.choices[0]

    @property
    def presets(self) -> list[str]:
        return list(dict.fromkeys(preset for preset, _ in self.choices))

    def scales(self, preset: str) -> list[int]:
        """The scales that have weights; none for an unknown preset."""
        return [scale for name, scale in self.choices if name == preset]

    @cached_property
    def mixed(self) -> list[str]:
        """The presets whose weights are mixed at a strength."""
        return list(dict.fromkeys(card.preset for card in self.cards() if card.strengths))

    def cards(self) -> list[Card]:
        """What the json of each choice says."""
        return [weights.read_card(*entry, self.place.folder) for entry in self.choices]

    def get(self, preset: str, scale: int) -> Upscaler:
        """The `Upscaler` of a choice. Raises ConfigError for others, and WeightsError for damaged files."""
        if (preset, scale) not in self.choices:
            have = ", ".join(weights.name(*entry) for entry in self.choices)
            raise ConfigError(f"This preset is not available at this scale. There are: {have}.")
        with self._lock:
            if (preset, scale) not in self._loaded:
                upscaler = Upscaler.from_preset(preset, scale, self.device.type, self.place.folder, engine=self.engine)
                self._loaded[preset, scale] = upscaler
                self._seconds[preset, scale] = _seconds_per_pixel(upscaler)
                if len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end((preset, scale))
            return self._loaded[preset, scale]

    def seconds(self, preset: str, scale: int, pixels: int) -> float:
        """Estimated seconds for a picture of so many pixels, from a measurement made on loading."""
        self.get(preset, scale)
        return self._seconds[preset, scale] * pixels

    def release(self) -> None:
        """Give back the memory that those that are loaded keep for their next pictures."""
        with self._lock:
            loaded = list(self._loaded.values())
        for upscaler in loaded:
            upscaler.release()

    def for_job(self) -> "Upscalers":
        """Those that work on a job: these, or on ZeroGPU others, which only a job's own process may use."""
        if not zero_gpu.ACTIVE:
            return self
        if self._on_gpu is None:
            self._on_gpu = Upscalers(self.place.folder, "cuda", "torch")
        return self._on_gpu

    def describe_device(self) -> str:
        return "ZeroGPU" if zero_gpu.ACTIVE else describe(self.device)


def _seconds_per_pixel(upscaler: Upscaler) -> float:
    picture = Picture(np.zeros((TIMED_SIDE, TIMED_SIDE, 3), np.uint8))
    upscaler(picture)
    start = time.perf_counter()
    upscaler(picture)
    return (time.perf_counter() - start) / TIMED_SIDE**2
