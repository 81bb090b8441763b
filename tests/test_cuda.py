"""What only a CUDA device can show: `python -m pytest tests/test_cuda.py` on a machine that has one."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sr_model import Upscaler
from sr_model.inference.engines import TorchEngine
from sr_model.models import weights
from sr_model.networks import Network
from sr_model.training import TrainConfig, train
from sr_model.training.checkpoint import load_newest
from tests.tiny_run import ROOT, quiet, stop_after, tiny_config

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CUDA = torch.device("cuda")


@pytest.fixture
def config(photo_folder: Path, tmp_path: Path) -> TrainConfig:
    return dataclasses.replace(tiny_config(photo_folder, tmp_path / "run"), device="cuda")


@pytest.mark.parametrize(("preset", "scale"), weights.available())
def test_the_gpu_s_pictures_are_the_cpu_s(preset: str, scale: int, photo: Image.Image) -> None:
    """Each shipped network agrees within a level, in half precision or not, whole and in tiles."""
    small = photo.crop((0, 0, 97, 65))
    expected = np.asarray(Upscaler.from_preset(preset, scale, "cpu", engine="torch")(small)).astype(int)
    for tile in (0, 32):
        result = np.asarray(Upscaler.from_preset(preset, scale, "cuda", tile=tile)(small))
        assert np.abs(result - expected).max() <= 1


def test_half_precision_is_used() -> None:
    """By at least one shipped network: else the test above has not seen it."""
    engines = [Upscaler.from_preset(preset, scale, "cuda").engine for preset, scale in weights.available()]
    assert any(isinstance(engine, TorchEngine) and engine.half for engine in engines)


def test_tiles_are_halved_until_they_fit(monkeypatch: pytest.MonkeyPatch, model: Network) -> None:
    """CUDA's own error of memory, raised by the real allocator, ends in smaller tiles and the same picture."""
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    expected = Upscaler(model, "cuda", tile=32)(picture)
    body = model.body

    def greedy(x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] > 64:
            torch.empty(2**50, device=CUDA)
        return body(x)

    monkeypatch.setattr(model, "body", greedy)
    assert np.abs(Upscaler(model, "cuda", tile=128)(picture).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_learns(config: TrainConfig, optimizer: str, precision: str) -> None:
    """A hundred steps make the network better than bicubic, and every weight is a number."""
    config = dataclasses.replace(config, max_steps=100, val_every=100, optimizer=optimizer, precision=precision)
    best = train(config, quiet())
    assert best["psnr"] > best["bicubic_psnr"]
    tensors = load_newest(config.folder / "checkpoints")[0]
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_a_resumed_run_ends_as_an_uninterrupted_one(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As near as CUDA's own sums, whose order changes from run to run, allow."""
    config = dataclasses.replace(config, precision="float32")
    train(config, quiet())
    whole = load_newest(config.folder / "checkpoints")[0]
    stopping = dataclasses.replace(config, run_dir=str(tmp_path / "stopped"))
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 4)
        train(stopping, quiet())
    train(dataclasses.replace(stopping, resume=True), quiet())
    resumed = load_newest(stopping.folder / "checkpoints")[0]
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.allclose(resumed[name], value, rtol=1e-2, atol=1e-4), name


def test_nccl_with_one_process(photo_folder: Path, tmp_path: Path) -> None:
    """torchrun's way through NCCL and back, to weights on disk."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "train.py"]
    command += ["--preset", "nano", "--data", str(photo_folder), "--batch-size", "2", "--patch-size", "16"]
    command += ["--max-steps", "4", "--val-every", "4", "--device", "cuda", "--run-dir", str(tmp_path / "run")]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, timeout=300)
    assert load_file(tmp_path / "run" / "nano-x2.safetensors")
