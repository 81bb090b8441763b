"""Training that can go on where it was stopped."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from sr_model import augment, checkpoint, data, figures, images, presets, weights
from sr_model.data import ListedFile, Photo, Preparation
from sr_model.degrade import enlarge
from sr_model.devices import choose_device, supports_bfloat16
from sr_model.errors import ConfigError, DataError
from sr_model.files import remove_leftovers
from sr_model.losses import LOSSES
from sr_model.metrics import score
from sr_model.model import parameter_count
from sr_model.networks import Network, build
from sr_model.patches import Patches, to_batch
from sr_model.progress import Progress
from sr_model.signals import stop_on_signal
from sr_model.train_config import TrainConfig, flag

Tensors = list[Tensor] | tuple[Tensor, ...]

BUNDLED_PHOTOS = Path(__file__).parent.parent / "examples"


# What may differ between a run and its resumption without making it another run.
_FREE_ON_RESUME = {
    "resume",
    "init",
    "run_dir",
    "epochs",
    "max_steps",
    "lr",
    "grad_clip",
    "device",
    "val_every",
    "data",
    "low_dir",
    "high_dir",
    "val_data",
}


def train(config: TrainConfig, log: Progress | None = None) -> dict[str, float]:
    """Train, validating now and then, and leave in `config.folder` what weights/ takes.

    Writes `<preset>-x<scale>.safetensors` and .json of the best validation, `samples.png` (low, bicubic, prediction,
    original), `history.jsonl` (a line per validation) and `checkpoints/`. Returns the best validation:
    psnr, bicubic_psnr (dB) and step. Raises ConfigError and DataError; Ctrl-C and SIGTERM end it after a checkpoint.
    """
    log = log or Progress()
    _check_folder(config)
    device = choose_device(config.device)
    patches, validation, sets = _load_data(config, log)
    run = _Run(config, device, patches, validation, sets, log)
    if config.resume:
        run.resume()
    elif config.init:
        run.start_from(config.init)
    run.announce()
    with stop_on_signal() as stopping, log:
        run.loop(stopping)
    return run.finish()


class _Run:
    """The state that lives on between steps."""

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        patches: Patches,
        validation: list[Photo],
        sets: dict[str, int],
        log: Progress,
    ) -> None:
        self.config, self.device, self.patches, self.validation, self.log = config, device, patches, validation, log
        self.sets = sets
        self.folder = config.folder
        self.bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and supports_bfloat16(device))
        self.model = build(presets.config(config.preset, config.scale, config.network), config.seed)
        self.model = self.model.to(device).to(memory_format=torch.channels_last)  # twice as fast on a CPU
        self.ema = AveragedModel(self.model, multi_avg_fn=running_mean(config.ema))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr, fused=True)
        self.loss = LOSSES[config.loss]
        self.steps_per_epoch = math.ceil(len(patches) / config.batch_size)
        self.total_steps = config.max_steps or config.epochs * self.steps_per_epoch
        self.interval = min(config.val_every, self.steps_per_epoch)
        self.step = 0
        self.seconds = 0.0  # of training, over all resumptions
        self.best: dict[str, float] = {}
        self.earlier: dict[str, Any] = {}  # the training of the weights that the run began with, as their card has it
        self.bicubic = self._validate(None)

    # The state as tensors and plain values, for checkpoints.

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        tensors |= {f"ema.{key}": value for key, value in self.ema.state_dict().items()}
        for index, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in entry.items()}
        return tensors

    def checkpoint(self) -> None:
        meta = {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "earlier": self.earlier,
            "config": asdict(self.config),
            "patches": len(self.patches),
        }
        checkpoint.save(self.folder / "checkpoints", self.step, self._tensors(), meta)

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
        self.model.load_state_dict(_part(tensors, "model."))
        self.ema.load_state_dict(_part(tensors, "ema."))
        state = self.optimizer.state_dict()
        parameters = list(self.model.parameters())
        for key, value in _part(tensors, "optimizer.").items():
            index, _, entry = key.partition(".")
            if value.dim():
                # The fused optimizer walks memory: its means must lie there as the parameter does, channels last.
                value = torch.empty_like(parameters[int(index)], dtype=value.dtype).copy_(value)
            state["state"].setdefault(int(index), {})[entry] = value
        self.optimizer.load_state_dict(state)
        self.step, self.seconds, self.best = meta["step"], meta["seconds"], meta["best"]
        self.earlier = meta.get("earlier", {})

    def start_from(self, folder: str) -> None:
        model, card = weights.load(self.config.preset, self.config.scale, folder)
        self.earlier = card.training
        self.model.load_state_dict(model.state_dict())
        self.ema.module.load_state_dict(model.state_dict())
        self.best = {"psnr": self._validate(self.ema.module), "bicubic_psnr": self.bicubic, "step": 0}

    # What is said.

    def announce(self) -> None:
        c = self.config
        self.log.say(
            f"{weights.name(c.preset, c.scale)}: {parameter_count(self.model):,} parameters, on "
            f"{self.device.type} in {'bfloat16' if self.bfloat16 else 'float32'}"
        )
        self.log.say(
            f"{len(self.patches.photos)} photos for training ({', '.join(f'{k} {n}' for k, n in self.sets.items())}), "
            f"{len(self.validation)} for validation (bicubic: {self.bicubic:.2f} dB)"
        )
        self.log.say(
            f"{self.total_steps:,} steps of {c.batch_size} patches, {self.steps_per_epoch:,} steps an epoch, "
            f"validation every {self.interval:,}; the run is kept in {self.folder}"
        )
        if self.step:
            self.log.say(f"Going on after step {self.step:,}")

    # The work.

    def loop(self, stopping: threading.Event) -> None:
        self.log.start(self.total_steps, self.step, self.config.batch_size)
        began, before = time.monotonic(), self.seconds
        for low, high in self._batches():
            self._set_learning_rate()
            loss = self._train_step(low, high)
            self.step += 1
            self.seconds = before + time.monotonic() - began
            if self.step % 20 == 0 or self.step == self.total_steps:
                self.log.step(self.step, loss.item(), self.optimizer.param_groups[0]["lr"])
            if self.step % self.interval == 0 or self.step == self.total_steps:
                self._validation_round(loss.item())
                self.checkpoint()
            if stopping.is_set():
                self.checkpoint()
                self.log.say(f"Stopped after step {self.step:,}; go on with --resume.")
                return

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while self.step < self.total_steps:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            self.patches.epoch = epoch
            order = self.patches.order(epoch)[done * self.config.batch_size :]
            for low, high in DataLoader(self.patches, self.config.batch_size, sampler=order):
                if self.step == self.total_steps:
                    return
                yield to_batch(low.to(self.device)), to_batch(high.to(self.device))

    def _set_learning_rate(self) -> None:
        """Linear warm-up, then a cosine to 0 (Loshchilov and Hutter 2017), as a function of the step alone."""
        c = self.config
        rise = min(1.0, (self.step + 1) / (c.warmup_steps + 1))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self.total_steps)))
        for group in self.optimizer.param_groups:
            group["lr"] = c.lr * rise * fall

    def _train_step(self, low: Tensor, high: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            prediction = self.model(low)
        loss = self.loss(prediction.float(), high)
        if not torch.isfinite(loss):
            raise DataError(
                f"The loss is {loss.item()} at step {self.step}; nothing was saved since the last checkpoint. "
                "Try a lower --lr, or --precision float32."
            )
        loss.backward()
        if self.config.grad_clip:
            # At a high learning rate one odd batch can throw the weights off for good.
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        self.optimizer.step()
        self.ema.update_parameters(self.model)
        return loss.detach()

    def _validate(self, model: Network | torch.nn.Module | None) -> float:
        """Mean PSNR over the validation pictures, of a model or, for None, of bicubic."""
        total = 0.0
        with torch.inference_mode():
            for photo in self.validation:
                low = images.to_tensor(photo.low).to(self.device)
                high = images.to_tensor(photo.high).to(self.device)
                result = enlarge(low, self.config.scale) if model is None else model(low)
                total += score(result, high, self.config.scale)[0]
        return total / len(self.validation)

    def _validation_round(self, loss: float) -> None:
        psnr = self._validate(self.ema.module)
        entry = {"psnr": psnr, "bicubic_psnr": self.bicubic, "step": self.step}
        better = not self.best or psnr > self.best["psnr"]
        if better:
            self.best = entry
            self._keep()
        line = {
            "step": self.step,
            "epoch": round(self.step / self.steps_per_epoch, 3),
            "loss": loss,
            "lr": self.optimizer.param_groups[0]["lr"],
            "val_psnr": psnr,
            "bicubic_psnr": self.bicubic,
            "hours": round(self.seconds / 3600, 4),
        }
        with open(self.folder / "history.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        self.log.validated(self.step, psnr, self.bicubic, better)

    def _keep(self) -> None:
        """Write the averaged weights, as weights/ takes them."""
        arguments = {k: _plain(v) for k, v in asdict(self.config).items() if k not in _NOT_ON_THE_CARD}
        training = {
            "arguments": arguments,
            "sets": self.sets,
            "steps": self.step,
            "hours": round(self.seconds / 3600 + self.earlier.get("hours", 0), 2),
            "precision": "bfloat16" if self.bfloat16 else "float32",
            "torch": torch.__version__,
        }
        if self.earlier:
            training["earlier"] = self.earlier
        metrics = {
            "validation": {
                "pictures": len(self.validation),
                "psnr": round(self.best["psnr"], 3),
                "bicubic_psnr": round(self.bicubic, 3),
            }
        }
        averaged = cast(Network, self.ema.module)
        weights.save(averaged, self.config.preset, self.folder, training, metrics)

    def finish(self) -> dict[str, float]:
        if self.best and (self.folder / f"{weights.name(self.config.preset, self.config.scale)}.json").exists():
            best, _ = weights.load(self.config.preset, self.config.scale, self.folder)
            sheet = figures.sample_sheet(best.to(self.device), data.evenly(self.validation, 4))
            images.save(sheet, self.folder / "samples.png")
            self.log.say(
                f"Best validation: {self.best['psnr']:.2f} dB at step {self.best['step']:,} "
                f"(bicubic {self.bicubic:.2f}). Weights and samples.png are in {self.folder}"
            )
        return self.best


def running_mean(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """For AveragedModel: an exponential mean that forgets the random first weights quickly, whatever the decay.

    After n updates the decay is at most (1 + n) / (10 + n), so that short runs are averaged over a part of them.
    """

    def update(averaged: Tensors, current: Tensors, updates: Tensor | int) -> None:
        n = int(updates)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


# Paths of somebody's machine have no place on a card that is published.
_NOT_ON_THE_CARD = {"data", "low_dir", "high_dir", "val_data", "run_dir", "resume", "init", "device"}


def _check_folder(config: TrainConfig) -> None:
    begun = checkpoint.checkpoints(config.folder / "checkpoints")
    if begun and not config.resume:
        raise ConfigError(
            f"{config.folder} holds a run already. Go on with it by --resume, or name another folder by --run-dir."
        )
    try:
        config.folder.mkdir(parents=True, exist_ok=True)
        for folder in (config.folder, config.folder / "checkpoints"):
            remove_leftovers(folder)
    except OSError as error:
        raise ConfigError(f"--run-dir {config.folder} cannot be written: {error.strerror}.") from None


def _load_data(config: TrainConfig, log: Progress) -> tuple[Patches, list[Photo], dict[str, int]]:
    def listed(sources: Sequence[str | Path]) -> list[ListedFile]:
        return data.list_files(sources, config.scale, log.warn, log.say, config.low_dir, config.high_dir)

    files = listed(config.data or (BUNDLED_PHOTOS,))
    if config.val_data:
        training, held_out = files, listed((config.val_data,))
    else:
        training, held_out = data.split(files, config.val_fraction, config.seed)
    log.say(f"Reading {len(training):,} photos for training and {len(held_out):,} for validation")
    # Training makes low resolution anew for each patch, where it is not bicubic.
    how = Preparation(config.scale, config.min_side, resize=config.resize, seed=config.seed)
    photos = data.load_photos(training, how, log.warn)
    chosen = data.evenly(held_out, data.VALIDATION_PICTURES)
    # Always of one seed: runs with others are compared on the same pictures.
    how = Preparation(config.scale, 4 * config.scale, data.VALIDATION_SIDE, config.resize, config.degradation)
    validation = data.load_photos(chosen, how, log.warn)
    sets: dict[str, int] = {}
    for photo in photos:
        sets[photo.set_name] = sets.get(photo.set_name, 0) + 1
    augmentation = augment.parse(config.augment)
    patches = Patches(photos, config.patch_size, config.scale, config.seed, config.degradation, augmentation)
    return patches, validation, sets


def _plain(value: Any) -> Any:
    """As json gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
