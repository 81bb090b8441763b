"""The folder that a run writes to: whose it is, and what is in it for people to look at."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from sr_model import data, figures
from sr_model.errors import ConfigError, DataError
from sr_model.imaging import images
from sr_model.models import weights
from sr_model.system.files import remove_leftovers, write_atomically
from sr_model.system.lock import locked
from sr_model.training import checkpoint
from sr_model.training.run import Run, photo_sets
from sr_model.training.validation import Result

LOCK = "lock"
HISTORY = "history.jsonl"


@contextmanager
def hold(folder: Path, resume: bool) -> Iterator[None]:
    """Make the folder this run's own until the end; the lock of a process that has died holds nobody.

    Raises ConfigError where another run holds it, where it holds a run already that is not to be resumed, and where it
    cannot be written.
    """

    def busy() -> None:
        raise ConfigError(f"Another process is training in {folder} now. Wait for its end, or name another --run-dir.")

    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / LOCK, busy))
        except OSError as error:
            raise ConfigError(f"--run-dir {folder} cannot be written: {error.strerror}.") from None
        if checkpoint.checkpoints(folder / "checkpoints") and not resume:
            raise ConfigError(
                f"{folder} holds a run already. Go on with it by --resume, or name another folder by --run-dir."
            )
        with told():
            for place in (folder, folder / "checkpoints"):
                remove_leftovers(place)
        yield


@contextmanager
def told() -> Iterator[None]:
    """Turn a failure to write into a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The run cannot be written: {error.strerror} ({error.filename}). What was written before is whole; "
            "make room, and go on with --resume."
        ) from None


def append_history(folder: Path, line: dict[str, Any]) -> None:
    """Add a validation to history.jsonl."""
    with open(folder / HISTORY, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def cut_history(folder: Path, step: int) -> None:
    """Forget validations after `step`: a run that goes on from there makes them again."""
    file = folder / HISTORY
    if file.exists():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _step(line) <= step]
        if kept != lines:
            write_atomically(file, "".join(kept).encode())


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # half a line, from a full disk or a lost machine
        return float("inf")


class Output:
    """Writes into a run's folder. Only the first process of a run has one."""

    def __init__(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only needed here

        self.run = run
        self.board = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.state.step + 1)

    def step(self) -> None:
        """Points on the curves, for the last step."""
        state = self.run.state
        self.board.add_scalar("loss", state.loss, state.step)
        self.board.add_scalar("learning rate", self.run.rate, state.step)
        for name, value in self.run.stepper.terms.items():
            self.board.add_scalar(f"loss/{name}", value, state.step)

    def validated(self, result: Result, better: bool) -> None:
        """A line of history, samples, and the averaged weights where they are the best so far."""
        run, state = self.run, self.run.state
        if better:
            self._keep(result)
        line = {
            "step": state.step,
            "epoch": round(state.step / run.plan.steps_per_epoch, 3),
            "loss": state.loss,
            "lr": run.rate,
            "val_psnr": result.psnr,
            "bicubic_psnr": result.bicubic_psnr,
            "hours": round(state.seconds / 3600, 4),
        }
        if result.distance is not None:
            line["val_distance"] = result.distance
        append_history(run.folder, line)
        sheet = figures.sample_sheet(state.averaged, data.evenly(run.validation.pictures, 4))
        images.save(sheet, run.folder / "samples.png")
        self.board.add_image("samples", images.to_tensor(images.from_pil(sheet).pixels)[0], state.step)
        self.board.add_scalar("validation/psnr", result.psnr, state.step)
        self.board.add_scalar("validation/above bicubic", result.psnr - result.bicubic_psnr, state.step)
        self.board.flush()

    def _keep(self, result: Result) -> None:
        """Write the averaged weights, as weights/ takes them."""
        run, state = self.run, self.run.state
        training = {
            "arguments": run.config.for_card(),
            "sets": photo_sets(run.patches),
            "steps": state.step,
            "hours": round(state.seconds / 3600 + state.earlier.get("hours", 0), 2),
            "precision": "bfloat16" if run.bfloat16 else "float32",
            "torch": torch.__version__,
        }
        if state.earlier:
            training["earlier"] = state.earlier
        metrics = {
            "validation": {
                "pictures": len(run.validation.pictures),
                "psnr": round(result.psnr, 3),
                "bicubic_psnr": round(result.bicubic_psnr, 3),
            }
        }
        weights.save(state.averaged, run.config.preset, run.folder, training, metrics)

    def close(self) -> None:
        """No more points come."""
        self.board.close()
