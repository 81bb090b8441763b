import dataclasses
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sr_model.training import TrainConfig, checkpoint, train
from sr_model.training.checkpoint import load_newest
from tests.tiny_run import ROOT, command, history, quiet, same, tiny_config

pytestmark = pytest.mark.long


@pytest.fixture
def config(photo_folder: Path, tmp_path: Path) -> TrainConfig:
    return tiny_config(photo_folder, tmp_path / "run")


def test_a_damaged_checkpoint_is_said_and_the_one_before_it_used(
    config: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on from there, and ends as it would have."""
    train(config, quiet())
    whole = load_newest(config.folder / "checkpoints")[0]
    newest = checkpoint.checkpoints(config.folder / "checkpoints")[-1]
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    train(dataclasses.replace(config, resume=True), quiet())
    assert f"Checkpoint {newest.name} is damaged" in capsys.readouterr().err
    assert same(load_newest(config.folder / "checkpoints")[0], whole)
    assert [line["step"] for line in history(config.folder)] == [4, 8]


def test_a_killed_run_goes_on(config: TrainConfig) -> None:
    """SIGKILL loses at most what came after the last checkpoint; SIGTERM and Ctrl-C lose nothing, within 10 s."""
    words = command(dataclasses.replace(config, max_steps=100_000, workers=1, resume=True))
    last = 0
    for number, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0), (signal.SIGINT, 0)):
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        deadline = time.monotonic() + 600
        while steps(config.folder) < last + 8:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal sends it to the workers too
        else:
            process.send_signal(number)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == status
        last = load_newest(config.folder / "checkpoints")[1]["step"]
        assert last >= steps(config.folder) - 4
        assert status or f"Stopped after step {last:,}" in output
    assert not list(config.folder.rglob("*.tmp"))


@pytest.mark.slow
def test_a_run_killed_fifty_times_ends_as_one_that_was_not(config: TrainConfig, tmp_path: Path) -> None:
    """SIGKILL at any moment: it always goes on, loses at most one interval, leaves nothing behind, ends equal."""
    config = dataclasses.replace(config, max_steps=1500, val_every=3)
    whole, run = tmp_path / "whole", config.folder
    subprocess.run(
        command(dataclasses.replace(config, run_dir=str(whole))), cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )

    words = command(dataclasses.replace(config, resume=True))
    rng = random.Random(0)
    last = 0
    for _ in range(50):
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if "steps of 2 patches" in line:
                break
        time.sleep(rng.uniform(0, 1))
        process.kill()
        process.communicate()
        reached = load_newest(run / "checkpoints")[1]["step"] if checkpoint.checkpoints(run / "checkpoints") else 0
        assert reached >= max(last, steps(run) - 3)
        last = reached
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert same(load_newest(run / "checkpoints")[0], load_newest(whole / "checkpoints")[0])
    assert not list(run.rglob("*.tmp"))
    assert [line["step"] for line in history(run)] == [*range(3, 1501, 3)]  # each validation once


@pytest.mark.parametrize(
    ("trouble", "status", "sentence"),
    [
        ("", 2, "cannot be written: Permission denied"),
        ("checkpoints", 1, "The run cannot be written: Permission denied"),
        ("full disk", 1, "The run cannot be written: File too large"),
    ],
)
def test_a_run_that_cannot_be_written_ends_and_spoils_nothing(
    config: TrainConfig, trouble: str, status: int, sentence: str
) -> None:
    """A folder that is read-only, or a disk that fills in the middle of a file: what was there is whole, and said."""
    train(dataclasses.replace(config, max_steps=4), quiet())
    files = {path: path.read_bytes() for path in (config.folder / "checkpoints").iterdir()}
    before = load_newest(config.folder / "checkpoints")[0]

    guarded = [config.folder / trouble, *(config.folder / trouble).glob("*")] if trouble != "full disk" else []
    modes = {path: path.stat().st_mode for path in guarded}
    for path in guarded:
        path.chmod(0o555)
    try:
        if guarded:
            limit = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []  # root writes anywhere
        else:
            limit = ["prlimit", "--fsize=400000"]  # bytes: all fit but checkpoints
        if limit and not shutil.which(limit[0]):
            pytest.skip(f"needs {limit[0]}")
        words = [*limit, *command(dataclasses.replace(config, resume=True))]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert done.returncode == status, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in files} == files
    assert not list(config.folder.rglob("*.tmp"))
    assert same(load_newest(config.folder / "checkpoints")[0], before)
    assert train(dataclasses.replace(config, resume=True), quiet())["step"] in (4, 8)


def steps(run: Path) -> int:
    """Of the last validation."""
    return history(run)[-1]["step"] if history(run) else 0
