import math
from pathlib import Path

import pytest
import torch

from sr_model.data.patches import Patches
from sr_model.training import TrainConfig
from sr_model.training.checkpoint import State
from sr_model.training.distributed import Group
from sr_model.training.step import Plan, Stepper, batches, learning_rate
from tests.test_patches import load

ALONE = Group(torch.device("cpu"))


def test_accumulated_parts_have_the_gradient_of_the_whole(photo_folder: Path) -> None:
    """A step computed in uneven parts is the same step: 5 patches at once, or as 2, 2 and 1."""
    gradients = []
    for accumulate in (1, 3):
        config = TrainConfig(preset="nano", batch_size=5, patch_size=16, accumulate=accumulate, grad_clip=0.0)
        patches = Patches(load(photo_folder), 16, 2, seed=0)
        state = State(config, ALONE.device)
        parts = next(batches(config, patches, Plan.of(config, len(patches)), ALONE, step=0))
        assert [len(part.low) for part in parts] == ([5] if accumulate == 1 else [2, 2, 1])
        Stepper(config, state, ALONE, bfloat16=False)(parts, rate=0.0)
        gradients.append([p.grad for p in state.model.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-7)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_processes_of_a_group_share_each_batch(photo_folder: Path, size: int) -> None:
    """Together they see each patch of an epoch once, whatever is left over; a step's shares sum to their number."""
    config = TrainConfig(preset="nano", batch_size=4, patch_size=16, epochs=1)
    patches = Patches(load(photo_folder), 16, 2, seed=0)
    plan = Plan.of(config, len(patches))
    steps = [list(batches(config, patches, plan, Group(ALONE.device, rank, size), 0)) for rank in range(size)]
    for parts in zip(*steps, strict=True):
        assert sum(part.share for [part] in parts) == pytest.approx(size)
    seen = sum(len(part.low) for process in steps for [part] in process if part.share)
    assert seen == len(patches)


def test_batches_go_on_where_they_were(photo_folder: Path) -> None:
    """From any step, across epochs, the patches are those that an uninterrupted run sees; workers change nothing."""
    config = TrainConfig(preset="nano", batch_size=4, patch_size=16, epochs=3)
    patches = Patches(load(photo_folder), 16, 2, seed=0)
    plan = Plan.of(config, len(patches))
    whole = [parts[0].low for parts in batches(config, patches, plan, ALONE, 0)]
    assert len(whole) == plan.steps
    for step in (1, plan.steps_per_epoch - 1, plan.steps_per_epoch, plan.steps - 1):
        rest = [parts[0].low for parts in batches(config, patches, plan, ALONE, step)]
        assert len(rest) == plan.steps - step
        assert all(torch.equal(a, b) for a, b in zip(whole[step:], rest, strict=True))


def test_the_learning_rate_rises_falls_and_starts_again() -> None:
    """Warm-up, then a cosine to 0 in as many equal parts as there are restarts and one."""
    plan = Plan(steps=1000, steps_per_epoch=100)
    once = TrainConfig(warmup_steps=10)
    assert learning_rate(once, plan, 0) == pytest.approx(1e-3 / 11)
    assert learning_rate(once, plan, 500) == pytest.approx(0.5e-3)
    assert learning_rate(once, plan, 1000) == pytest.approx(0, abs=1e-12)
    twice = TrainConfig(warmup_steps=10, restarts=1)
    assert learning_rate(twice, plan, 250) == pytest.approx(0.5e-3)
    assert learning_rate(twice, plan, 499) < 1e-7
    assert learning_rate(twice, plan, 500) == pytest.approx(1e-3)
    assert learning_rate(twice, plan, 1000) == pytest.approx(0, abs=1e-12)


def test_a_step_that_cannot_be_taken_changes_nothing(photo_folder: Path) -> None:
    """Neither weights nor the mean nor the optimizer's count."""
    config = TrainConfig(preset="nano", batch_size=2, patch_size=16)
    patches = Patches(load(photo_folder), 16, 2, seed=0)
    state = State(config, ALONE.device)
    stepper = Stepper(config, state, ALONE, bfloat16=False)
    [part] = next(batches(config, patches, Plan.of(config, len(patches)), ALONE, 0))
    stepper([part], 1e-3)
    before = {name: value.clone() for name, value in state.tensors().items()}
    part.high[0, 0, 0, 0] = math.nan
    loss, taken = stepper([part], 1e-3)
    assert math.isnan(loss)
    assert not taken
    assert all(torch.equal(before[name], value) for name, value in state.tensors().items())
