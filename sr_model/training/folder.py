"""The run folder: who holds it, and the files that a run writes for people to look at."""

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
    """Lock the folder for this run; the lock is released when the process dies.

    Raises ConfigError if another run holds it, if it contains a run that is not to be resumed, and if it cannot be
    written.
    """

    def busy() -> None:
        raise ConfigError(f"Another process is training in {folder}. Wait for it to end, or choose another --run-dir.")

    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / LOCK, busy))
        except OSError as error:
            raise ConfigError(f"--run-dir {folder} cannot be written: {error.strerror}.") from None
        if checkpoint.checkpoints(folder / "checkpoints") and not resume:
            raise ConfigError(f"{folder} already holds a run. Continue it with --resume, or choose another --run-dir.")
        with told():
            for place in (folder, folder / "checkpoints"):
                remove_leftovers(place)
        yield


@contextmanager
def told() -> Iterator[None]:
    """Turn a failed write into a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The run cannot be written: {error.strerror} ({error.filename}). Everything written before is intact; "
            "free some space, and continue with --resume."
        ) from None


def append_history(folder: Path, line: dict[str, Any]) -> None:
    """Append a validation to history.jsonl."""
    with open(folder / HISTORY, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def cut_history(folder: Path, step: int) -> None:
    """Remove validations after `step`: a run that resumes there makes them again."""
    file = folder / HISTORY
    if file.exists():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _step(line) <= step]
        if kept != lines:
            write_atomically(file, "".join(kept).encode())


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a partial line, from a full disk or a crash
        return float("inf")


class Output:
    """Writes into a run's folder. Only rank 0 has one."""

    def __init__(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only needed here

        self.run = run
        self.board = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.state.step + 1)

    def step(self) -> None:
        """Log the last step to TensorBoard."""
        state = self.run.state
        self.board.add_scalar("loss", state.loss, state.step)
        self.board.add_scalar("learning rate", self.run.rate, state.step)
        for name, value in self.run.stepper.terms.items():
            self.board.add_scalar(f"loss/{name}", value, state.step)

    def validated(self, result: Result, better: bool) -> None:
        """Write a line of history, samples, and the averaged weights if they are the best so far."""
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
        """Write the averaged weights in the format of weights/."""
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
        """Close the TensorBoard log."""
        self.board.close()
