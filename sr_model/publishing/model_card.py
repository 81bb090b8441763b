"""The model card of a repository on the Hub: metadata with results, and a part of the text that is renewed."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from sr_model.errors import HubError
from sr_model.imaging.metrics import DEFINITION
from sr_model.models import weights
from sr_model.models.weights import Card
from sr_model.system.files import between_marks

BEGIN, END = "<!-- sr_model: begin -->", "<!-- sr_model: end -->"
TAGS = ["super-resolution", "image-super-resolution", "autoencoder", "pytorch"]
SCORES = {"psnr": "PSNR (dB, luma)", "ssim": "SSIM (luma)"}
WHAT_FOR = """
## What it is for

Enlarging photos that are small but clean. Blur, noise and JPEG blocks are enlarged with everything else unless the
weights were trained on them. Not for evidence: detail in the result is a likely guess, not a record.

The code is under the MIT licence. Some training sets are for research only: ask yourself whether your use is too.
"""


def render(old: str, repo: str, cards: Sequence[Card], figures: Collection[str]) -> str:
    """The README.md of a repository that holds the weights of `cards` and the files `figures`.

    `old` is the one before, which people may have edited: its text stays, but for what is between BEGIN and END, which
    is renewed; so do its metadata, to which ours are added. Raises HubError if its metadata are not YAML.
    """
    from huggingface_hub import CardData, RepoCard

    try:
        before = RepoCard(old) if old.strip() else None
    except Exception as error:  # whatever the parser of YAML may raise
        raise HubError(f"The metadata at the top of README.md in {repo} are not valid YAML; correct them.") from error
    metadata = _metadata(before.data.to_dict() if before else {}, cards)
    text = before.text if before else ""
    if not text.strip():
        text = f"\n# {repo.partition('/')[2]}\n\n{BEGIN}\n{END}\n{WHAT_FOR}"
    if text.count(BEGIN) == text.count(END) == 1:
        text = between_marks(text, BEGIN, END, _our_part(repo, cards, figures))
    return f"---\n{CardData(**metadata).to_yaml()}\n---\n{text}"


def is_renewed(old: str) -> bool:
    """Whether a card has a part that is renewed; people may have removed it."""
    return (
        not old.strip() or BEGIN in old or not re.sub(r"\A---.*?^---$", "", old, flags=re.DOTALL | re.MULTILINE).strip()
    )


def _metadata(old: dict[str, Any], cards: Sequence[Card]) -> dict[str, Any]:
    sets = [name for card in cards for name in card.training.get("sets", {}) if re.fullmatch(r"[\w.-]+", name)]
    names = {weights.name(card.preset, card.scale) for card in cards}
    others = [entry for entry in _listed(old.get("model-index")) if _name(entry) not in names]
    index = [*others, *(entry for card in cards for entry in _results(card))]
    ours = {"license": "mit", "library_name": "sr-model", "pipeline_tag": "image-to-image"}
    return {
        **ours,
        **old,
        "tags": _united(old.get("tags"), TAGS),
        "datasets": _united(old.get("datasets"), sets) or None,
        "metrics": _united(old.get("metrics"), list(SCORES)),
        "model-index": index or None,
    }


def _results(card: Card) -> list[dict[str, Any]]:
    """The entry of the model-index for what the evaluator measured, if it measured anything."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results = [
        EvalResult(
            task_type="image-to-image",
            task_name=f"x{card.scale} super-resolution",
            dataset_type=name.lower(),
            dataset_name=name,
            metric_type=score,
            metric_name=title,
            metric_value=values[score],
        )
        for name, values in measured(card).items()
        for score, title in SCORES.items()
    ]
    return eval_results_to_model_index(weights.name(card.preset, card.scale), results) if results else []


def measured(card: Card) -> dict[str, dict[str, float]]:
    """By set, the figures of the sets that have all of SCORES, for network and bicubic."""
    wanted = [prefix + score for score in SCORES for prefix in ("", "bicubic_")]
    return {
        name: values
        for name, values in card.metrics.items()
        if isinstance(values, dict) and all(isinstance(values.get(key), int | float) for key in wanted)
    }


def _our_part(repo: str, cards: Sequence[Card], figures: Collection[str]) -> str:
    first = cards[0]
    lines = [
        "Weights of a super-resolution autoencoder, two files each: `<preset>-x<scale>.safetensors`, and a json with "
        "the config that rebuilds the network, how it was trained, what it measured, and the sha256 that is checked "
        "on loading.",
        "",
        "```python",
        "from PIL import Image",
        "from sr_model import Upscaler",
        "",
        f'upscaler = Upscaler.from_pretrained("{repo}", preset="{first.preset}", scale={first.scale})',
        'upscaler(Image.open("small.jpg")).save("large.png")',
        "```",
        "",
        "| weights | parameters | trained on | made | sha256 |",
        "|---|---|---|---|---|",
    ]
    for card in cards:
        sets = ", ".join(f"{name} {count}" for name, count in card.training.get("sets", {}).items())
        name = weights.name(card.preset, card.scale)
        lines.append(f"| {name} | {card.parameters:,} | {sets} | {card.made} | `{card.sha256[:16]}` |")
    lines += ["", *_scores(cards), *_pictures(cards, figures)]
    return "\n".join(lines).rstrip()


def _scores(cards: Sequence[Card]) -> list[str]:
    rows = [
        f"| {weights.name(card.preset, card.scale)} | {name} | {v['psnr']:.2f} / {v['ssim']:.4f} "
        f"| {v['bicubic_psnr']:.2f} / {v['bicubic_ssim']:.4f} |"
        for card in cards
        for name, v in measured(card).items()
    ]
    if not rows:
        return []
    return ["| weights | set | PSNR / SSIM | bicubic |", "|---|---|---|---|", *rows, "", DEFINITION, ""]


def _pictures(cards: Sequence[Card], figures: Collection[str]) -> list[str]:
    lines = []
    for card in cards:
        name = weights.name(card.preset, card.scale)
        if panels_name(name) in figures:
            lines += [f"![Input, bicubic, latent, output and truth of {name}]({panels_name(name)})", ""]
        if drawing_name(name) in figures:
            lines += [f"![The network of {name}, drawn to scale]({drawing_name(name)})", ""]
    return lines


def panels_name(name: str) -> str:
    """Where the five panels of weights are in a repository."""
    return f"figures/{name}-panels.png"


def drawing_name(name: str) -> str:
    """Where the drawing of their network is."""
    return f"figures/{name}-network.png"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _united(old: Any, new: Sequence[str]) -> list[Any]:
    return list(dict.fromkeys([*_listed(old), *new]))


def _name(entry: Any) -> Any:
    return entry.get("name") if isinstance(entry, dict) else None
