"""Where weights are: the folder that is shipped, any other, or a repository of the Hub."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sr_model.errors import HubError, WeightsError
from sr_model.models import hub
from sr_model.models.hub import Repo

SHIPPED = Path(__file__).parents[2] / "weights"  # in a checkout
if not SHIPPED.is_dir():
    SHIPPED = Path(__file__).parents[1] / "shipped_weights"  # where `pip install` puts them


@dataclass(frozen=True)
class Place:
    """A folder of weights and, where they are of the Hub, the repository, its revision a commit's sha."""

    folder: Path
    repo: Repo | None = None

    def __str__(self) -> str:
        """What names these very weights: hf://owner/name@sha, or the folder."""
        return str(self.repo or self.folder)


def locate(where: str | os.PathLike, names: Sequence[str] | None = None, revision: str = "") -> Place:
    """The place that `where` names: a folder, or hf://owner/name[@revision] or the same without hf://.

    A repository's weights `names` ("base-x2"), or all of them, are in the place's folder afterwards, downloaded and
    checked by their sha256, as are shipped ones that only have their json here. In names "*" stands for anything, and
    those that a repository does not have are left out. Of a folder and a repository of one name the folder is taken.

    Raises HubError where the Hub or the disk prevents it, and ConfigError for what names nothing.
    """
    folder = Path(where)
    repo = hub.parse(where, revision) if isinstance(where, str) and not folder.is_dir() else None
    if repo:
        return _pulled(repo, names)
    if folder == SHIPPED and names:
        for name in names:
            if has_card(folder, name) and not has_weights(folder, name):
                return _released(name)
    return Place(folder)


def has_card(folder: Path, name: str) -> bool:
    """Whether the json of weights is in a folder."""
    return (folder / f"{name}.json").exists()


def has_weights(folder: Path, name: str) -> bool:
    """Whether weights are in a folder, if only under the name that they wait under."""
    path = folder / f"{name}.safetensors"
    return path.exists() or waiting(path).exists()


def waiting(path: Path) -> Path:
    """Where weights are before the json that they belong to is written."""
    return path.with_name(f".{path.name}.new")


def _pulled(repo: Repo, names: Sequence[str] | None) -> Place:
    files = ["*-x*.safetensors"] if names is None else [f"{name}.safetensors" for name in names]
    folder = hub.download(repo, ["*-x*.json", *files])
    pinned = Repo(repo.name, folder.name)
    for path in folder.glob("*-x*.safetensors"):
        _check(pinned, path)
    return Place(folder, pinned)


def _check(repo: Repo, path: Path) -> None:
    """See that weights from the Hub match their sha256, by a second download if need be."""
    expected = _sha256(path.with_suffix(".json"))
    if not expected or _digest(path) == expected:
        return  # without a json it is none of ours, or it is reported when it is read
    hub.download_again(repo, path.name)
    if _digest(path) != expected:
        raise HubError(
            f"{path.name} of {repo} does not match its sha256, even downloaded again: it was uploaded damaged. Choose "
            "another revision, or tell its owner."
        )


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sha256(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _released(name: str) -> Place:
    """Weights of this version that are not shipped with it. Raises HubError and, for those of another, WeightsError."""
    place = _pulled(Repo(hub.RELEASED), [name])
    if not has_weights(place.folder, name) or _sha256(place.folder / f"{name}.json") != _sha256(
        SHIPPED / f"{name}.json"
    ):
        raise WeightsError(
            f"{hub.RELEASED} does not have {name} as this version knows it. Update with: pip install -U sr-model; or "
            f"take what there is with --weights {hub.PREFIX}{hub.RELEASED}"
        )
    return place
