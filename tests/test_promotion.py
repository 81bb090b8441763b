import os
from pathlib import Path

import pytest
import torch

from sr_model.commands.main import main
from sr_model.errors import ConfigError, DataError
from sr_model.evaluation import promotion
from sr_model.evaluation.comparison import evaluate
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.networks import build, presets
from tests.conftest import tiny_model


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """As good as bicubic: a fresh network of the real size."""
    network = build(presets.config("nano", 2))
    weights.save(network, "nano", tmp_path / "run", {"sets": {"photos": 4}, "hours": 1.5}, {"validation": {"psnr": 1}})
    return tmp_path / "run"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.mark.long
def test_better_weights_are_installed_with_what_was_measured(run: Path, photo_folder: Path, tmp_path: Path) -> None:
    """The file is the run's, the json has the figures of `evaluate`, and the model card names both."""
    target = tmp_path / "weights"
    weights.save(tiny_model(), "nano", target, {}, {})  # random: far worse
    (target / "README.md").write_text(f"# Card\n\n{promotion.BEGIN}\nold\n{promotion.END}\n\nMore.\n")
    card = promotion.promote(run, photo_folder, [photo_folder / "more"], target, print, "cpu")
    network, installed = weights.load("nano", 2, target)
    assert installed == card
    fresh = build(presets.config("nano", 2)).state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in network.state_dict().items())
    assert card.metrics.keys() == {"validation", "photos", "more"}
    expected = evaluate(Upscaler(network, "cpu"), 2, photo_folder)["mean"]["psnr"]
    assert card.metrics["photos"]["psnr"] == pytest.approx(expected, abs=1e-3)
    text = (target / "README.md").read_text()
    assert f"| nano-x2 | {card.parameters:,} | 1.5 h | photos 4 |" in text
    assert "old" not in text
    assert text.endswith("\n\nMore.\n")


@pytest.mark.long
def test_weights_that_are_not_better_are_refused_and_nothing_changes(
    run: Path, photo_folder: Path, tmp_path: Path
) -> None:
    """Not even by being equal; the message has both figures."""
    target = tmp_path / "weights"
    promotion.promote(run, photo_folder, [], target, print, "cpu")
    before = files(target)
    with pytest.raises(DataError, match="are not better"):
        promotion.promote(run, photo_folder, [], target, print, "cpu")
    assert files(target) == before


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, photo_folder: Path) -> None:
    """With what is in it."""
    with pytest.raises(ConfigError, match="has: none"):
        promotion.promote(tmp_path, photo_folder, [], tmp_path / "weights", print, "cpu")


@pytest.mark.long
def test_the_command_does_the_same(run: Path, photo_folder: Path, tmp_path: Path) -> None:
    """Exit status 0 when the weights were installed, 1 when they were not."""
    target = tmp_path / "weights"
    arguments = ["promote", str(run), "--val-data", str(photo_folder), "--weights", str(target), "--device", "cpu"]
    assert main(arguments) == 0
    assert weights.available(target) == [("nano", 2)]
    assert main(arguments) == 1


@pytest.mark.long
def test_a_run_that_was_cut_off_is_promoted_with_its_own_weights(
    run: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the last save ended between json and weights, what waits to replace the older weights is installed."""
    data, card = weights.read("nano", 2, run)
    weights.save(tiny_model(), "nano", run, {}, {})
    with monkeypatch.context() as patch:
        patch.setattr(weights, "write_atomically", lambda path, content: path.write_bytes(content))
        patch.setattr(os, "replace", lambda *_: None)
        weights.install(data, card, run)
    promotion.promote(run, photo_folder, [], tmp_path / "weights", print, "cpu")
    assert weights.read("nano", 2, tmp_path / "weights")[0] == data


def test_a_crash_between_weights_and_json_leaves_a_valid_pair(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever `install` is cut off, what is loaded is the old network or the new one, each with its own card."""
    target = tmp_path / "weights"
    old = weights.save(tiny_model(), "nano", target, {}, {})
    new = weights.read_card("nano", 2, run)
    data = (run / "nano-x2.safetensors").read_bytes()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for place, expected in (((weights, "write_card"), old), ((os, "replace"), new)):
        with monkeypatch.context() as patch:
            patch.setattr(*place, die)
            # `os.replace` also ends each file that is written whole: let those through.
            patch.setattr(weights, "write_atomically", lambda path, content: path.write_bytes(content))
            with pytest.raises(KeyboardInterrupt):
                weights.install(data, new, target)
        _, card = weights.load("nano", 2, target)
        assert card == expected
        assert weights.available(target) == [("nano", 2)]
    weights.install(data, new, target)
    assert weights.load("nano", 2, target)[1] == new
