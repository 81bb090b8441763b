"""Measure and install weights, with json and model card: the best of a run, or the 8-bit version of a preset."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr_model.degrading.degradation_steps import Jpeg
from sr_model.errors import ConfigError, DataError
from sr_model.evaluation.comparison import evaluate, shrink_picture
from sr_model.evaluation.conditions import evaluate_under
from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.models.mixtures import PARENT
from sr_model.models.weights import Card
from sr_model.networks import Network, presets
from sr_model.networks.autoencoder import Autoencoder
from sr_model.networks.fine_tuning import STEPS, fine_tune
from sr_model.networks.quantization import quantize
from sr_model.networks.reshaping.pruning import idle_blocks, without
from sr_model.system.files import between_marks, write_atomically

CALIBRATION = 24  # photos
LEARNED_FROM, LEARNED_SIDE = 200, 384  # photos of fine-tuning, and their sides in pixels of low resolution
ALLOWED_LOSS = 0.05  # dB, by 8 bits
ALLOWED_ROUNDING = 0.002  # dB, by blocks that do nothing
REPAIRED = ("jpeg75", "jpeg50")  # conditions that mixed weights are compared under too
REPAIRED_QUALITY = 50  # of the JPEGs that their ranges are chosen on too
BEGIN, END = "<!-- weights: begin -->", "<!-- weights: end -->"


def promote(
    run: Path,
    validation: Path,
    tests: Sequence[Path],
    target: Path,
    say: Callable[[str], None],
    device: str = "auto",
) -> Card:
    """Install the best weights of a run folder into `target` if they score higher on the folder `validation`.

    Both are measured by `evaluate`, and so are the sets `tests`, whose figures also go into the json. Returns the new
    card. Raises ConfigError if the run has no weights, or those of several presets, and DataError, with nothing
    changed, if it is not better.
    """
    preset, scale = _only(run)
    name = weights.name(preset, scale)
    card = weights.read_card(preset, scale, run)
    new = _measure(preset, scale, validation, run, device)
    say(f"{name} of {run}: {_text(new)} on {new['set']}")
    if (preset, scale) in weights.available(target):
        old = _measure(preset, scale, validation, target, device)
        say(f"{name} of {target}: {_text(old)}")
        if new["mean"]["psnr"] <= old["mean"]["psnr"]:
            raise DataError(
                f"The weights of {run} are not better ({_text(new)}) than those in {target} ({_text(old)}); nothing is "
                "changed. Train on, or promote another run."
            )
    metrics = card.metrics | {new["set"]: _figures(new)}
    for test in tests:
        report = _measure(preset, scale, test, run, device)
        say(f"{name} of {run}: {_text(report)} on {report['set']}")
        metrics[report["set"]] = _figures(report)
    card = replace(card, metrics=metrics)
    weights.install(weights.read(preset, scale, run)[0], card, target)
    write_model_card(target)
    say(f"Installed {name} in {target}")
    if (preset + presets.INT8, scale) in weights.available(target):
        say(f"Its 8-bit version is of the previous weights. {weights.how_to_make(preset + presets.INT8, scale)}")
    return card


def quantize_preset(
    preset: str,
    scale: int,
    photos: Path,
    validation: Path,
    tests: Sequence[Path],
    folder: Path,
    say: Callable[[str], None],
    steps: int = STEPS,
) -> Card:
    """Make the 8-bit version of a preset's weights in `folder`, if it scores almost as high on `validation`.

    Its ranges are chosen on CALIBRATION of the photos below the folder `photos`, and it is fine-tuned for `steps` on
    LEARNED_FROM of them. Returns the new card. Raises DataError, with nothing changed, if it loses more than
    ALLOWED_LOSS, and ConfigError for less than no step.
    """
    if steps < 0:
        raise ConfigError(f"--steps {steps}: there cannot be less than none; 0 leaves fine-tuning out.")
    name = preset + presets.INT8
    card = weights.read_card(preset, scale, folder)
    lows = _small(card, photos, CALIBRATION)
    learned_from = _small(card, photos, LEARNED_FROM, LEARNED_SIDE) if steps else []
    quantized: dict[str, Network] = {}
    for set_name, at in (card.strengths or {"": 0.0}).items():
        network, _ = weights.load(preset, scale, folder, at)
        quantized[set_name] = quantize(network, lows)
        if steps:
            say(f"{name}-x{scale} {set_name}".rstrip() + f" learns for {steps} steps")
            quantized[set_name] = fine_tune(quantized[set_name], network, learned_from, steps)
    training = card.training | {"calibrated_on": len(lows), "fine_tuned": steps}
    with tempfile.TemporaryDirectory() as made:
        weights.save_sets(quantized, name, Path(made), training, {}, card.sha256, card.strengths)
        enlarge = Upscaler.from_preset(name, scale, "cpu", Path(made))
        before = Upscaler.from_preset(preset, scale, "cpu", folder)
        metrics = _compared(before, enlarge, validation, tests, say, "in 8 bits", ALLOWED_LOSS)
    card = weights.save_sets(quantized, name, folder, training, metrics, card.sha256, card.strengths)
    write_model_card(folder)
    return card


def prune_preset(
    preset: str,
    scale: int,
    photos: Path,
    validation: Path,
    tests: Sequence[Path],
    folder: Path,
    say: Callable[[str], None],
) -> Card:
    """Leave out the residual blocks that do nothing in a preset's weights in `folder`, if nothing is lost by it.

    Those are found on CALIBRATION of the photos below the folder `photos`, and the pictures in `validation` must score
    as high without them. Returns the new card. Raises ConfigError for networks without such blocks, and DataError,
    with nothing changed, if all blocks are busy or something is lost.
    """
    name = weights.name(preset, scale)
    card = weights.read_card(preset, scale, folder)
    lows = _small(card, photos, CALIBRATION)
    sets: dict[str, Autoencoder] = {}
    for set_name, at in (card.strengths or {"": 0.0}).items():
        network, _ = weights.load(preset, scale, folder, at)
        if not isinstance(network, Autoencoder) or card.quantized:
            raise ConfigError(f"{name} has no residual blocks that could be left out.")
        sets[set_name] = network
    idle = set.intersection(*(idle_blocks(network, lows) for network in sets.values()))
    if not idle:
        raise DataError(f"All residual blocks of {name} are busy; nothing is changed.")
    say(f"{name} without {', '.join(sorted(idle))}")
    smaller = {set_name: without(network, idle) for set_name, network in sets.items()}
    training = card.training | {"idle_blocks": sorted(idle)}
    if PARENT in training:
        training[PARENT] = _parent(smaller[PARENT], card.training[PARENT], scale, folder)
    with tempfile.TemporaryDirectory() as made:
        weights.save_sets(smaller, preset, Path(made), training, {}, "", card.strengths)
        enlarge = Upscaler.from_preset(preset, scale, "cpu", Path(made))
        before = Upscaler.from_preset(preset, scale, "cpu", folder)
        metrics = card.metrics | _compared(before, enlarge, validation, tests, say, "without them", ALLOWED_ROUNDING)
    card = weights.save_sets(smaller, preset, folder, training, metrics, "", card.strengths)
    write_model_card(folder)
    return card


def _parent(network: Network, named: dict[str, str], scale: int, folder: Path) -> dict[str, str]:
    """Name and sha256 of the weights that mixed ones begin with: the preset's as it is now, where they are equal."""
    preset = named["name"].rpartition("-x")[0]
    if (preset, scale) not in weights.available(folder):
        return named
    parent, card = weights.load(preset, scale, folder)
    theirs, ours = parent.state_dict(), network.state_dict()
    equal = theirs.keys() == ours.keys() and all(torch.equal(value, ours[key]) for key, value in theirs.items())
    return named | {"sha256": card.sha256} if equal else named


def _small(card: Card, photos: Path, count: int, side: int | None = None) -> list[Tensor]:
    """Small pictures (1, 3, H, W) in [0, 1] of `count` photos; compressed ones too where weights are for those.

    With `side`, only their middle, at most `side` pixels each way. Raises DataError if there is no photo.
    """
    paths = images.find_images(photos)
    if not paths:
        raise DataError(f"There is no picture in {photos} to look at.")
    chosen = paths[:: -(-len(paths) // count)]
    lows = [images.to_tensor(_middle(shrink_picture(images.load(path), card.scale)[0].pixels, side)) for path in chosen]
    if card.strengths:
        lows += [Jpeg(REPAIRED_QUALITY, halved=True)(low) for low in lows]
    return lows


def _middle(pixels: np.ndarray, side: int | None) -> np.ndarray:
    h, w = pixels.shape[:2]
    if side is None:
        return pixels
    top, left = max(0, h - side) // 2, max(0, w - side) // 2
    return pixels[top : top + side, left : left + side].copy()  # so that the rest does not stay in memory


def _compared(
    before: Upscaler,
    after: Upscaler,
    validation: Path,
    tests: Sequence[Path],
    say: Callable[[str], None],
    how: str,
    allowed: float,
) -> dict[str, dict[str, float]]:
    """The figures of the version made `how`, by set. Mixed weights are compared on JPEGs too.

    Raises DataError if more than `allowed` dB are lost on `validation`.
    """
    metrics = {}
    for condition in ("", *(REPAIRED if before.is_mixed else ())):
        reports = []
        for upscaler in (before, after):
            if condition:
                reports.append(evaluate_under(condition, upscaler, upscaler.scale, validation))
            else:
                reports.append(evaluate(upscaler, upscaler.scale, validation))
        lost = reports[0]["mean"]["psnr"] - reports[1]["mean"]["psnr"]
        what = f"{reports[1]['set']} {condition}".strip()
        say(f"{_text(reports[0])} on {what}, {how} {_text(reports[1])}")
        if lost > allowed:
            raise DataError(f"Of {_text(reports[0])} on {what}, {how} more than {allowed} is lost; nothing is changed.")
        metrics[what] = _figures(reports[1])
    for test in tests:
        report = evaluate(after, after.scale, test)
        say(f"{_text(report)} on {report['set']}, {how}")
        metrics[report["set"]] = _figures(report)
    return metrics


def write_model_card(folder: Path) -> None:
    """Write the table of all weights in a folder between the marks in its README.md, which is created if missing."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else f"# Model card\n\n{BEGIN}\n{END}\n"
    if BEGIN in text and END in text:
        write_atomically(path, between_marks(text, BEGIN, END, _table(folder)).encode())


def _table(folder: Path) -> str:
    lines = ["| weights | parameters | trained | on | sha256 |", "|---|---|---|---|---|"]
    for preset, scale in weights.available(folder):
        card = weights.read_card(preset, scale, folder)
        sets = ", ".join(f"{name} {count}" for name, count in card.training.get("sets", {}).items())
        hours = card.training.get("hours", 0)
        lines.append(
            f"| {weights.name(preset, scale)} | {card.parameters:,} | {hours:.1f} h | {sets} | `{card.sha256[:12]}` |"
        )
    return "\n".join(lines)


def _only(run: Path) -> tuple[str, int]:
    found = weights.available(run)
    if len(found) != 1:
        have = ", ".join(weights.name(*entry) for entry in found) or "none"
        raise ConfigError(f"A run folder holds the weights of one network; {run} has: {have}.")
    return found[0]


def _measure(preset: str, scale: int, source: Path, folder: Path, device: str) -> dict[str, Any]:
    return evaluate(Upscaler.from_preset(preset, scale, device, folder), scale, source)


def _figures(report: dict[str, Any]) -> dict[str, float]:
    return {"pictures": len(report["pictures"]), **{key: round(value, 4) for key, value in report["mean"].items()}}


def _text(report: dict[str, Any]) -> str:
    return f"{report['mean']['psnr']:.3f} dB"
