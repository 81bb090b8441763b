"""Files behind URLs by fsspec: s3://, gs://, hf://, https:// and what else it knows. What may pass is tried again."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sr_model.errors import ConfigError, StorageError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each new try
FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError, ImportError)
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}


def is_remote(url: str) -> bool:
    """Whether it is a URL, not a path."""
    return "://" in url


def opened(url: str) -> tuple[Any, str]:
    """(fsspec's file system, the path in it). Raises ConfigError where a package is missing or the scheme unknown."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        scheme = url.partition("://")[0]
        package = PACKAGES.get(scheme)
        hint = f"pip install {package}" if package else str(error)
        raise ConfigError(f"{scheme}:// needs a package that is not installed: {hint}.") from None
    except ValueError as error:
        raise ConfigError(f"{url} cannot be used: {error}.") from None


def version(found: dict[str, Any]) -> str:
    """What the store says of a file that changes when its content does; "" where it says nothing."""
    value = found.get("ETag") or found.get("etag") or found.get("md5Hash") or found.get("blob_id") or ""
    return str(value).strip('"')


def retried(url: str, work: Callable[[Any, str], Result]) -> Result:
    """Do it, again and again where it fails for reasons that may pass.

    Raises FileNotFoundError, and StorageError for all else.
    """
    system, path = opened(url)
    for wait in (*WAITS, None):
        try:
            return work(system, path)
        except FileNotFoundError:
            raise
        except FINAL as error:
            raise StorageError(f"{url} cannot be used: {_line(error)}.") from None
        except Exception as error:  # each store has errors of its own; those of the network are among them
            if wait is None:
                raise StorageError(f"{url} cannot be reached, after {len(WAITS) + 1} tries: {_line(error)}.") from None
            log.info("%s: %s; trying again in %g s", url, _line(error), wait)
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
