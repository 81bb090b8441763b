"""The state of a run, and checkpoints from which it resumes bit for bit: atomic, verified on reading."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sr_model.errors import DataError
from sr_model.losses import discriminator
from sr_model.losses.discriminator import Discriminator
from sr_model.networks import Network, build, presets
from sr_model.system.files import write_atomically
from sr_model.training import optimizers
from sr_model.training.config import TrainConfig

Tensors = list[Tensor] | tuple[Tensor, ...]


class State:
    """The networks, their optimizers and the step; everything else in a run follows from these and its config."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        # Channels last is twice as fast on a CPU.
        network = build(presets.config(config.preset, config.scale, config.network), config.seed)
        self.model: Network = network.to(device).to(memory_format=torch.channels_last)
        self.ema = AveragedModel(self.model, multi_avg_fn=running_mean(config.ema))
        self.optimizers = optimizers.build(self.model, config.optimizer, config.lr)
        self.discriminator: Discriminator | None = None
        self.discriminator_optimizer: torch.optim.Adam | None = None
        if config.adversarial:
            judge = discriminator.build(config.seed)
            self.discriminator = judge.to(device).to(memory_format=torch.channels_last)
            self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=config.lr)
        self.step = 0
        self.seconds = 0.0  # of training, including before resuming
        self.loss = 0.0  # of the last step
        self.validated = 0  # the step of the last validation
        self.best: dict[str, float] = {}
        self.earlier: dict[str, Any] = {}  # how the initial weights were trained, from their card

    @property
    def averaged(self) -> Network:
        """The exponential moving average (EMA) of the network, which is what is validated and kept."""
        return cast(Network, self.ema.module)

    def tensors(self) -> dict[str, Tensor]:
        """The networks' weights and the optimizers' moments, by name."""
        tensors = _named("model", self.model) | _named("ema", self.ema)
        for name, optimizer in self.optimizers.items():
            tensors |= _moments(name, optimizer)
        if self.discriminator and self.discriminator_optimizer:
            tensors |= _named("discriminator", self.discriminator)
            tensors |= _moments("discriminator_optimizer", self.discriminator_optimizer)
        return tensors

    def values(self) -> dict[str, Any]:
        """Everything but the tensors, as json takes it."""
        names = ("step", "seconds", "loss", "validated", "best", "earlier")
        return {name: getattr(self, name) for name in names}

    def load(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Restore what `tensors` and `values` returned."""
        self.model.load_state_dict(_part(tensors, "model."))
        self.ema.load_state_dict(_part(tensors, "ema."))
        for name, optimizer in self.optimizers.items():
            _load_moments(optimizer, _part(tensors, f"{name}."))
        if self.discriminator and self.discriminator_optimizer:
            self.discriminator.load_state_dict(_part(tensors, "discriminator."))
            moments = _part(tensors, "discriminator_optimizer.")
            _load_moments(self.discriminator_optimizer, moments)
        self.step, self.seconds, self.best = values["step"], values["seconds"], values["best"]
        self.earlier = values.get("earlier", {})
        # Checkpoints from before these existed lack them, and were written after validation.
        self.loss, self.validated = values.get("loss", 0.0), values.get("validated", self.step)


def running_mean(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """For AveragedModel: an exponential moving average that soon forgets the random initial weights, at any decay.

    After n updates the decay is at most (1 + n) / (10 + n), so short runs are averaged over a part of their length.
    """

    def update(averaged: Tensors, current: Tensors, updates: Tensor | int) -> None:
        n = int(updates)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


def _named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{key}": value for key, value in module.state_dict().items()}


def _moments(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{prefix}.{i}.{key}": value for i, entry in state.items() for key, value in entry.items()}


def _load_moments(optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    state = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, value in moments.items():
        index, _, entry = key.partition(".")
        if value.dim():
            # The fused optimizer needs its moments in the memory layout of the parameter, channels last.
            value = torch.empty_like(parameters[int(index)], dtype=value.dtype).copy_(value)
        state["state"].setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict(state)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


KEEP = 2  # the newest, and the one before in case the newest is damaged


def save(folder: Path, step: int, tensors: dict[str, Tensor], meta: dict[str, Any]) -> Path:
    """Write `step-<step>.safetensors` with its sha256 beside it, then delete all but the newest KEEP."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.safetensors"
    data = save_tensors(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
        metadata={"meta": json.dumps(meta)},
    )
    checksum = path.with_suffix(".sha256")
    # If a checkpoint of this step is replaced, its digest is kept as the second.
    replaced = checksum.read_bytes().split()[:1] if path.exists() and checksum.exists() else []
    # The checksum first: a crash between the two leaves no checkpoint, or the old one, but never one without a
    # checksum.
    write_atomically(checksum, b"\n".join([hashlib.sha256(data).hexdigest().encode(), *replaced]))
    write_atomically(path, data)
    for old in checkpoints(folder)[:-KEEP]:
        old.unlink()
        old.with_suffix(".sha256").unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """All checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def load_newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """Tensors and meta of the newest intact checkpoint, and a sentence for each newer, damaged one.

    Raises DataError if there is none.
    """
    complaints: list[str] = []
    for path in reversed(checkpoints(folder)):
        try:
            data = path.read_bytes()
            digests = path.with_suffix(".sha256").read_text().split()
            if hashlib.sha256(data).hexdigest() not in digests:
                raise ValueError("it does not match its sha256")
            header_size = int.from_bytes(data[:8], "little")
            meta = json.loads(json.loads(data[8 : 8 + header_size])["__metadata__"]["meta"])
            return load_tensors(data), meta, complaints
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            complaints.append(f"Checkpoint {path.name} is damaged ({error}); the one before it is used.")
    raise DataError(
        f"There is no intact checkpoint in {folder} to resume from. {' '.join(complaints)} "
        "Start the run without --resume, or point --run-dir at a run that has one."
    )
