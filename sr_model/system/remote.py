"""Files behind URLs by fsspec: s3://, gs://, hf://, https:// and what else it knows. What may pass is tried again."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sr_model.errors import AccessError, ConfigError, StorageError, TargetError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each new try
FINAL = (IsADirectoryError, NotADirectoryError, NotImplementedError, ImportError)
PASSING = (408, 409, 412, 425, 429)  # of HTTP's statuses from 400 to 499, those that may pass
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
    "hf": "HF_TOKEN, or hf auth login",
}
NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")  # of stores' packages


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

    Raises FileNotFoundError, AccessError, and StorageError for all else.
    """
    system, path = opened(url)
    for wait in (*WAITS, None):
        try:
            return work(system, path)
        except FileNotFoundError:
            raise
        except Exception as error:  # each store has errors of its own; those of the network are among them
            if _is_refused(error):
                raise AccessError(f"{url} cannot be used: access is refused ({_line(error)}).{advice(url)}") from None
            if _is_final(error):
                raise StorageError(f"{url} cannot be used: {_line(error)}.") from None
            if wait is None:
                raise StorageError(f"{url} cannot be reached, after {len(WAITS) + 1} tries: {_line(error)}.") from None
            log.info("%s: %s; trying again in %g s", url, _line(error), wait)
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def sent(url: str, work: Callable[[Any, str], Any]) -> None:
    """Do what writes a file, as `retried`. Raises TargetError where no other could be written either."""
    try:
        retried(url, work)
    except FileNotFoundError:
        raise TargetError(f"{url} cannot be written: its bucket or repository is not there. Make it first.") from None
    except AccessError as error:
        raise TargetError(str(error)) from None


def advice(url: str) -> str:
    """A sentence, after a space, on where the credentials for a store are taken from; "" where there are none."""
    places = CREDENTIALS.get(url.partition("://")[0])
    return f" Credentials that may do this are taken from {places}." if places else ""


def _is_refused(error: Exception) -> bool:
    return (
        isinstance(error, PermissionError)
        or _status(error) in (401, 403)
        or type(error).__name__ in NO_CREDENTIALS
        or str(error).startswith("Forbidden: ")  # gcsfs's OSError
    )


def _is_final(error: Exception) -> bool:
    """Whether it fails next time too. What is no JSON may come from a proxy, and pass."""
    status = _status(error)
    is_asked_wrongly = isinstance(error, ValueError) and not isinstance(error, (json.JSONDecodeError, UnicodeError))
    return isinstance(error, FINAL) or is_asked_wrongly or (400 <= status < 500 and status not in PASSING)


def _status(error: Exception) -> int:
    """HTTP's status, where the error has one: aiohttp, gcsfs, and the packages that keep the response; else 0."""
    response = getattr(error, "response", None)
    for holder, name in ((error, "status"), (error, "code"), (response, "status_code")):
        value = str(getattr(holder, name, ""))
        if value.isdecimal():
            return int(value)
    return 0


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
