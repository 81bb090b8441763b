"""Validation: how good a network is on held-out pictures."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sr_model.data import Photo
from sr_model.imaging import images
from sr_model.imaging.metrics import score
from sr_model.imaging.resampling import enlarge, to_8bit
from sr_model.losses import features
from sr_model.networks import Network
from sr_model.training.config import TrainConfig
from sr_model.training.distributed import Group

MIN_SIDE = features.SQUEEZENET_MIN_SIDE  # pixels of the high resolution


@dataclass(frozen=True)
class Result:
    """Means over the validation pictures: Y-PSNR in dB and, if the loss has terms beyond pixels, feature distance."""

    psnr: float
    bicubic_psnr: float
    distance: float | None = None

    def is_better(self, best: dict[str, float]) -> bool:
        """Judge by feature distance if it is measured: such losses trade PSNR for it."""
        if self.distance is not None and "distance" in best:
            return self.distance < best["distance"]
        return self.psnr > best["psnr"]

    def as_dict(self, step: int) -> dict[str, float]:
        """For checkpoints and callers."""
        values: dict[str, float] = {"psnr": self.psnr, "bicubic_psnr": self.bicubic_psnr, "step": step}
        return values if self.distance is None else values | {"distance": self.distance}


class StoppedError(Exception):
    """Asked to stop before the last picture."""


class Validation:
    """Measures a network on whole pictures, divided among the processes of a run."""

    def __init__(self, pictures: list[Photo], config: TrainConfig, group: Group) -> None:
        self.pictures, self.scale, self.group = pictures, config.scale, group
        self.features = None if config.is_of_pixels else features.squeezenet(group.device)
        self.bicubic = self._mean(None)[0]

    def __call__(self, network: Network, stopping: threading.Event | None = None) -> Result:
        """The means for a network. Raises StoppedError if `stopping` is set in any process before the end."""
        psnr, distance = self._mean(network, stopping)
        return Result(psnr, self.bicubic, None if self.features is None else distance)

    def lows(self) -> Iterator[Tensor]:
        """The low resolutions, (1, 3, H, W) in [0, 1] on the device; the same in all processes."""
        for photo in self.pictures:
            yield images.to_tensor(photo.low).to(self.group.device)

    def _mean(self, network: Network | None, stopping: threading.Event | None = None) -> tuple[float, float]:
        """(mean PSNR, mean feature distance) of a network or, for None, of bicubic."""
        psnr = distance = 0.0
        with torch.inference_mode():
            for photo in self.pictures[self.group.rank :: self.group.size]:
                if stopping and stopping.is_set():
                    break
                low = images.to_tensor(photo.low).to(self.group.device)
                high = images.to_tensor(photo.high).to(self.group.device)
                result = enlarge(low, self.scale) if network is None else network(low)
                psnr += score(result, high, self.scale)[0]
                if self.features is not None:
                    distance += features.feature_distance(self.features, to_8bit(result), high).item()
        if stopping and self.group.any(stopping.is_set()):
            raise StoppedError
        count = len(self.pictures)
        return self.group.sum(psnr) / count, self.group.sum(distance) / count
