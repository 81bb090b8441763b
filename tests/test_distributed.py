import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sr_model.training.checkpoint import load_newest
from sr_model.training.distributed import Group
from tests.distributed_worker import work

ROOT = Path(__file__).parent.parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# By default processes that are started again find the addresses of those before them in torchrun's store.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def train_arguments(photo_folder: Path, run: Path) -> list[str]:
    # Batches of 3 cannot be shared equally, and the last of an epoch is smaller still.
    arguments = ["--preset", "nano", "--data", str(photo_folder), "--batch-size", "3", "--patch-size", "16"]
    return [*arguments, "--val-every", "4", "--device", "cpu", "--run-dir", str(run)]


def test_two_processes_are_one(photo_folder: Path, tmp_path: Path) -> None:
    """Gradients of a step, and weights after 20 steps over epochs that do not divide, equal those of one process."""
    alone, both = tmp_path / "alone.safetensors", tmp_path / "both.safetensors"
    work(Group(torch.device("cpu")), photo_folder, alone)
    command = [*TORCHRUN, "-m", "tests.distributed_worker", str(photo_folder), str(both)]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, timeout=120)
    one, two = load_file(alone), load_file(both)
    assert one.keys() == two.keys()
    for name, value in one.items():
        # Adam makes as large a step of a tiny gradient as of a large one, rounding errors included.
        allowed = 1e-5 if name.startswith("gradient") else 5e-3
        assert (value - two[name]).float().norm() <= allowed * value.float().norm(), name


def test_only_the_first_process_writes_and_speaks(photo_folder: Path, tmp_path: Path) -> None:
    """One line for each validation, one checkpoint folder, each message once; the result is a run like any other."""
    run = tmp_path / "run"
    command = [*TORCHRUN, "train.py", *train_arguments(photo_folder, run), "--max-steps", "8"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("in 2 processes") == 1
    assert done.stdout.count("Best validation") == 1
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 8
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})
    assert load_newest(run / "checkpoints")[1]["step"] == 8


@pytest.mark.slow
def test_a_killed_worker_is_replaced(photo_folder: Path, tmp_path: Path) -> None:
    """torchrun starts the processes again, and the run goes on from its last checkpoint to its end."""
    run = tmp_path / "run"
    command = [*TORCHRUN, "--max-restarts", "2", "train.py", *train_arguments(photo_folder, run), "--max-steps", "120"]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    history = run / "history.jsonl"
    deadline = time.monotonic() + 90
    while not history.exists() or len(history.read_text().splitlines()) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    try:
        output, _ = process.communicate(timeout=180)
    finally:
        process.terminate()  # torchrun takes its workers with it
    assert process.returncode == 0
    assert "Going on after step" in output
    assert json.loads(history.read_text().splitlines()[-1])["step"] == 120
