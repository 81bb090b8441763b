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

from sr_model.commands.train import train_main
from sr_model.training.checkpoint import load_newest
from sr_model.training.distributed import Group
from tests.distributed_worker import work

pytestmark = pytest.mark.long

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
    in_two_processes("work", photo_folder, both)
    one, two = load_file(alone), load_file(both)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert (value - two[name]).double().norm() <= 1e-6 * value.double().norm(), name


def in_two_processes(work: str, *arguments: Path) -> None:
    """Let two processes that torchrun starts do what tests.distributed_worker has under a name."""
    command = [*TORCHRUN, "-m", "tests.distributed_worker", work, *map(str, arguments)]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, timeout=600)


def test_processes_of_a_machine_share_their_photos(photo_folder: Path, tmp_path: Path) -> None:
    """One of two decodes; the other maps the same file and sees the same pixels."""
    in_two_processes("share", tmp_path)
    one, two = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert (one["decoded"], two["decoded"]) == ([4], [])
    assert one["sums"] == two["sums"]
    assert one["mapped"]
    assert two["mapped"]


@pytest.mark.parametrize("steps", [(4, 0), (4, 8)])
def test_processes_that_find_different_checkpoints_refuse(
    steps: tuple[int, int], photo_folder: Path, tmp_path: Path
) -> None:
    """One that finds none, or another step, would train another network: all of them end with what to do."""
    for rank, step in enumerate(steps):
        if step:
            arguments = train_arguments(photo_folder, tmp_path / str(rank))
            arguments[arguments.index("--batch-size") + 1] = "2"
            assert train_main([*arguments, "--max-steps", str(step)]) == 0
    in_two_processes("refuse", photo_folder, tmp_path)
    for rank in (0, 1):
        assert "Put --run-dir on a disk that all machines see" in (tmp_path / f"{rank}.txt").read_text()


def test_only_the_first_process_writes_and_speaks(photo_folder: Path, tmp_path: Path) -> None:
    """One line for each validation, one checkpoint folder, each message once; the result is a run like any other."""
    run = tmp_path / "run"
    command = [*TORCHRUN, "train.py", *train_arguments(photo_folder, run), "--max-steps", "8"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
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
    deadline = time.monotonic() + 600
    while not history.exists() or len(history.read_text().splitlines()) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    try:
        output, _ = process.communicate(timeout=600)
    finally:
        process.terminate()  # torchrun takes its workers with it
    assert process.returncode == 0
    assert "Resuming after step" in output
    assert json.loads(history.read_text().splitlines()[-1])["step"] == 120
