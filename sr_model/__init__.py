"""A super-resolution autoencoder: small pictures in, large pictures out."""

from typing import TYPE_CHECKING, Any

from sr_model.errors import ConfigError, DataError, HubError, ImageError, SRError, WeightsError

if TYPE_CHECKING:
    from sr_model.inference.upscaler import Upscaler

__version__ = "0.1.0"
__all__ = ["ConfigError", "DataError", "HubError", "ImageError", "SRError", "Upscaler", "WeightsError"]


def __getattr__(name: str) -> Any:
    """`Upscaler`, imported when it is first asked for (PEP 562): it takes torch, which is slow to import."""
    if name == "Upscaler":
        from sr_model.inference.upscaler import Upscaler

        return Upscaler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
