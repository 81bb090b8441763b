"""One step of training: its patches, its loss, its gradients."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sr_model.data.patches import Patches, to_batch
from sr_model.losses import Loss
from sr_model.losses.discriminator import discriminator_loss, generator_loss
from sr_model.training.checkpoint import State
from sr_model.training.config import TrainConfig
from sr_model.training.distributed import Group

# Peak learning rate of the discriminator, which always starts from scratch, whatever the rate of the network.
DISCRIMINATOR_LR = 5e-4


@dataclass(frozen=True)
class Part:
    """Patches in [0, 1] that a process computes at once, and their weight in the mean of the step."""

    low: Tensor  # (N, 3, P, P)
    high: Tensor  # (N, 3, scale * P, scale * P)
    share: float
    taught: Tensor | None = None  # what a teacher makes of low, as high


@dataclass(frozen=True)
class Plan:
    """How long a run is."""

    steps: int
    steps_per_epoch: int

    @classmethod
    def of(cls, config: TrainConfig, patches: int) -> "Plan":
        """The plan for a number of patches in an epoch."""
        per_epoch = math.ceil(patches / config.batch_size)
        return cls(config.max_steps or config.epochs * per_epoch, per_epoch)


def batches(config: TrainConfig, patches: Patches, plan: Plan, group: Group, step: int) -> Iterator[list[Part]]:
    """For each step from `step` to the end, the parts of this process."""
    while step < plan.steps:
        epoch, done = divmod(step, plan.steps_per_epoch)
        last = min(plan.steps_per_epoch, done + plan.steps - step)
        patches.epoch = epoch
        order = patches.order(epoch)
        items: list[list[int]] = []
        shares: list[float] = []
        for i in range(done, last):
            batch = order[i * config.batch_size : (i + 1) * config.batch_size]
            mine = batch[group.rank :: group.size]
            for k in range(config.accumulate):
                part = mine[k :: config.accumulate]
                # A process without patches computes one with weight 0, so no other process has to wait for it.
                items.append(part or batch[:1])
                shares.append(len(part) / len(batch) * group.size)
        loader = DataLoader(patches, batch_sampler=items, num_workers=config.workers)
        parts: list[Part] = []
        for patches_of_part, share in zip(loader, shares, strict=True):
            low, high, *taught = (to_batch(patches.to(group.device)) for patches in patches_of_part)
            parts.append(Part(low, high, share, *taught))
            if len(parts) == config.accumulate:
                yield parts
                parts = []
        step += last - done


def learning_rate(config: TrainConfig, plan: Plan, step: int) -> float:
    """Linear warm-up, then cosines to 0 (Loshchilov and Hutter 2017); depends only on the step."""
    rise = min(1.0, (step + 1) / (config.warmup_steps + 1))
    cycles = min(1.0, step / plan.steps) * (config.restarts + 1)
    position = cycles % 1 if cycles < config.restarts + 1 else 1.0
    return config.lr * rise * 0.5 * (1 + math.cos(math.pi * position))


def teacher_share(plan: Plan, step: int) -> float:
    """Which part of the loss is against the teacher: half, and in the last fifth of a run falling to nothing."""
    return 0.5 * min(1.0, 5 * (1 - step / plan.steps))


class Stepper:
    """Updates a state one step at a time; all processes of a run take the same step."""

    def __init__(self, config: TrainConfig, state: State, group: Group, bfloat16: bool) -> None:
        self.config, self.state, self.group, self.bfloat16 = config, state, group, bfloat16
        self.network = group.wrap(state.model)
        self.loss = Loss(config.terms, group.device)
        self.terms: dict[str, float] = {}  # of the last loss, unweighted

    def __call__(self, parts: list[Part], rate: float, teaching: float = 0.0) -> tuple[float, bool]:
        """Take a step at a learning rate; return the loss, and whether the step was taken.

        `teaching` is the part of the loss that is against the teacher, if there is one. The step is not taken, and
        nothing changes, if the loss or its gradient is NaN or infinite in any process.
        """
        state = self.state
        state.model.zero_grad(set_to_none=True)
        if state.discriminator:
            state.discriminator.requires_grad_(False)
        total = 0.0
        predictions = []
        for part in parts:
            with self.group.gradients(self.network, last=part is parts[-1]):
                with self._autocast():
                    prediction = self.network(part.low).to(part.high.dtype)  # autocast returns bfloat16
                    terms = self.loss.parts(prediction, part.high)
                    if state.discriminator:
                        terms["adversarial"] = generator_loss(state.discriminator(prediction))
                loss = self.loss.total(terms)
                if teaching and part.taught is not None:
                    loss = (1 - teaching) * loss + teaching * self.loss(prediction, part.taught)
                (loss * part.share).backward()
            total += loss.item() * part.share
            predictions.append(prediction.detach())
        self.terms = {name: value.item() for name, value in terms.items()}
        # At a high learning rate a single odd batch can ruin the weights.
        norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), self.config.grad_clip or math.inf)
        # In any process: the loss can be NaN in a single one, and its gradient finite nonetheless.
        if self.group.any(not math.isfinite(total) or not math.isfinite(norm.item())):
            return total, False
        for optimizer in state.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        state.ema.update_parameters(state.model)
        self._teach_discriminator(parts, predictions, rate)
        return total, True

    def _teach_discriminator(self, parts: list[Part], predictions: list[Tensor], rate: float) -> None:
        network, optimizer = self.state.discriminator, self.state.discriminator_optimizer
        if network is None or optimizer is None:
            return
        network.requires_grad_(True)
        optimizer.zero_grad(set_to_none=True)
        for part, prediction in zip(parts, predictions, strict=True):
            with self._autocast():
                loss = discriminator_loss(network(part.high), network(prediction))
            (loss * part.share).backward()
        self.group.average_gradients(network)
        for group in optimizer.param_groups:
            group["lr"] = DISCRIMINATOR_LR * rate / self.config.lr
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), math.inf)
        if math.isfinite(norm.item()):
            optimizer.step()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.group.device.type, torch.bfloat16, enabled=self.bfloat16)
