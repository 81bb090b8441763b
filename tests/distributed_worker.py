"""What test_distributed.py runs in each process that torchrun starts."""

import sys
from pathlib import Path

from safetensors.torch import save_file

from sr_model.data.patches import Patches
from sr_model.training import TrainConfig, distributed
from sr_model.training.checkpoint import State
from sr_model.training.distributed import Group
from sr_model.training.step import Plan, Stepper, batches, learning_rate
from tests.test_patches import load


def work(group: Group, photos: Path, out: Path) -> None:
    """Save the gradients of the first step, and the weights of both networks after 20."""
    config = TrainConfig(
        preset="nano", batch_size=3, patch_size=20, max_steps=20, warmup_steps=0, loss="l1=1,adversarial=0.01"
    )
    patches = Patches(load(photos), 20, 2, seed=0)
    assert len(patches) % 3 == 1, "the last batch of an epoch has one patch, for two processes"
    state = State(config, group.device)
    stepper = Stepper(config, state, group, bfloat16=False)
    plan = Plan.of(config, len(patches))
    tensors = {}
    for step, parts in enumerate(batches(config, patches, plan, group, 0)):
        stepper(parts, learning_rate(config, plan, step))
        if step == 0:
            for name, parameter in state.model.named_parameters():
                assert parameter.grad is not None
                tensors[f"gradient.{name}"] = parameter.grad.clone()
    tensors |= {name: value.detach().clone() for name, value in state.tensors().items() if "optimizer" not in name}
    if group.is_first:
        save_file({name: value.contiguous() for name, value in tensors.items()}, out)


if __name__ == "__main__":
    with distributed.join("cpu") as group:
        work(group, *map(Path, sys.argv[1:3]))
