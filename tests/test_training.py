import dataclasses
import io
import itertools
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr_model.errors import ConfigError, DataError
from sr_model.imaging.images import open_image
from sr_model.losses import LOSSES
from sr_model.models import weights
from sr_model.networks import presets
from sr_model.networks.by_name import build
from sr_model.networks.plain import PlainConfig
from sr_model.training import TrainConfig, folder, train
from sr_model.training.checkpoint import load_newest
from sr_model.training.progress import Progress
from tests.tiny_run import history, quiet, same, tiny_config


@pytest.fixture
def config(photo_folder: Path, tmp_path: Path) -> TrainConfig:
    return tiny_config(photo_folder, tmp_path / "run")


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
    lines = history(config.folder)
    assert [line["step"] for line in lines] == [4, 8]
    assert max(line["val_psnr"] for line in lines) == best["psnr"]


@pytest.mark.long
def test_training_learns(config: TrainConfig) -> None:
    """A few hundred steps on real photos beat bicubic on a photo that was held out."""
    best = train(dataclasses.replace(config, max_steps=300, val_every=1000, lr=2e-3, batch_size=4), quiet())
    assert best["psnr"] > best["bicubic_psnr"] + 0.3


@pytest.mark.long
def test_two_runs_of_one_seed_are_equal(config: TrainConfig, tmp_path: Path) -> None:
    """Bitwise, on one machine; and another seed gives other weights."""
    states = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        train(dataclasses.replace(config, run_dir=str(tmp_path / name), seed=seed), quiet())
        states.append(load_newest(tmp_path / name / "checkpoints")[0])
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


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


def test_a_run_of_another_shape_is_not_resumed(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets may get another network from one version to the next; a run of the earlier one stays as it is."""
    train(config, quiet())
    preset = presets.find("nano")
    monkeypatch.setitem(presets.PRESETS, "nano", dataclasses.replace(preset, network=PlainConfig(2, 8, 8, 1, 1, 1)))
    with pytest.raises(ConfigError, match="another shape"):
        train(dataclasses.replace(config, resume=True), quiet())


@pytest.mark.long
def test_fine_tuning_starts_from_the_weights_named(config: TrainConfig, tmp_path: Path) -> None:
    """--init takes a folder of weights; where training makes nothing better, nothing worse is written."""
    train(dataclasses.replace(config, max_steps=100), quiet())
    begun = weights.load("nano", 2, config.folder)[1].metrics["validation"]["psnr"]
    tuned = dataclasses.replace(
        config, init=str(config.folder), run_dir=str(tmp_path / "tuned"), lr=0.9, grad_clip=0.0, warmup_steps=0
    )
    best = train(tuned, quiet())
    assert history(tuned.folder)[-1]["val_psnr"] < begun - 1, "such steps were to do harm"
    assert best["psnr"] == pytest.approx(begun, abs=0.01)
    assert not (tuned.folder / "nano-x2.safetensors").exists()


def test_dormant_channels_are_said_and_begin_anew(config: TrainConfig, tmp_path: Path) -> None:
    """The end of a run names the option that puts them to use; it starts from the same picture, and none is left."""
    train(config, quiet())
    model, _ = weights.load("nano", 2, config.folder)
    with torch.no_grad():
        model.get_submodule("encoder.layers.0").get_parameter("bias")[:] = -9
    weights.save(model, "nano", tmp_path / "dormant", {}, {})
    said = []
    for revive in (False, True):
        text = io.StringIO()
        run_dir = str(tmp_path / f"{revive}")
        tuned = dataclasses.replace(config, init=str(tmp_path / "dormant"), run_dir=run_dir, revive=revive, lr=1e-6)
        train(tuned, Progress(console=Console(file=text, width=500)))
        said.append(text.getvalue())
    assert f"--init {tmp_path / 'False'} --revive trains on with all of them" in said[0]
    assert "channels were dormant and begin anew" in said[1]
    assert "--revive" not in said[1]
    before, after = (history(tmp_path / name)[0]["val_psnr"] for name in ("False", "True"))
    assert after == pytest.approx(before, abs=0.01)
    with pytest.raises(ConfigError, match="--revive needs --init"):
        dataclasses.replace(config, revive=True)


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


@pytest.mark.long
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


def test_a_run_in_a_folder_that_another_holds_is_refused(config: TrainConfig) -> None:
    """The lock is the process's: a run that has died holds nothing."""
    with folder.hold(config.folder, resume=False), pytest.raises(ConfigError, match="Another process is training"):
        train(config, quiet())
    train(config, quiet())


def test_a_dry_run_says_the_plan_and_writes_nothing(config: TrainConfig) -> None:
    """The network's summary, the plan and the time, from a few real steps."""
    console = Console(file=io.StringIO(), width=100)
    assert train(dataclasses.replace(config, dry_run=True), Progress(console)) == {}
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    parameters = sum(p.numel() for p in build(presets.config(config.preset, config.scale)).parameters())
    for words in ("receptive field", f"{parameters:,} parameters", "8 steps of 2 patches", "would take 0.0 hours"):
        assert words in text
    assert not config.folder.exists()


@pytest.mark.long
def test_a_run_writes_curves_for_tensorboard(config: TrainConfig) -> None:
    """Loss, learning rate, each term, PSNR and the samples, once each after a resumption."""
    train(dataclasses.replace(config, max_steps=4, loss="l1=1,perceptual=0.1"), quiet())
    train(dataclasses.replace(config, loss="l1=1,perceptual=0.1", resume=True), quiet())
    events = EventAccumulator(str(config.folder / "tensorboard")).Reload()
    assert {"loss", "loss/l1", "loss/perceptual", "learning rate", "validation/psnr"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("validation/psnr")] == [4, 8]
    assert events.Tags()["images"] == ["samples"]


@pytest.mark.long
def test_with_features_in_the_loss_the_nearest_in_features_is_kept(config: TrainConfig) -> None:
    """Such losses give up PSNR, so that it cannot say which weights are best; the log has both figures."""
    best = train(dataclasses.replace(config, loss="l1=1,perceptual=1"), quiet())
    assert best["distance"] == min(line["val_distance"] for line in history(config.folder))


def test_a_dry_run_touches_nothing(config: TrainConfig) -> None:
    """A plan made beside a run that is under way leaves its folder as it is, its cache file too."""
    cache = config.folder / "cache" / "pixels-0.bin"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"pixels of the run that is under way")
    before = {path: path.stat().st_mtime_ns for path in config.folder.rglob("*")}
    train(dataclasses.replace(config, dry_run=True, cache_gb=0), quiet())
    assert {path: path.stat().st_mtime_ns for path in config.folder.rglob("*")} == before
    assert cache.read_bytes() == b"pixels of the run that is under way"
