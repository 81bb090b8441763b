"""Training that can go on where it was stopped, on one process or on many."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch

from sr_model import checkpoint, data, distributed, figures, images, initial, run_data, run_folder, weights
from sr_model.architecture import summary
from sr_model.data import Photo
from sr_model.devices import supports_bfloat16
from sr_model.distributed import Group
from sr_model.errors import ConfigError, DataError
from sr_model.model import parameter_count
from sr_model.patches import Patches
from sr_model.picture_cache import PictureCache
from sr_model.progress import Progress
from sr_model.signals import stop_on_signal
from sr_model.state import State
from sr_model.train_config import TrainConfig, flag
from sr_model.training_step import Part, Plan, Stepper, batches, learning_rate
from sr_model.validation import Result, Validation

MAX_SKIPPED = 10  # steps in a row whose loss is no number
DRY_STEPS = 10  # of --dry-run, after one that warms up

# What may differ between a run and its resumption without making it another run.
_FREE_ON_RESUME = {
    "resume",
    "init",
    "run_dir",
    "epochs",
    "max_steps",
    "lr",
    "restarts",
    "grad_clip",
    "accumulate",
    "workers",
    "cache_gb",
    "device",
    "val_every",
    "data",
    "low_dir",
    "high_dir",
    "val_data",
    "dry_run",
}
# Paths of somebody's machine have no place on a card that is published.
_NOT_ON_THE_CARD = {
    "data",
    "low_dir",
    "high_dir",
    "val_data",
    "run_dir",
    "resume",
    "init",
    "device",
    "workers",
    "cache_gb",
    "dry_run",
}


def train(config: TrainConfig, log: Progress | None = None) -> dict[str, float]:
    """Train, validating now and then, and leave in `config.folder` what weights/ takes.

    Writes `<preset>-x<scale>.safetensors` and .json of the best validation, `samples.png`, `history.jsonl` (a line per
    validation), `tensorboard/` and `checkpoints/`. Returns the best validation: psnr, bicubic_psnr (dB) and step; with
    `dry_run` nothing is written and nothing returned. Started by torchrun, all processes train one network, and the
    first one writes. Raises ConfigError and DataError; Ctrl-C and SIGTERM end it after a checkpoint.
    """
    with distributed.join(config.device) as group, contextlib.ExitStack() as stack:
        log = log or Progress(quiet=not group.is_first)
        resume = config.resume or distributed.was_restarted()
        if group.is_first and not config.dry_run:
            stack.enter_context(run_folder.hold(config.folder, resume))
        group.wait()
        cache = stack.enter_context(PictureCache(config.folder / "cache", config.cache_gb * 1e9, group.rank))
        run = _Run(config, group, *run_data.load(config, log, cache), log)
        if resume and checkpoint.checkpoints(config.folder / "checkpoints"):
            run.resume()
        elif config.init:
            run.start_from(config.init)
        elif config.resume:
            log.say(f"There is no run in {config.folder} to go on with; it begins now.")
        if group.is_first and not config.dry_run:
            run_folder.cut_history(config.folder, run.state.step)
        run.announce()
        if config.dry_run:
            run.estimate()
            return {}
        with stop_on_signal() as stopping, log, run_folder.told():
            finished = run.loop(stopping)
            if group.is_first:
                run.close(finished)
        return run.state.best


class _Run:
    """A run under way: the state, and what it is trained and validated on."""

    def __init__(
        self, config: TrainConfig, group: Group, patches: Patches, pictures: list[Photo], log: Progress
    ) -> None:
        self.config, self.group, self.patches, self.log = config, group, patches, log
        self.device, self.folder = group.device, config.folder
        self.bfloat16 = config.precision == "bfloat16" or (
            config.precision == "auto" and supports_bfloat16(self.device)
        )
        self.state = State(config, self.device)
        self.stepper = Stepper(config, self.state, group, self.bfloat16)
        self.plan = Plan.of(config, len(patches))
        self.interval = min(config.val_every, self.plan.steps_per_epoch)
        self.validation = Validation(pictures, config, group)
        self.skipped = 0  # steps in a row
        self.board: Any = None  # TensorBoard's writer

    # What it goes on from.

    def checkpoint(self) -> None:
        if self.group.is_first:
            meta = self.state.values() | {"config": asdict(self.config), "patches": len(self.patches)}
            checkpoint.save(self.folder / "checkpoints", self.state.step, self.state.tensors(), meta)

    def resume(self) -> None:
        tensors, meta, complaints = checkpoint.load_newest(self.folder / "checkpoints")
        for complaint in complaints:
            self.log.warn(complaint)
        defaults = asdict(TrainConfig())  # for settings that are younger than the run
        for key, value in asdict(self.config).items():
            begun = meta["config"].get(key, defaults[key])
            if key not in _FREE_ON_RESUME and begun != _plain(value):
                raise ConfigError(
                    f"The run in {self.folder} was begun with {flag(key)} {begun}, not {value}. "
                    "Use the same, or another --run-dir."
                )
        if meta["patches"] != len(self.patches):
            raise ConfigError(
                f"The run in {self.folder} was begun on other photos ({meta['patches']} patches an epoch, now "
                f"{len(self.patches)}). Use the same --data, or another --run-dir."
            )
        self.state.load(tensors, meta)

    def start_from(self, source: str) -> None:
        model, card = initial.find(source, self.config.preset, self.config.scale)
        taken, left = initial.transfer(model, self.state.model)
        self.state.averaged.load_state_dict(self.state.model.state_dict())
        self.state.earlier = card.training
        name = weights.name(card.preset, card.scale)
        if left:
            self.log.say(f"Begun from {name}: {len(taken)} tensors are taken, these are new: {', '.join(left)}")
        else:
            self.log.say(f"Begun from {name}")
            self.state.best = self.validation(self.state.averaged).as_dict(step=0)

    # What is said.

    def announce(self) -> None:
        c = self.config
        side = c.patch_size
        self.log.say(summary(self.state.model, (side, side)))
        processes = f" in {self.group.size} processes" if self.group.size > 1 else ""
        self.log.say(
            f"{weights.name(c.preset, c.scale)}: {parameter_count(self.state.model):,} parameters, on "
            f"{self.device.type} in {'bfloat16' if self.bfloat16 else 'float32'}{processes}"
        )
        sets = ", ".join(f"{name} {count}" for name, count in run_data.sets(self.patches).items())
        self.log.say(
            f"{len(self.patches.photos)} photos for training ({sets}), "
            f"{len(self.validation.pictures)} for validation (bicubic: {self.validation.bicubic:.2f} dB)"
        )
        self.log.say(
            f"{self.plan.steps:,} steps of {c.batch_size} patches, {self.plan.steps_per_epoch:,} steps an epoch, "
            f"validation every {self.interval:,}; the run is kept in {self.folder}"
        )
        if self.state.step:
            self.log.say(f"Going on after step {self.state.step:,}")

    def estimate(self) -> None:
        """Say how long the run will take, from a few real steps and one validation; the folder is not touched."""
        done, warm = 0, time.monotonic()
        for done, parts in enumerate(self._batches()):
            self.stepper(parts, self.config.lr * 1e-3)
            if done == 0:
                warm = time.monotonic()  # the first step chooses algorithms
            if done == DRY_STEPS:
                break
        seconds = (time.monotonic() - warm) / max(1, done)
        began = time.monotonic()
        self.validation(self.state.averaged)
        validating = (time.monotonic() - began) * math.ceil(self.plan.steps / self.interval)
        hours = (seconds * (self.plan.steps - self.state.step) + validating) / 3600
        self.log.say(
            f"Dry run: {1 / seconds:.1f} steps a second, {self.config.batch_size / seconds:.0f} images a second; the "
            f"run would take {hours:.1f} hours, {validating / 3600:.1f} of them for validation. Nothing was written."
        )

    # The work.

    def loop(self, stopping: threading.Event) -> bool:
        """Train to the end, or until asked to stop; returns whether the end was reached."""
        state = self.state
        self._open_board()
        self.log.start(self.plan.steps, state.step, self.config.batch_size)
        began, before = time.monotonic(), state.seconds
        for parts in self._batches():
            loss = self._train_step(parts)
            state.step += 1
            state.seconds = before + time.monotonic() - began
            if state.step % 20 == 0 or state.step == self.plan.steps:
                self._report(loss)
            if state.step % self.interval == 0 or state.step == self.plan.steps:
                self._validation_round(loss)
                self.checkpoint()
            if self.group.any(stopping.is_set()):
                self.checkpoint()
                self.log.say(f"Stopped after step {state.step:,}; go on with --resume.")
                return False
        return True

    def _batches(self) -> Iterator[list[Part]]:
        return batches(self.config, self.patches, self.plan, self.group, self.state.step)

    def _train_step(self, parts: list[Part]) -> float:
        """Returns the loss. Raises DataError where steps could not be taken for too long."""
        loss, taken = self.stepper(parts, learning_rate(self.config, self.plan, self.state.step))
        self.skipped = 0 if taken else self.skipped + 1
        if not taken:
            self.log.warn(f"Step {self.state.step + 1:,} is skipped: its loss ({loss:.4g}) or gradient is no number.")
        if self.skipped == MAX_SKIPPED:
            self.checkpoint()
            raise DataError(
                f"{MAX_SKIPPED} steps in a row had a loss or gradient that is no number; the run ends with the weights "
                "before them. Go on with --resume and a lower --lr, or begin anew with --precision float32."
            )
        return loss

    def _report(self, loss: float) -> None:
        rate = self.state.optimizer.param_groups[0]["lr"]
        self.log.step(self.state.step, loss, rate)
        if self.board:
            self.board.add_scalar("loss", loss, self.state.step)
            self.board.add_scalar("learning rate", rate, self.state.step)
            for name, value in self.stepper.terms.items():
                self.board.add_scalar(f"loss/{name}", value, self.state.step)

    def _validation_round(self, loss: float) -> None:
        state = self.state
        result = self.validation(state.averaged)
        better = not state.best or result.is_better(state.best)
        if better:
            state.best = result.as_dict(state.step)
        self.log.validated(state.step, result.psnr, result.bicubic_psnr, better)
        if not self.group.is_first:
            return
        if better:
            self._keep(result)
        line = {
            "step": state.step,
            "epoch": round(state.step / self.plan.steps_per_epoch, 3),
            "loss": loss,
            "lr": state.optimizer.param_groups[0]["lr"],
            "val_psnr": result.psnr,
            "bicubic_psnr": result.bicubic_psnr,
            "hours": round(state.seconds / 3600, 4),
        }
        if result.distance is not None:
            line["val_distance"] = result.distance
        run_folder.append_history(self.folder, line)
        sheet = figures.sample_sheet(state.averaged, data.evenly(self.validation.pictures, 4))
        images.save(sheet, self.folder / "samples.png")
        if self.board:
            self.board.add_image("samples", images.to_tensor(images.from_pil(sheet).pixels)[0], state.step)
            self.board.add_scalar("validation/psnr", result.psnr, state.step)
            self.board.add_scalar("validation/above bicubic", result.psnr - result.bicubic_psnr, state.step)
            self.board.flush()

    def _keep(self, result: Result) -> None:
        """Write the averaged weights, as weights/ takes them."""
        state = self.state
        arguments = {k: _plain(v) for k, v in asdict(self.config).items() if k not in _NOT_ON_THE_CARD}
        training = {
            "arguments": arguments,
            "sets": run_data.sets(self.patches),
            "steps": state.step,
            "hours": round(state.seconds / 3600 + state.earlier.get("hours", 0), 2),
            "precision": "bfloat16" if self.bfloat16 else "float32",
            "torch": torch.__version__,
        }
        if state.earlier:
            training["earlier"] = state.earlier
        metrics = {
            "validation": {
                "pictures": len(self.validation.pictures),
                "psnr": round(result.psnr, 3),
                "bicubic_psnr": round(result.bicubic_psnr, 3),
            }
        }
        weights.save(state.averaged, self.config.preset, self.folder, training, metrics)

    def _open_board(self) -> None:
        if self.group.is_first:
            from torch.utils.tensorboard import SummaryWriter  # slow to import, and only needed here

            self.board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.state.step + 1)

    def close(self, finished: bool) -> None:
        """Say what has become of it."""
        self.board.close()
        best = self.state.best
        if finished and best:
            self.log.say(
                f"Best validation: {best['psnr']:.2f} dB at step {best['step']:,} (bicubic "
                f"{best['bicubic_psnr']:.2f}). The weights and samples.png are in {self.folder}"
            )


def _plain(value: Any) -> Any:
    """As json gives it back."""
    return list(value) if isinstance(value, tuple) else value
