"""How near the training loop comes to the bare network: `python -m benchmarks.throughput --data FOLDER`.

Prints steps a second of forward, backward and optimizer on patches that lie ready ("bare"), of train()'s loop on
photos, and where a step's time goes. Run it on an idle machine.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch
from rich.console import Console

from sr_model.data.patches import Patches
from sr_model.inference.devices import choose_device, limit_threads, supports_bfloat16
from sr_model.networks import build, presets
from sr_model.training import TrainConfig, optimizers, run, train
from sr_model.training.distributed import Group
from sr_model.training.progress import Progress
from sr_model.training.step import Part, Plan, Stepper, batches

WARM_UP = 20  # steps that are not counted


class Clock:
    """Seconds by name, of calls that are wrapped in it."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.times.setdefault(name, []).append(time.perf_counter() - start)

    def mean(self, name: str) -> float:
        """Without the first steps."""
        return statistics.fmean(self.times[name][WARM_UP:])


def bare(preset: str, batch: int, patch: int, steps: int) -> Clock:
    """Forward, backward and optimizer alone, on one batch of random numbers."""
    device = choose_device()
    config = presets.config(preset, 2)
    network = build(config).to(device).to(memory_format=torch.channels_last)
    taking_steps = optimizers.build(network, TrainConfig(preset=preset).optimizer, lr=1e-4)
    low = torch.rand(batch, 3, patch, patch, device=device).to(memory_format=torch.channels_last)
    high = torch.rand(batch, 3, 2 * patch, 2 * patch, device=device).to(memory_format=torch.channels_last)
    clock = Clock()
    for _ in range(WARM_UP + steps):
        with clock("step"):
            with clock("forward"):
                with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
                    prediction = network(low)
                loss = torch.nn.functional.l1_loss(prediction.float(), high)
            with clock("backward"):
                network.zero_grad(set_to_none=True)
                loss.backward()
            with clock("optimizer"):
                for optimizer in taking_steps.values():
                    optimizer.step()
    return clock


def loop(preset: str, batch: int, patch: int, steps: int, data: str) -> Clock:
    """train() on photos, with its data, its averaging and its reports; validation is not counted."""
    clock = Clock()
    step = Stepper.__call__

    def timed_step(self: Stepper, parts: list[Part], rate: float, teaching: float) -> tuple[float, bool]:
        with clock("step"):
            return step(self, parts, rate, teaching)

    def timed_batches(
        config: TrainConfig, patches: Patches, plan: Plan, group: Group, step: int
    ) -> Iterator[list[Part]]:
        iterator = batches(config, patches, plan, group, step)
        began = None
        while True:
            with clock("data"):
                parts = next(iterator, None)
            if parts is None:
                return
            if began is not None:
                clock.times.setdefault("whole", []).append(time.perf_counter() - began)
            began = time.perf_counter()
            yield parts

    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            preset=preset, data=(data,), batch_size=batch, patch_size=patch, run_dir=str(Path(folder) / "run"),
            max_steps=WARM_UP + steps, val_every=10**6,
        )  # fmt: skip
        quiet = Progress(Console(file=io.StringIO()))
        with mock.patch.object(Stepper, "__call__", timed_step), mock.patch.object(run, "batches", timed_batches):
            train(config, quiet)
    return clock


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, metavar="FOLDER", help="photos")
    parser.add_argument("--preset", default="base")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--patch-size", type=int, default=48)
    options = parser.parse_args()
    limit_threads()
    print("batch  bare steps/s  loop steps/s  share   data  forward  backward  optimizer  rest, in ms a step")
    for batch in (8, 16):
        alone = bare(options.preset, batch, options.patch_size, options.steps)
        whole = loop(options.preset, batch, options.patch_size, options.steps, options.data)
        bare_rate, loop_rate = 1 / alone.mean("step"), 1 / whole.mean("whole")
        parts = [whole.mean("data"), *(alone.mean(name) for name in ("forward", "backward", "optimizer"))]
        parts.append(whole.mean("whole") - sum(parts))  # averaging, clipping, reports
        columns = "  ".join(f"{1000 * seconds:.1f}" for seconds in parts)
        print(f"{batch:5}  {bare_rate:12.2f}  {loop_rate:12.2f}  {loop_rate / bare_rate:5.0%}   {columns}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
