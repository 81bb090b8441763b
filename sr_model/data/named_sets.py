"""Public training sets by name: downloaded on first use, verified, unpacked, and then available offline."""

import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from sr_model.data.download import RemoteFile, Say, bytes_there, provide
from sr_model.errors import ConfigError, DataError
from sr_model.imaging.images import SUFFIXES
from sr_model.system.lock import locked

MARKER = ".complete"
ELSEWHERE = "name another folder in the environment variable SR_MODEL_DATA."


@dataclass(frozen=True)
class NamedSet:
    """Archives of pictures; only those whose path in the archive matches the regular expression `keep` are used."""

    title: str
    licence: str
    homepage: str
    files: tuple[RemoteFile, ...]
    keep: str = ""


# Sizes and digests of DIV2K and CLIC are those of TensorFlow Datasets: tensorflow_datasets/datasets/div2k/checksums.tsv
# and tensorflow_datasets/url_checksums/clic.txt in github.com/tensorflow/datasets. Berkeley publishes none; independent
# projects that pin the archive agree on both, and tensorpack (tensorpack/dataflow/dataset/bsds500.py) on the size.
# Flickr2K is missing because we found only an md5 without a size, and its server is said to be gone.
ETH, BERKELEY = "https://data.vision.ee.ethz.ch/cvl", "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision"
_DIV2K_TRAIN = RemoteFile(
    f"{ETH}/DIV2K/DIV2K_train_HR.zip", 3530603713, "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"
)
_DIV2K_VALID = RemoteFile(
    f"{ETH}/DIV2K/DIV2K_valid_HR.zip", 448993893, "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"
)
_CLIC = RemoteFile(
    f"{ETH}/clic/professional_train_2020.zip",
    2003385131,
    "54a2a684b5cbd0db91770a8695efb774fed1f612194fee68bceaf6b1c48e5d5f",
)
_BSDS = RemoteFile(
    f"{BERKELEY}/grouping/BSR/BSR_bsds500.tgz",
    70763455,
    "97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e",
)
# The test set B100 is the "val" part of BSDS500, and the woman of Set5 is 302003: training must not see them.
_BSDS400 = r"/images/(train|test)/(?!302003)\d+\.jpg$"
SETS: dict[str, NamedSet] = {
    "div2k": NamedSet("DIV2K, 800 training photos", "academic research only", f"{ETH}/DIV2K/", (_DIV2K_TRAIN,)),
    "div2k-valid": NamedSet("DIV2K, 100 validation photos", "academic research only", f"{ETH}/DIV2K/", (_DIV2K_VALID,)),
    "clic": NamedSet(
        "CLIC 2020, 585 photos", "from Unsplash", "https://clic.compression.cc/2021/tasks/index.html", (_CLIC,)
    ),
    "bsds400": NamedSet(
        "BSDS500, 399 photos", "non-commercial research", f"{BERKELEY}/grouping/resources.html", (_BSDS,), _BSDS400
    ),
}


def fetch(name: str, say: Say, folder: Path | None = None, table: Mapping[str, NamedSet] = SETS) -> Path:
    """The folder of a set's pictures, all directly in it: `folder`/`name`, filled on first use.

    Without `folder`, it is in $SR_MODEL_DATA or else the user's cache. An archive that somebody has put in `folder` is
    verified and used instead of a download. Archives are deleted once unpacked; an interrupted download is resumed next
    time. Processes that want the same set wait for each other.

    Raises ConfigError for a name that is not in the table and DataError if the download fails.
    """
    if name not in table:
        raise ConfigError(f"There is no set named {name}. The names are {', '.join(table)}.")
    named, base = table[name], folder or cache_folder()
    pictures = base / name
    try:
        if not _is_complete(pictures, named):
            base.mkdir(parents=True, exist_ok=True)
            with locked(base / f".{name}.lock", lambda: say(f"Another process is fetching {name}; waiting for it.")):
                if not _is_complete(pictures, named):
                    _fill(pictures, named, say)
    except OSError as error:
        raise DataError(f"The set {name} cannot be kept in {base} ({error}). Fix that, or {ELSEWHERE}") from error
    return pictures


def cache_folder() -> Path:
    """Where sets are kept: $SR_MODEL_DATA, else sr_model in $XDG_CACHE_HOME, else ~/.cache/sr_model."""
    if own := os.environ.get("SR_MODEL_DATA"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sr_model"


def _stamp(named: NamedSet) -> str:
    return "\n".join([*(file.sha256 for file in named.files), named.keep])


def _is_complete(pictures: Path, named: NamedSet) -> bool:
    marker = pictures / MARKER
    return marker.is_file() and marker.read_text() == _stamp(named)


def _fill(pictures: Path, named: NamedSet, say: Say) -> None:
    """Download and unpack into a folder beside `pictures`, which appears once everything is there."""
    base = pictures.parent
    if pictures.exists():
        raise DataError(f"{pictures} holds something other than {named.title}. Rename or delete it, or {ELSEWHERE}")
    say(f"{named.title} ({named.licence}; {named.homepage}) will be kept in {pictures}.")
    archives = [base / file.name for file in named.files]
    there = sum(map(bytes_there, archives))
    needed = 2 * sum(file.size for file in named.files) - there  # an archive hardly compresses photos
    if (free := shutil.disk_usage(base).free) < needed:
        raise DataError(
            f"{named.title}: {needed / 1e9:.1f} GB are needed in {base}, and {free / 1e9:.1f} GB are free. "
            f"Free some space, or {ELSEWHERE}"
        )
    for file, archive in zip(named.files, archives, strict=True):
        provide(file, archive, say)
    staging = base / f".{pictures.name}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)  # left by a killed process
    staging.mkdir()
    try:
        for archive in archives:
            say(f"Unpacking {archive.name}.")
            _unpack(archive, named.keep, staging)
        count = len(list(staging.iterdir()))
        if not count:
            raise DataError(f"There is no picture of {named.title} in {archives[0]}. Use another set.")
        (staging / MARKER).write_text(_stamp(named))
        if hasattr(os, "sync"):  # the marker must not survive a power cut that the pictures do not
            os.sync()
        staging.rename(pictures)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    for archive in archives:
        archive.unlink()
    say(f"{count} pictures are in {pictures}.")


def _unpack(archive: Path, keep: str, folder: Path) -> None:
    """Write the archive's pictures directly into `folder`, without subfolders, so no path can lead out of it.

    Only names and contents are used, no owners, modes or links, and no hidden files: macOS puts one beside each
    picture. Raises DataError for an archive that is damaged or malicious.
    """
    try:
        for name, stream in _members(archive):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise DataError(f"{archive} holds {name}, which leads out of its folder. Do not use this archive.")
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and re.search(keep, name):
                with open(folder / path.name, "xb") as out:
                    shutil.copyfileobj(stream, out)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise DataError(f"{archive} cannot be unpacked ({error}). Delete it and run again.") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Path and content of each regular file in a zip or tar archive; links and devices are ignored."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    with packed.open(info) as stream:
                        yield info.filename, stream
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile():
                    yield member.name, cast(IO[bytes], tar.extractfile(member))
