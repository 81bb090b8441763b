"""Training runs that take a second, and how to stop and compare them."""

import dataclasses
import io
import itertools
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from sr_model.training import folder
from sr_model.training.config import TrainConfig, flag
from sr_model.training.progress import Progress
from sr_model.training.step import Part, Stepper

ROOT = Path(__file__).parent.parent


def tiny_config(photos: Path, run: Path) -> TrainConfig:
    """Eight steps of the smallest network, within an epoch, with a validation in the middle and one at the end."""
    return TrainConfig(
        preset="nano",
        data=(str(photos),),
        max_steps=8,
        batch_size=2,
        patch_size=16,
        warmup_steps=2,
        val_every=4,
        run_dir=str(run),
        device="cpu",
    )


def command(config: TrainConfig) -> list[str]:
    """The command line of a run."""
    words = [sys.executable, "train.py"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name == "data":
            words += [word for source in value for word in (flag("data"), source)]
        elif value is True:
            words.append(flag(field.name))
        elif value is not None and value is not False:
            words += [flag(field.name), str(value)]
    return words


def quiet() -> Progress:
    return Progress(Console(file=io.StringIO()))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bitwise."""
    assert one.keys() == other.keys()
    return all(torch.equal(one[key], other[key]) for key in one)


def history(run: Path) -> list[dict[str, Any]]:
    """The validations that a run has written down; a line that is being written is none yet."""
    file = run / folder.HISTORY
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def stop_after(patch: pytest.MonkeyPatch, stop: int) -> None:
    """Deliver SIGTERM in step `stop` of those to come, as a machine that is shut down does."""
    original = Stepper.__call__
    calls = itertools.count(1)

    def step(self: Stepper, parts: list[Part], rate: float, teaching: float) -> tuple[float, bool]:
        if next(calls) == stop:
            signal.raise_signal(signal.SIGTERM)
        return original(self, parts, rate, teaching)

    patch.setattr(Stepper, "__call__", step)
