"""A super-resolution autoencoder: small pictures in, large pictures out."""

from sr_model.errors import ConfigError, DataError, ImageError, SRError, WeightsError
from sr_model.inference.upscaler import Upscaler

__all__ = ["ConfigError", "DataError", "ImageError", "SRError", "Upscaler", "WeightsError"]
