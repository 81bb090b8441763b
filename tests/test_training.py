import dataclasses
import io
import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr_model import checkpoint, run_folder, weights
from sr_model.checkpoint import load_newest
from sr_model.errors import ConfigError, DataError
from sr_model.images import open_image
from sr_model.losses import LOSSES
from sr_model.progress import Progress
from sr_model.state import running_mean
from sr_model.train_config import TrainConfig
from sr_model.training import train
from sr_model.training_step import Part, Stepper

ROOT = Path(__file__).parent.parent


def quiet() -> Progress:
    return Progress(Console(file=io.StringIO()))


@pytest.fixture
def config(photo_folder: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        preset="nano",
        data=(str(photo_folder),),
        max_steps=8,
        batch_size=2,
        patch_size=16,
        warmup_steps=2,
        val_every=4,
        run_dir=str(tmp_path / "run"),
    )


def test_a_run_leaves_what_weights_takes(config: TrainConfig) -> None:
    """Weights that load, a card that says what they are, a picture of samples, a line for each validation."""
    best = train(config, quiet())
    model, card = weights.load("nano", 2, config.folder)
    assert model.scale == 2
    assert card.training["steps"] == best["step"]
    assert card.training["sets"] == {"photos": 2, "more": 1} or card.training["sets"] == {"photos": 3}
    assert card.metrics["validation"]["psnr"] == pytest.approx(best["psnr"], abs=1e-3)
    assert str(config.folder.parent) not in json.dumps(dataclasses.asdict(card))
    assert open_image(config.folder / "samples.png").width > 300
    lines = [json.loads(line) for line in (config.folder / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8]
    assert max(line["val_psnr"] for line in lines) == best["psnr"]


def test_training_learns(config: TrainConfig) -> None:
    """A few hundred steps on real photos beat bicubic on a photo that was held out."""
    best = train(dataclasses.replace(config, max_steps=300, val_every=1000, lr=2e-3, batch_size=4), quiet())
    assert best["psnr"] > best["bicubic_psnr"] + 0.3


def test_two_runs_of_one_seed_are_equal(config: TrainConfig, tmp_path: Path) -> None:
    """Bitwise, on one machine; and another seed gives other weights."""
    states = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        train(dataclasses.replace(config, run_dir=str(tmp_path / name), seed=seed), quiet())
        states.append(load_newest(tmp_path / name / "checkpoints")[0])
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


@pytest.mark.parametrize(
    ("stop", "settings"),
    [
        (1, {}),
        (4, {}),
        (5, {"workers": 2}),
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

    run_dir = str(tmp_path / "stopped")
    stopping = dataclasses.replace(config, run_dir=run_dir)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, stop)
        train(stopping, quiet())
    assert load_newest(Path(run_dir) / "checkpoints")[1]["step"] == stop
    train(dataclasses.replace(stopping, resume=True), quiet())
    assert same(load_newest(Path(run_dir) / "checkpoints")[0], whole)


def test_a_killed_run_goes_on(config: TrainConfig, photo_folder: Path) -> None:
    """SIGKILL in the middle loses at most what came after the last checkpoint; SIGTERM loses nothing."""
    arguments = [sys.executable, "train.py", "--preset", "nano", "--data", str(photo_folder), "--batch-size", "2"]
    arguments += ["--patch-size", "16", "--max-steps", "100000", "--val-every", "4", "--run-dir", str(config.folder)]
    history = config.folder / "history.jsonl"
    last = 0
    for number, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        resume = ["--resume"] if last else []
        process = subprocess.Popen([*arguments, *resume], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while steps(history) < last + 8:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == status
        last = load_newest(config.folder / "checkpoints")[1]["step"]
        assert last >= steps(history) - 4
    assert f"Stopped after step {last:,}" in output
    assert not list(config.folder.rglob("*.tmp"))


@pytest.mark.slow
def test_a_run_killed_fifty_times_ends_as_one_that_was_not(photo_folder: Path, tmp_path: Path) -> None:
    """SIGKILL at any moment: it always goes on, loses at most one interval, leaves nothing behind, ends equal."""
    arguments = [sys.executable, "train.py", "--preset", "nano", "--data", str(photo_folder), "--batch-size", "2"]
    arguments += ["--patch-size", "16", "--max-steps", "1500", "--val-every", "3", "--device", "cpu", "--run-dir"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    subprocess.run([*arguments, str(whole)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    rng = random.Random(0)
    last = 0
    for _ in range(50):
        process = subprocess.Popen([*arguments, str(run), "--resume"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if "steps of 2 patches" in line:
                break
        time.sleep(rng.uniform(0, 1))
        process.kill()
        process.communicate()
        reached = load_newest(run / "checkpoints")[1]["step"] if checkpoint.checkpoints(run / "checkpoints") else 0
        assert reached >= max(last, steps(run / "history.jsonl") - 3)
        last = reached
    subprocess.run([*arguments, str(run), "--resume"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert same(load_newest(run / "checkpoints")[0], load_newest(whole / "checkpoints")[0])
    assert not list(run.rglob("*.tmp"))
    found = [json.loads(line)["step"] for line in (run / "history.jsonl").read_text().splitlines()]
    assert found == [*range(3, 1501, 3)]  # each validation once


def test_a_begun_run_is_not_overwritten(config: TrainConfig) -> None:
    """Without --resume a folder that holds a run is refused, and with it another network or other photos are."""
    train(config, quiet())
    before = (config.folder / "nano-x2.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="--resume"):
        train(config, quiet())
    with pytest.raises(ConfigError, match="--preset nano, not base"):
        train(dataclasses.replace(config, preset="base", resume=True), quiet())
    (Path(config.data[0]) / "a.png").unlink()
    with pytest.raises(ConfigError, match="other photos"):
        train(dataclasses.replace(config, resume=True), quiet())
    assert (config.folder / "nano-x2.safetensors").read_bytes() == before


def test_fine_tuning_starts_from_the_weights_named(config: TrainConfig, tmp_path: Path) -> None:
    """--init takes a folder of weights; where training makes nothing better, nothing worse is written."""
    train(dataclasses.replace(config, max_steps=100), quiet())
    tuned = dataclasses.replace(config, init=str(config.folder), run_dir=str(tmp_path / "tuned"), lr=1e-9, max_steps=1)
    best = train(tuned, quiet())
    assert best["psnr"] == pytest.approx(
        weights.load("nano", 2, config.folder)[1].metrics["validation"]["psnr"], abs=0.01
    )


def test_a_fine_tuned_run_goes_on_and_tells_its_past(config: TrainConfig, tmp_path: Path) -> None:
    """A run begun with --init is resumed without it, and its card has the training of both."""
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


def test_a_step_whose_loss_is_no_number_is_skipped_and_said(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It changes no weight and no mean; the steps after it are taken."""
    calls = itertools.count()

    def sometimes(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x - y).abs().mean() * (float("nan") if next(calls) in (2, 3) else 1.0)

    monkeypatch.setitem(LOSSES, "l1", sometimes)
    train(config, quiet())
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(" is skipped")[0] for line in errors] == ["Step 3", "Step 4"]
    tensors, meta, _ = load_newest(config.folder / "checkpoints")
    assert meta["step"] == 8
    assert tensors["optimizer.0.step"] == 6
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_many_steps_in_a_row_that_are_no_number_end_the_run(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with the weights before them, which --resume can go on from."""
    train(dataclasses.replace(config, max_steps=4), quiet())
    before = load_newest(config.folder / "checkpoints")[0]
    monkeypatch.setitem(LOSSES, "l1", lambda x, y: (x - y).mean() * float("inf"))
    with pytest.raises(DataError, match=r"10 steps in a row.*--lr"):
        train(dataclasses.replace(config, resume=True, max_steps=100), quiet())
    assert same(load_newest(config.folder / "checkpoints")[0], before)


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"batch_size": 0}, "--batch-size"),
        ({"patch_size": 4}, "--patch-size"),
        ({"max_steps": 0}, "--max-steps"),
        ({"lr": 0.0}, "--lr"),
        ({"grad_clip": -1.0}, "--grad-clip"),
        ({"ema": 1.0}, "--ema"),
        ({"val_fraction": 1.0}, "--val-fraction"),
        ({"warmup_steps": -1}, "--warmup-steps"),
        ({"resume": True, "init": "weights"}, "--init"),
        ({"loss": "l3"}, "--loss"),
        ({"loss": "l1,vgg,perceptual"}, "--loss"),
        ({"loss": "l1,adversarial", "scale": 1, "patch_size": 12}, "--patch-size"),
        ({"accumulate": 0}, "--accumulate"),
        ({"accumulate": 9}, "--batch-size"),
        ({"restarts": -1}, "--restarts"),
        ({"workers": -1}, "--workers"),
        ({"augment": "mixup"}, "--augment"),
        ({"degradation": "fog"}, "--degradation"),
        ({"fit": "stretch"}, "--fit"),
        ({"network": "depth=3"}, "--network"),
        ({"preset": "giant"}, "no preset"),
        ({"scale": 5}, "Scale 5"),
    ],
)
def test_impossible_settings_are_refused_by_the_flag_s_name(values: dict[str, Any], flag: str) -> None:
    """Before anything is read or written."""
    with pytest.raises(ConfigError, match=flag):
        TrainConfig(**values)


def test_the_running_mean_forgets_the_start_and_then_decays() -> None:
    """After one update most of the random start is gone; later it is the usual exponential mean."""
    for updates, decay in ((1, 2 / 11), (10**6, 0.99)):
        averaged, current = [torch.tensor([0.0])], [torch.tensor([1.0])]
        running_mean(0.99)(averaged, current, torch.tensor(updates))
        assert averaged[0].item() == pytest.approx(1 - decay)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[key], other[key]) for key in one)


def steps(history: Path) -> int:
    return json.loads(history.read_text().splitlines()[-1])["step"] if history.exists() else 0


def stop_after(patch: pytest.MonkeyPatch, stop: int) -> None:
    """Deliver SIGTERM once `stop` steps are done, as a machine that is shut down does."""
    original = Stepper.__call__
    calls = itertools.count(1)

    def step(self: Stepper, parts: list[Part], rate: float) -> tuple[float, bool]:
        if next(calls) == stop:
            signal.raise_signal(signal.SIGTERM)
        return original(self, parts, rate)

    patch.setattr(Stepper, "__call__", step)


def test_a_run_in_a_folder_that_another_holds_is_refused(config: TrainConfig) -> None:
    """The lock is the process's: a run that has died holds nothing."""
    with run_folder.hold(config.folder, resume=False), pytest.raises(ConfigError, match="Another process is training"):
        train(config, quiet())
    train(config, quiet())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_ends_the_run_and_spoils_nothing(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint before is whole, the message says what to do, and the run can go on."""
    train(dataclasses.replace(config, max_steps=4), quiet())
    before = load_newest(config.folder / "checkpoints")[0]

    def full(path: Path, data: bytes) -> None:
        with open("/dev/full", "wb") as stream:
            stream.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomically", full)
        with pytest.raises(DataError, match=r"No space left.*--resume"):
            train(dataclasses.replace(config, resume=True), quiet())
    assert same(load_newest(config.folder / "checkpoints")[0], before)
    assert train(dataclasses.replace(config, resume=True), quiet())["step"] in (4, 8)


def test_a_dry_run_says_the_plan_and_writes_nothing(config: TrainConfig) -> None:
    """The network's summary, the plan and the time, from a few real steps."""
    console = Console(file=io.StringIO(), width=100)
    assert train(dataclasses.replace(config, dry_run=True), Progress(console)) == {}
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for words in ("receptive field", "36,716 parameters", "8 steps of 2 patches", "would take 0.0 hours"):
        assert words in text
    assert not config.folder.exists()


def test_a_run_writes_curves_for_tensorboard(config: TrainConfig) -> None:
    """Loss, learning rate, each term, PSNR and the samples, once each after a resumption."""
    train(dataclasses.replace(config, max_steps=4, loss="l1=1,perceptual=0.1"), quiet())
    train(dataclasses.replace(config, loss="l1=1,perceptual=0.1", resume=True), quiet())
    events = EventAccumulator(str(config.folder / "tensorboard")).Reload()
    assert {"loss", "loss/l1", "loss/perceptual", "learning rate", "validation/psnr"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("validation/psnr")] == [4, 8]
    assert events.Tags()["images"] == ["samples"]


def test_with_features_in_the_loss_the_nearest_in_features_is_kept(config: TrainConfig) -> None:
    """Such losses give up PSNR, so that it cannot say which weights are best; the log has both figures."""
    best = train(dataclasses.replace(config, loss="l1=1,perceptual=1"), quiet())
    lines = [json.loads(line) for line in (config.folder / "history.jsonl").read_text().splitlines()]
    assert best["distance"] == min(line["val_distance"] for line in lines)
