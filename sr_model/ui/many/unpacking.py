"""Zips from strangers: what is in them comes out as bytes or as a sentence, and never as a path."""

import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sr_model.ui.limits import MAX_BYTES

SIGNATURES = (b"PK\3\4", b"PK\5\6")  # of a zip's first file, and of an empty zip
MOST_DIRECTORY = 256 * 1024  # bytes of a zip's list of files: a few thousand names
CHUNK = 256 * 1024
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA's memory is what the file says
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
MEGABYTES = MAX_BYTES // 1024**2

DAMAGED = "This zip is damaged or cut off. Make or send it again."
EMPTY = "There is no file in this zip."
TOO_MANY = "A zip's list of files may not be as long as this one's. Make a zip of fewer files."
LEADS_OUT = "The name of this file leads out of the zip, so it is not opened."
LINK = "This is a link or a device, not a picture."
NESTED = "An archive within a zip is not opened. Unpack it, or choose it by itself if it is a zip."
ENCRYPTED = "This file is encrypted. Make the zip without a password."
METHOD = "This file is compressed in an unusual way. Make the zip with the ordinary (deflate) method."
TOO_LARGE = f"The file is larger than {MEGABYTES} MB. Please shrink or crop the picture first."
BAD_MEMBER = "The zip is damaged in this file."


class ListError(Exception):
    """A zip's list of files is too long."""


@dataclass(frozen=True)
class Member:
    """A file of a zip: its name, and its bytes or the sentence that says why not."""

    name: str
    data: bytes = b""
    reason: str = ""


class _Bounded:
    """A file for zipfile, which reads all names of a zip at once: that read may not be longer than MOST_DIRECTORY."""

    def __init__(self, stream: BinaryIO) -> None:
        self.seek, self.tell, self.close, self._read = stream.seek, stream.tell, stream.close, stream.read

    def read(self, size: int = -1) -> bytes:
        if size > MOST_DIRECTORY:
            raise ListError
        return self._read(size)

    def seekable(self) -> bool:
        return True


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip does; a picture that only ends in one is a picture."""
    with open(path, "rb") as stream:
        return stream.read(4) in SIGNATURES


def unpack(path: Path, name: str, object_to: Callable[[int], str]) -> Iterator[Member]:
    """The files of a zip that was sent as `name`, one after the other; hidden ones and folders are left out.

    `object_to`, given the bytes that a file says it has, says why it is not wanted, or nothing. No more than these
    bytes are read of it, whatever is in it. A zip that cannot be opened is one member.
    """
    try:
        with open(path, "rb") as stream, zipfile.ZipFile(_Bounded(stream)) as archive:
            infos = [info for info in archive.infolist() if not _is_passed_over(info)]
            if not infos:
                yield Member(name, reason=EMPTY)
            for info in infos:
                yield _member(archive, info, object_to)
    except ListError:
        yield Member(name, reason=TOO_MANY)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):  # what zipfile raises
        yield Member(name, reason=DAMAGED)


def _is_passed_over(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)
    return info.is_dir() or hidden


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, object_to: Callable[[int], str]) -> Member:
    name = info.orig_filename
    if reason := _objection(info) or object_to(info.file_size):
        return Member(name, reason=reason)
    data = bytearray()
    try:
        with archive.open(info) as stream:
            while len(data) <= info.file_size and (chunk := stream.read(CHUNK)):
                data += chunk
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error):
        return Member(name, reason=BAD_MEMBER)
    return Member(name, bytes(data)) if len(data) == info.file_size else Member(name, reason=BAD_MEMBER)


def _objection(info: zipfile.ZipInfo) -> str:
    """Why a file is not to be opened, by what the zip says of it; or nothing."""
    name = info.orig_filename.replace("\\", "/")
    if ".." in name.split("/") or name.startswith("/") or re.match(r"[A-Za-z]:", name) or not name.isprintable():
        return LEADS_OUT
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return LINK
    if info.flag_bits & 0x1:
        return ENCRYPTED
    if name.lower().endswith(ARCHIVES):
        return NESTED
    if info.compress_type not in METHODS:
        return METHOD
    return TOO_LARGE if info.file_size > MAX_BYTES else ""
