"""Measure and install weights, with json and model card: the best of a run, or the 8-bit version of a preset."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sr_model.degrading.degradation_steps import Jpeg
from sr_model.errors import ConfigError, DataError
from sr_model.evaluation.comparison import evaluate, shrink_picture
from sr_model.evaluation.conditions import evaluate_under
from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.models.weights import Card
from sr_model.networks import presets
from sr_model.networks.quantization import quantize
from sr_model.system.files import between_marks, write_atomically

CALIBRATION = 24  # photos
ALLOWED_LOSS = 0.05  # dB
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
) -> Card:
    """Make the 8-bit version of a preset's weights in `folder`, if it scores almost as high on `validation`.

    Its ranges are chosen on CALIBRATION of the photos below the folder `photos`. Returns the new card. Raises
    DataError, with nothing changed, if it loses more than ALLOWED_LOSS.
    """
    name = preset + presets.INT8
    card = weights.read_card(preset, scale, folder)
    paths = images.find_images(photos)
    if not paths:
        raise DataError(f"There is no picture in {photos} to choose the ranges on.")
    chosen = paths[:: -(-len(paths) // CALIBRATION)]
    lows = [images.to_tensor(shrink_picture(images.load(path), scale)[0].pixels) for path in chosen]
    if card.strengths:
        lows += [Jpeg(REPAIRED_QUALITY, halved=True)(low) for low in lows]
    sets = {
        set_name: weights.load(preset, scale, folder, at)[0] for set_name, at in (card.strengths or {"": 0.0}).items()
    }
    quantized = {set_name: quantize(network, lows) for set_name, network in sets.items()}
    training = card.training | {"calibrated_on": len(chosen)}
    with tempfile.TemporaryDirectory() as made:
        weights.save_sets(quantized, name, Path(made), training, {}, card.sha256, card.strengths)
        enlarge = Upscaler.from_preset(name, scale, "cpu", Path(made))
        metrics = _compared(Upscaler.from_preset(preset, scale, "cpu", folder), enlarge, validation, say)
        for test in tests:
            report = evaluate(enlarge, scale, test)
            say(f"{weights.name(name, scale)}: {_text(report)} on {report['set']}")
            metrics[report["set"]] = _figures(report)
    card = weights.save_sets(quantized, name, folder, training, metrics, card.sha256, card.strengths)
    write_model_card(folder)
    return card


def _compared(
    before: Upscaler, after: Upscaler, validation: Path, say: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """The figures of the 8-bit version. Raises DataError if it loses too much, mixed weights on JPEGs too."""
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
        say(f"{_text(reports[0])} on {what}, in 8 bits {_text(reports[1])}")
        if lost > ALLOWED_LOSS:
            raise DataError(f"In 8 bits it loses more than {ALLOWED_LOSS} dB on {what}; nothing is changed.")
        metrics[what] = _figures(reports[1])
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
