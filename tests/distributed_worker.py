"""What test_distributed.py runs in each process that torchrun starts."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from sr_model.data import Photo, Preparation, list_files, load_photos
from sr_model.data.patches import Patches
from sr_model.data.picture_cache import MappedArray, PictureCache
from sr_model.errors import ConfigError
from sr_model.training import TrainConfig, distributed
from sr_model.training.checkpoint import State
from sr_model.training.distributed import Group
from sr_model.training.progress import Progress
from sr_model.training.run import Run, load_data
from sr_model.training.step import Plan, Stepper, batches, learning_rate
from tests.test_patches import load


def work(group: Group, photos: Path, out: Path) -> None:
    """Save the gradients of the first step, and the weights of both networks after 20.

    In float64: Adam makes as large a step of a tiny gradient as of a large one, so that what float32 rounds off, which
    is another number on each processor, would grow from step to step.
    """
    config = TrainConfig(
        preset="nano",
        batch_size=3,
        patch_size=20,
        max_steps=20,
        warmup_steps=0,
        loss="l1=1,adversarial=0.01",
        optimizer="adam",
    )
    patches = Patches(load(photos), 20, 2, seed=0)
    assert len(patches) % 3 == 1, "the last batch of an epoch has one patch, for two processes"
    state = State(config, group.device)
    for network in (state.model, state.ema, state.discriminator):
        assert network is not None
        network.double()
    stepper = Stepper(config, state, group, bfloat16=False)
    plan = Plan.of(config, len(patches))
    tensors = {}
    for step, parts in enumerate(batches(config, patches, plan, group, 0)):
        parts = [replace(part, low=part.low.double(), high=part.high.double()) for part in parts]
        stepper(parts, learning_rate(config, plan, step))
        if step == 0:
            for name, parameter in state.model.named_parameters():
                assert parameter.grad is not None
                tensors[f"gradient.{name}"] = parameter.grad.clone()
    tensors |= {name: value.detach().clone() for name, value in state.tensors().items() if "optimizer" not in name}
    if group.is_first:
        save_file({name: value.contiguous() for name, value in tensors.items()}, out)


def share(group: Group, folder: Path) -> None:
    """Let one process decode the photos below `folder`/photos; each writes what it has then, and whether it decoded."""
    decoded = []

    def decode() -> list[Photo]:
        files = list_files([folder / "photos"], 2, print, print)
        decoded.append(len(files))
        return load_photos(files, Preparation(2, 32), print, cache)

    with PictureCache(folder / "cache", 0, group.rank) as cache:
        photos = group.share(decode)
        group.wait()
        sums = [int(array.sum()) for photo in photos for array in (photo.low, photo.high)]
        mapped = all(isinstance(photo.high, MappedArray) for photo in photos)
        (folder / f"{group.rank}.json").write_text(json.dumps({"decoded": decoded, "sums": sums, "mapped": mapped}))
        group.wait()


def refuse(group: Group, photos: Path, folder: Path) -> None:
    """Go on with a run of which each process sees another folder; write what is said."""
    own = folder / str(group.rank)
    config = TrainConfig(
        preset="nano", data=(str(photos),), batch_size=2, patch_size=16, val_every=4, device="cpu", run_dir=str(own)
    )
    log = Progress(quiet=True)
    with PictureCache(folder / "cache", 0, group.rank) as cache:
        run = Run(config, group, *load_data(config, log, cache, group), log)
        try:
            if run.can_go_on():
                run.go_on()
        except ConfigError as error:
            (folder / f"{group.rank}.txt").write_text(str(error))
        group.wait()


WORK: dict[str, Callable[..., None]] = {"work": work, "share": share, "refuse": refuse}

if __name__ == "__main__":
    with distributed.join("cpu") as group:
        WORK[sys.argv[1]](group, *map(Path, sys.argv[2:]))
