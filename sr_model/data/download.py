"""Download large files: resumed after a broken connection, and verified before use."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from sr_model.errors import DataError

ATTEMPTS = 5  # in a row without a new byte
BACKOFF = 1.0  # seconds before the second attempt, doubled each time
TIMEOUT = 30.0  # seconds of silence after which a connection counts as broken
CHUNK = 1 << 20  # bytes
PLAIN_SECONDS = 30  # between lines of progress if there is no terminal
PASSING = {408, 416, 425, 429, 500, 502, 503, 504}  # HTTP statuses after which another attempt may succeed

Say = Callable[[str], None]


@dataclass(frozen=True)
class RemoteFile:
    """An archive on the network: its address, size in bytes, and hexadecimal digest."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def provide(file: RemoteFile, archive: Path, say: Say) -> None:
    """Make sure that the file is at `archive`, complete and verified; download it unless it is there.

    An interrupted download stays beside it as a .part, which the next call resumes. Raises DataError for network
    failures and for a wrong file, and OSError if the disk fails.
    """
    if archive.exists():
        say(f"Checking {archive}.")
        if fault := _fault(archive, file):
            raise DataError(f"{archive} is not {file.url}: {fault}. Delete it to have it downloaded, or replace it.")
        return
    _download(file, archive, say)
    part = _part(archive)
    if fault := _fault(part, file):
        part.unlink()
        raise DataError(
            f"The download of {file.url} was wrong and has been deleted: {fault}. Run again, or {_by_hand(archive)}"
        )
    part.rename(archive)


def bytes_there(archive: Path) -> int:
    """How many bytes of it, or of its download so far, are on disk."""
    return _size(archive) + _size(_part(archive))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _part(archive: Path) -> Path:
    return archive.with_name(archive.name + ".part")


def _fault(path: Path, file: RemoteFile) -> str | None:
    if _size(path) != file.size:
        return f"it has {_size(path)} bytes instead of {file.size}"
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if digest == file.sha256 else f"its sha256 is {digest} instead of {file.sha256}"


def _by_hand(archive: Path) -> str:
    return f"get that file by other means and put it at {archive}, where it will be verified and used."


class _BrokenError(Exception):
    """A request or a connection failed, and may succeed next time."""


@contextmanager
def _network() -> Iterator[None]:
    """Tell errors of the network from those of the disk, which are OSErrors as well."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise _BrokenError(str(getattr(error, "reason", "") or error) or type(error).__name__) from error


def _download(file: RemoteFile, archive: Path, say: Say) -> None:
    """Continue the archive's .part until it has the file's size; on failure it is kept for the next run."""
    part = _part(archive)
    if _size(part) > file.size:
        part.unlink()
    most, failures = _size(part), 0
    with _progress(file, most, say) as report:
        while _size(part) < file.size:
            try:
                _receive(file, archive, report)
                trouble = "it ended early"
            except _BrokenError as error:
                trouble = str(error)
            size = _size(part)
            if size == file.size:
                break
            most, failures = max(most, size), 1 if size > most else failures + 1
            if failures >= ATTEMPTS:
                raise DataError(
                    f"The download of {file.url} stopped at {size} of {file.size} bytes ({trouble}). Check the network "
                    f"and run again to resume, or {_by_hand(archive)}"
                )
            wait = BACKOFF * 2 ** (failures - 1)
            say(f"The download of {file.name} broke off ({trouble}); trying again in {wait:g} s.")
            time.sleep(wait)


def _receive(file: RemoteFile, archive: Path, report: Callable[[int], None]) -> None:
    """Add one connection's worth of bytes to the .part, starting over if the server cannot resume."""
    part = _part(archive)
    with _network():
        response = _request(file, archive)
    resumed = response.status == 206
    size = _size(part) if resumed else 0
    with response, open(part, "ab" if resumed else "wb") as stream:
        while size < file.size:
            with _network():
                chunk = response.read1(min(CHUNK, file.size - size))
            if not chunk:
                return
            size += stream.write(chunk)
            report(size)


def _request(file: RemoteFile, archive: Path) -> HTTPResponse:
    """A response whose body continues where the .part ends (status 206) or is the whole file."""
    part = _part(archive)
    offset = _size(part)
    headers = {"User-Agent": "sr_model", **({"Range": f"bytes={offset}-"} if offset else {})}
    try:
        response = cast(HTTPResponse, urlopen(Request(file.url, headers=headers), timeout=TIMEOUT))
    except HTTPError as error:
        error.close()
        trouble = f"the server answers {error.code} {error.reason}"
        if error.code not in PASSING:
            raise DataError(f"{file.url} is not there: {trouble}. Try later, or {_by_hand(archive)}") from error
        if error.code == 416:  # the server has fewer bytes than we: starting over tells how many
            part.unlink(missing_ok=True)
        raise _BrokenError(trouble) from error
    begin, _, total = response.headers.get("Content-Range", "").partition("/")
    if response.status == 206 and not begin.startswith(f"bytes {offset}-"):
        response.close()
        part.unlink()
        raise _BrokenError("the server resumes at the wrong offset")
    if response.status != 206:
        total = response.headers.get("Content-Length", "")
    is_page = response.headers.get_content_type() == "text/html"  # such as a login page of the network
    if is_page or (total.isdigit() and int(total) != file.size):
        response.close()
        raise DataError(
            f"{file.url} has {'a web page' if is_page else f'{total} bytes'} instead of {file.size} bytes of archive. "
            f"Log in if your network asks for it, or {_by_hand(archive)}"
        )
    return response


@contextmanager
def _progress(file: RemoteFile, done: int, say: Say) -> Iterator[Callable[[int], None]]:
    """A function that reports the number of bytes so far: a live bar in a terminal, else occasional lines."""
    console = Console(highlight=False, soft_wrap=True)
    columns = (BarColumn(bar_width=10), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))
    bar = Bar("{task.description}", *columns, console=console, disable=not console.is_terminal)
    task = bar.add_task(file.name, total=file.size, completed=done)
    spoke = time.monotonic()

    def report(size: int) -> None:
        nonlocal spoke
        bar.update(task, completed=size)
        if not console.is_terminal and time.monotonic() - spoke > PLAIN_SECONDS:
            spoke = time.monotonic()
            say(f"{file.name}: {size / 1e6:.0f} of {file.size / 1e6:.0f} MB")

    with bar:
        yield report
