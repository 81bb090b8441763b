import dataclasses
import itertools
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sr_model.imaging import metrics
from sr_model.models import weights
from sr_model.networks import presets
from sr_model.training import TrainConfig, checkpoint, train, validation
from sr_model.training.checkpoint import load_newest
from tests.conftest import randomised
from tests.tiny_run import history, quiet, same, stop_after, tiny_config

pytestmark = pytest.mark.long


@pytest.fixture
def config(photo_folder: Path, tmp_path: Path) -> TrainConfig:
    return tiny_config(photo_folder, tmp_path / "run")


@pytest.mark.parametrize(
    ("stop", "settings"),
    [
        (1, {}),
        (4, {}),
        (5, {"workers": 2, "batch_size": 8}),  # the end of an epoch
        (3, {"loss": "l1=1,perceptual=0.1,adversarial=0.01", "accumulate": 2, "augment": "rotation,scale,colour"}),
        (6, {"degradation": "photo", "restarts": 1, "preset": "classic", "scale": 1, "network": "width=8"}),
    ],
)
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    config: TrainConfig, tmp_path: Path, stop: int, settings: dict[str, Any]
) -> None:
    """Stopped within an epoch or at its end, all networks, the mean and the optimizers go on bit for bit."""
    config = dataclasses.replace(config, **settings)
    train(config, quiet())
    whole = load_newest(config.folder / "checkpoints")[0]

    stopping = dataclasses.replace(config, run_dir=str(tmp_path / "stopped"))
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, stop)
        train(stopping, quiet())
    assert load_newest(stopping.folder / "checkpoints")[1]["step"] == stop
    # Checkpoints have no random states, as nothing draws from what a process shares.
    torch.manual_seed(stop)
    np.random.seed(stop)
    random.seed(stop)
    train(dataclasses.replace(stopping, resume=True), quiet())
    assert same(load_newest(stopping.folder / "checkpoints")[0], whole)


def test_what_a_checkpoint_lacks_is_missed(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the moments of an optimizer, or at another step, a run ends with other weights: the law is sharp."""
    config = dataclasses.replace(config, loss="l1=1,adversarial=0.01")
    train(config, quiet())
    whole = load_newest(config.folder / "checkpoints")[0]
    begun = tmp_path / "begun"
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        train(dataclasses.replace(config, run_dir=str(begun)), quiet())

    def ends_equal_without(prefix: str, steps: int) -> bool:
        tensors, meta, _ = load_newest(begun / "checkpoints")
        left = {name: value for name, value in tensors.items() if not name.startswith(prefix)}
        run = tmp_path / f"without {prefix} {steps}"
        shutil.copytree(begun, run)
        checkpoint.save(run / "checkpoints", 5, left, meta | {"step": 5 - steps})
        train(dataclasses.replace(config, run_dir=str(run), resume=True), quiet())
        return same(load_newest(run / "checkpoints")[0], whole)

    assert ends_equal_without("nothing", 0)
    assert not ends_equal_without("optimizer.", 0)
    assert not ends_equal_without("discriminator_optimizer.", 0)
    assert not ends_equal_without("nothing", 1)


def test_one_command_begins_from_weights_and_goes_on(config: TrainConfig, tmp_path: Path) -> None:
    """--init counts where there is no run yet; with --resume beside it the run ends as one that was never stopped."""
    source = tmp_path / "weights"
    weights.save(randomised(presets.config("nano", 2)), "nano", source, {"steps": 1}, {})
    config = dataclasses.replace(config, init=str(source))
    train(config, quiet())
    whole, meta, _ = load_newest(config.folder / "checkpoints")

    again = dataclasses.replace(config, run_dir=str(tmp_path / "stopped"), resume=True)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 3)
        train(again, quiet())
    shutil.rmtree(source)  # what a run began with is not read when it goes on
    train(again, quiet())
    tensors, values, _ = load_newest(again.folder / "checkpoints")
    assert same(tensors, whole)
    assert [values[key] for key in ("step", "best", "earlier")] == [meta[key] for key in ("step", "best", "earlier")]
    assert values["earlier"] == {"steps": 1}


def test_a_run_begun_with_init_goes_on_without_it_and_tells_its_past(config: TrainConfig, tmp_path: Path) -> None:
    """--init need not be said again, and the card has the training of both."""
    train(config, quiet())
    tuned = dataclasses.replace(config, run_dir=str(tmp_path / "tuned"), max_steps=200, val_every=1000, lr=2e-3)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 5)
        train(dataclasses.replace(tuned, init=str(config.folder)), quiet())
    train(dataclasses.replace(tuned, resume=True), quiet())
    before, after = (weights.load("nano", 2, folder)[1].training for folder in (config.folder, tuned.folder))
    assert after["earlier"] == before
    assert after["hours"] >= before["hours"]
    assert after["steps"] == 200


def test_a_run_stopped_in_a_validation_makes_up_for_it(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends before the next picture, and once it goes on it has the history, the best and the weights of others."""
    config = dataclasses.replace(config, val_data=config.data[0])
    train(config, quiet())
    whole, meta, _ = load_newest(config.folder / "checkpoints")

    stopped = dataclasses.replace(config, run_dir=str(tmp_path / "stopped"))
    measured = itertools.count(1)

    def score(*pictures: Any) -> tuple[float, float]:
        if next(measured) == 6:  # of four pictures bicubic was first
            signal.raise_signal(signal.SIGTERM)
        return metrics.score(*pictures)

    with monkeypatch.context() as patch:
        patch.setattr(validation, "score", score)
        train(stopped, quiet())
    assert next(measured) == 7
    assert load_newest(stopped.folder / "checkpoints")[1]["step"] == 4
    assert not history(stopped.folder)
    train(dataclasses.replace(stopped, resume=True), quiet())
    tensors, values, _ = load_newest(stopped.folder / "checkpoints")
    assert same(tensors, whole)
    assert values["best"] == meta["best"]
    lines = [[line | {"hours": 0} for line in history(run)] for run in (config.folder, stopped.folder)]
    assert lines[0] == lines[1]
