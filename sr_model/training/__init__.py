"""Training, in one process or many."""

from sr_model.training.config import TrainConfig
from sr_model.training.loop import train

__all__ = ["TrainConfig", "train"]
