"""A Space on the Hub that serves the page: a copy of this checkout without what only training and tests need."""

import json
from pathlib import Path
from typing import Any

from sr_model.errors import ConfigError
from sr_model.models import hub, places, weights
from sr_model.models.hub import Repo
from sr_model.networks import presets

ROOT = Path(__file__).parents[2]
SINGLE = ("app.py", "README.md", "requirements.txt", "LICENSE", "examples/credits.json")
SUFFIXES = (".py", ".typed", ".html", ".css", ".js", ".json", ".gz", ".LICENCE")  # of the package's files
KEPT = ".gitattributes"  # the Hub's own


def files(examples: tuple[str, ...], root: Path = ROOT) -> dict[str, Path]:
    """What the page needs by its path in the Space: entry point, package, weights, and the named examples.

    Raises ConfigError outside of a checkout.
    """
    if not (root / "app.py").exists():
        raise ConfigError("deploy needs a checkout of the repository: run it there with python -m sr_model deploy.")
    paths = [root / name for name in (*SINGLE, *(f"examples/{name}" for name in examples))]
    paths += [path for path in sorted((root / "sr_model").rglob("*")) if path.suffix in SUFFIXES]
    for preset, scale in weights.available(root / "weights"):
        if presets.is_known(preset) and places.has_weights(root / "weights", weights.name(preset, scale)):
            paths += [root / "weights" / f"{weights.name(preset, scale)}{end}" for end in (".json", ".safetensors")]
    return {path.relative_to(root).as_posix(): path for path in paths}


def shown_examples(root: Path = ROOT) -> tuple[str, ...]:
    """The examples that the page shows; the others are for a first training run."""
    path = root / "examples" / "credits.json"
    credits = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return tuple(name for name, entry in credits.items() if "focus" in entry)


def deploy(repo: Repo, content: dict[str, Path], hardware: str | None, private: bool) -> str:
    """Create or update the Space so that it holds exactly `content`, in one commit; returns its address.

    `hardware` is one of `hardware_names()`, None leaves it as it is. Raises HubError and ConfigError.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, SpaceHardware

    if hardware is not None and hardware not in hardware_names():
        raise ConfigError(f"There is no hardware {hardware!r}; choose one of: {', '.join(hardware_names())}.")
    api = HfApi()
    kind: dict[str, Any] = {"repo_type": "space"}
    with hub.told(repo):
        address = hub.patiently(
            lambda: api.create_repo(repo.name, **kind, space_sdk="gradio", private=private, exist_ok=True)
        )
        there = hub.patiently(lambda: api.list_repo_files(repo.name, **kind))
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path, file) for path, file in content.items()
        ]
        operations += [CommitOperationDelete(path) for path in there if path not in content and path != KEPT]
        hub.patiently(lambda: api.create_commit(repo.name, operations, commit_message="Deploy the page", **kind))
        if hardware:
            hub.patiently(lambda: api.request_space_hardware(repo.name, SpaceHardware(hardware)))
    return str(address)


def hardware_names() -> list[str]:
    """What --hardware takes, as huggingface_hub knows it."""
    from huggingface_hub import SpaceHardware

    return [hardware.value for hardware in SpaceHardware]
