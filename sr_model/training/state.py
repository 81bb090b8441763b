"""All that a run must keep to go on bit for bit, as tensors and plain values."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sr_model import discriminator, presets
from sr_model.discriminator import Discriminator
from sr_model.networks import Network, build
from sr_model.training import optimizers
from sr_model.training.config import TrainConfig

Tensors = list[Tensor] | tuple[Tensor, ...]


class State:
    """The networks, their optimizers and the step; everything else of a run is a function of these and its config."""

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
        self.seconds = 0.0  # of training, over all resumptions
        self.loss = 0.0  # of the last step
        self.validated = 0  # the step of the last validation
        self.best: dict[str, float] = {}
        self.earlier: dict[str, Any] = {}  # the training of the weights that the run began with, as their card has it

    @property
    def averaged(self) -> Network:
        """The running mean of the network, which is what is validated and kept."""
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
        """What goes into json beside the tensors."""
        names = ("step", "seconds", "loss", "validated", "best", "earlier")
        return {name: getattr(self, name) for name in names}

    def load(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Take what `tensors` and `values` have given."""
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
        # Checkpoints that are older than these say nothing of them, and were written after validation.
        self.loss, self.validated = values.get("loss", 0.0), values.get("validated", self.step)


def running_mean(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """For AveragedModel: an exponential mean that forgets the random first weights quickly, whatever the decay.

    After n updates the decay is at most (1 + n) / (10 + n), so that short runs are averaged over a part of them.
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
            # The fused optimizer walks memory: its means must lie there as the parameter does, channels last.
            value = torch.empty_like(parameters[int(index)], dtype=value.dtype).copy_(value)
        state["state"].setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict(state)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
