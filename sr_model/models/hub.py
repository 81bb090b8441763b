"""The Hugging Face Hub: files of a repository in its cache, and what can go wrong as a sentence.

`huggingface_hub` reads the token, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE, keeps the cache, and resumes downloads.
"""

import errno
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sr_model.errors import ConfigError, HubError

RELEASED = "sr-model/weights"  # where the weights are that the wheel has no room for
PREFIX = "hf://"
ATTEMPTS = 3  # where the Hub answers that it has trouble; within each, huggingface_hub has its own
BACKOFF = 1.0  # seconds before the second attempt, doubled before each further one
PASSING = {429, 500, 502, 503, 504}  # HTTP statuses after which another attempt may succeed

Result = TypeVar("Result")


@dataclass(frozen=True)
class Repo:
    """A repository of the Hub, as owner/name, and one of its revisions: a branch, a tag or a commit's sha."""

    name: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}@{self.revision}"


def parse(text: str, revision: str = "") -> Repo | None:
    """The repository that a text names, as hf://owner/name[@revision] or owner/name[@revision]; None for anything else.

    Raises ConfigError where it begins with hf:// and does not go on like that, and for two revisions.
    """
    found = re.fullmatch(r"(?:hf://)?([\w.-]+/[\w.-]+)(?:@(\S+))?", text, re.ASCII)
    if not found:
        if text.startswith(PREFIX):
            raise ConfigError(
                f"{text} names no repository of the Hub; write hf://owner/name or hf://owner/name@revision."
            )
        return None
    name, given = found.groups()
    if given and revision and given != revision:
        raise ConfigError(f"{text} names one revision and revision={revision} another; give one of them.")
    return Repo(name, given or revision or "main")


def parse_or_refuse(option: str, text: str, revision: str = "") -> Repo:
    """The repository that an option names. Raises ConfigError if it names none."""
    repo = parse(text, revision)
    if not repo:
        raise ConfigError(f"{option} {text}: this names no repository on the Hub; write owner/name.")
    return repo


def download(repo: Repo, patterns: Sequence[str]) -> Path:
    """The folder in the Hub's cache, named by the commit's sha, with the repository's files that match.

    Without network, or offline by HF_HUB_OFFLINE, it is what the cache has, if that is all of them. Raises HubError.
    """
    from huggingface_hub import snapshot_download

    def work() -> Path:
        return Path(snapshot_download(repo.name, revision=repo.revision, allow_patterns=list(patterns)))

    with told(repo):
        return patiently(work)


def download_again(repo: Repo, file: str) -> None:
    """Replace a file of `download`'s folder, for one that is damaged there. Raises HubError."""
    from huggingface_hub import hf_hub_download

    with told(repo):
        hf_hub_download(repo.name, file, revision=repo.revision, force_download=True)


def patiently(work: Callable[[], Result]) -> Result:
    """The result of `work`, called again after a while where the Hub has answered that it has trouble now."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return work()
        except Exception as error:
            if _status(error) not in PASSING and _status(error.__cause__) not in PASSING:
                raise
            time.sleep(BACKOFF * 2**attempt)
    return work()


@contextmanager
def told(repo: Repo) -> Iterator[None]:
    """Turn what huggingface_hub raises about a repository into a HubError that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.HfHubHTTPError, errors.EntryNotFoundError, errors.OfflineModeIsEnabled, OSError) as error:
        raise HubError(_sentence(repo, error)) from error
    except errors.HFValidationError as error:
        raise HubError(f"{repo.name} is no name of a repository; write owner/name ({_line(error)}).") from error
    except _transport_error() as error:
        raise HubError(_unreachable(error)) from error


def _sentence(repo: Repo, error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return (
            f"{repo.name} is gated: ask for access at {_address(repo)}, then log in with `hf auth login`, or set "
            "HF_TOKEN."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"There is no repository {repo.name} on the Hub, or it is private. Check the name, and {_log_in()}."
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"{repo.name} has no revision {repo.revision!r}; choose a branch, a tag or a commit from "
            f"{_address(repo)}/commits/main."
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"A file is not in {repo.name} at {repo.revision}; see {_address(repo)}/tree/{repo.revision}."
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return _not_in_cache(repo, error)
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(repo, error)
    return _disk(error)


def _not_in_cache(repo: Repo, error: Exception) -> str:
    """The files are not in the cache, and why they could not be fetched."""
    from huggingface_hub import errors
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        return (
            f"{repo} is not in the cache and HF_HUB_OFFLINE is set. Unset it once to download, or copy the cache of a "
            "machine that has it (HF_HOME)."
        )
    cause = error.__cause__
    return _refused(repo, cause) if isinstance(cause, errors.HfHubHTTPError) else _unreachable(cause or error)


def _refused(repo: Repo, error: Exception) -> str:
    status = _status(error)
    if status == 401:
        return f"The Hub does not accept who you are (401): {_log_in()}."
    if status == 403:
        return f"Your token must not do that with {repo.name} (403): make one that may write at hf.co/settings/tokens."
    if status in PASSING:
        return f"The Hub has trouble now (HTTP status {status}). Try again in a few minutes."
    return f"The Hub refuses ({_line(error)})."


def _unreachable(error: BaseException) -> str:
    return (
        f"The Hub cannot be reached ({_line(error)}). Check the network; without one, only what was downloaded before "
        "can be used."
    )


def _disk(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return (
            "There is no room on the disk for the Hub's cache. Make room, or set HF_HOME to a folder on another disk."
        )
    if getattr(error, "filename", None) or number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The Hub's cache cannot be written ({_line(error)}). Set HF_HOME to a folder of yours."
    return f"The transfer broke off ({_line(error)}). Run again."


def _log_in() -> str:
    from huggingface_hub import get_token

    if get_token():
        return "log in as somebody who may see it with `hf auth login`, or set another HF_TOKEN"
    return "if it is yours, log in with `hf auth login`, or set HF_TOKEN"


def _address(repo: Repo) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repo.name}"


def _status(error: BaseException | None) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _transport_error() -> type[Exception]:
    """What huggingface_hub lets through where there is no answer: the base of its own errors, of httpx or its heirs."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(kind for kind in HfHubHTTPError.__mro__[1:] if kind.__module__.startswith("httpx"))
