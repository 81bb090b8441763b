"""Weights into a repository on the Hub, with figures and model card."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sr_model.errors import ConfigError, HubError, WeightsError
from sr_model.figures import five_panels
from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler
from sr_model.models import hub, places, weights
from sr_model.models.hub import Repo
from sr_model.models.weights import Card
from sr_model.networks import presets
from sr_model.publishing import model_card

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi

PHOTO = Path(__file__).parents[2] / "examples" / "chelsea.png"  # for the panels; in a checkout
CONFLICTS = 5  # pushes at the same time that one gives way to
MOVED_ON = 412  # HTTP status: the branch has another commit by now
Files = dict[str, bytes]  # by their path in the repository


@dataclass(frozen=True)
class Target:
    """Where a push goes: a repository, and a branch of it or, with `create_pr`, a pull request to it."""

    repo: Repo
    private: bool = False
    create_pr: bool = False


def prepare(target: Target) -> None:
    """Make the repository and the branch if they are missing. Raises HubError if this user may not push there."""
    from huggingface_hub import HfApi

    api, repo = HfApi(), target.repo
    with hub.told(repo):
        hub.patiently(lambda: api.create_repo(repo.name, private=target.private, exist_ok=True))
        if target.private and not hub.patiently(lambda: api.model_info(repo.name)).private:
            raise HubError(f"{repo.name} is public. Make it private in its settings, or leave out --private.")
        if repo.revision != "main":
            hub.patiently(lambda: api.create_branch(repo.name, branch=repo.revision, exist_ok=True))


def push(folder: Path, names: Sequence[str], target: Target, photo: Path | None, say: Callable[[str], None]) -> str:
    """Upload weights of a folder, all or those of `names` ("base", "base-x2"), with figures and model card.

    The panels are of `photo`; without it there are none. One commit holds everything, so a reader never sees half of
    it; what an interrupted push has uploaded is not uploaded again. Returns the address of the commit or pull request.
    Raises ConfigError, WeightsError and HubError.
    """
    chosen = choose(folder, names)
    prepare(target)
    files: Files = {}
    for preset, scale in chosen:
        files |= weights_files(preset, scale, folder)
        files |= _figures(preset, scale, folder, photo, say)
    return upload(files, target, say)


def choose(folder: Path, names: Sequence[str]) -> list[tuple[str, int]]:
    """(preset, scale) of the weights in a folder that `names` mean. Raises WeightsError and ConfigError."""
    there = [entry for entry in weights.available(folder) if places.has_weights(folder, weights.name(*entry))]
    if not there:
        raise WeightsError(f"There are no weights in {folder}.")
    for name in names:
        if not any(name in (preset, weights.name(preset, scale)) for preset, scale in there):
            have = ", ".join(weights.name(*entry) for entry in there)
            raise ConfigError(f"{folder} has no weights {name}; there are: {have}.")
    return [(preset, scale) for preset, scale in there if not names or {preset, weights.name(preset, scale)} & {*names}]


def weights_files(preset: str, scale: int, folder: Path) -> Files:
    """The pair of files, checked by loading it."""
    network, _ = weights.load(preset, scale, folder)
    del network
    name = weights.name(preset, scale)
    return {path: (folder / path).read_bytes() for path in (f"{name}.json", f"{name}.safetensors")}


def _figures(preset: str, scale: int, folder: Path, photo: Path | None, say: Callable[[str], None]) -> Files:
    """Panels and drawing; an 8-bit version has those of the weights that it was made from."""
    if preset.endswith(presets.INT8):
        return {}
    name = weights.name(preset, scale)
    upscaler = Upscaler.from_preset(preset, scale, folder=folder)
    files: Files = {}
    if photo:
        panels = five_panels(upscaler, images.load(photo), f"{preset} x{scale}")
        files[model_card.panels_name(name)] = images.encode(panels)
    try:
        from sr_model.figures.diagram import draw
    except ModuleNotFoundError:
        say(f"{name} is not drawn: that needs matplotlib (pip install 'sr-model[train]').")
    else:
        files[model_card.drawing_name(name)] = draw(upscaler.model, "network", f"{preset} ×{scale}").png()
    return files


def upload(files: Files, target: Target, say: Callable[[str], None]) -> str:
    """Commit files and a model card that fits them and what the repository has; returns the address.

    If somebody else commits at the same time, the card is made again on top of theirs. Raises HubError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api, repo = HfApi(), target.repo
    with hub.told(repo):
        for _ in range(CONFLICTS):
            head = hub.patiently(lambda: api.model_info(repo.name, revision=repo.revision)).sha
            assert head, "every branch has a commit"
            operations = _operations(api, Repo(repo.name, head), files, say)
            try:
                commit = hub.patiently(lambda: _commit(api, target, operations, head))  # noqa: B023
            except HfHubHTTPError as error:
                if error.response.status_code != MOVED_ON:
                    raise
                say("Somebody else has pushed in the meantime; trying again on top of theirs.")
                continue
            return str(commit.pr_url if target.create_pr else commit.commit_url)
    raise HubError(f"{repo.name} changes faster than this push. Try again in a few minutes.")


def _commit(api: "HfApi", target: Target, operations: Sequence["CommitOperationAdd"], head: str) -> "CommitInfo":
    names = [Path(o.path_in_repo).stem for o in operations if o.path_in_repo.endswith(".safetensors")]
    return api.create_commit(
        target.repo.name,
        operations,
        commit_message=f"Upload {', '.join(names)}",
        revision=target.repo.revision,
        create_pr=target.create_pr,
        parent_commit=head,
    )


def _operations(api: "HfApi", at: Repo, files: Files, say: Callable[[str], None]) -> list["CommitOperationAdd"]:
    """What is committed on top of a commit: the files, and the card for these and what is there."""
    from huggingface_hub import CommitOperationAdd

    there = api.list_repo_files(at.name, revision=at.revision)
    folder = hub.download(at, ["README.md", "*-x*.json"])
    old = (folder / "README.md").read_text(encoding="utf-8") if "README.md" in there else ""
    cards = {entry: card for entry, card in _cards(folder).items() if f"{weights.name(*entry)}.safetensors" in there}
    for name, data in files.items():
        if name.endswith(".json"):
            card = weights.parse_card(name, data)
            cards[card.preset, card.scale] = card
    ordered = [cards[entry] for entry in sorted(cards, key=weights.order)]
    if not model_card.is_renewed(old):
        say(f"README.md has no part between {model_card.BEGIN} and {model_card.END}: only its metadata are renewed.")
    text = model_card.render(old, at.name, ordered, {*there, *files})
    return [CommitOperationAdd(path, data) for path, data in (files | {"README.md": text.encode()}).items()]


def _cards(folder: Path) -> dict[tuple[str, int], Card]:
    """The cards in a folder by preset and scale, without those that only another version can read."""
    found = {}
    for preset, scale in weights.described(folder):
        with suppress(WeightsError):
            found[preset, scale] = weights.read_card(preset, scale, folder)
    return found
