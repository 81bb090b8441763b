"""What is said of a run before it begins: what it will do and, in a dry run, how long that takes."""

import math
import time

from sr_model import weights
from sr_model.architecture import summary
from sr_model.model import parameter_count
from sr_model.training import run_data
from sr_model.training.run import Run

DRY_STEPS = 10  # of --dry-run, after one that warms up


def announce(run: Run) -> None:
    """Say what is trained, where, on what, and for how many steps."""
    config, say, state, plan = run.config, run.log.say, run.state, run.plan
    say(summary(state.model, (config.patch_size, config.patch_size)))
    processes = f" in {run.group.size} processes" if run.group.size > 1 else ""
    say(
        f"{weights.name(config.preset, config.scale)}: {parameter_count(state.model):,} parameters, on "
        f"{run.device.type} in {'bfloat16' if run.bfloat16 else 'float32'}{processes}"
    )
    sets = ", ".join(f"{name} {count}" for name, count in run_data.sets(run.patches).items())
    say(
        f"{len(run.patches.photos)} photos for training ({sets}), "
        f"{len(run.validation.pictures)} for validation (bicubic: {run.validation.bicubic:.2f} dB)"
    )
    say(
        f"{plan.steps:,} steps of {config.batch_size} patches, {plan.steps_per_epoch:,} steps an epoch, "
        f"validation every {run.interval:,}; the run is kept in {run.folder}"
    )
    if state.step:
        say(f"Going on after step {state.step:,}")


def estimate(run: Run) -> None:
    """Say how long it will take, from a few real steps and one validation; the folder is not touched."""
    done, warm = 0, time.monotonic()
    for done, parts in enumerate(run.batches()):
        run.stepper(parts, run.config.lr * 1e-3)
        if done == 0:
            warm = time.monotonic()  # the first step chooses algorithms
        if done == DRY_STEPS:
            break
    seconds = (time.monotonic() - warm) / max(1, done)
    began = time.monotonic()
    run.validation(run.state.averaged)
    validating = (time.monotonic() - began) * math.ceil(run.plan.steps / run.interval)
    hours = (seconds * (run.plan.steps - run.state.step) + validating) / 3600
    run.log.say(
        f"Dry run: {1 / seconds:.1f} steps a second, {run.config.batch_size / seconds:.0f} images a second; the "
        f"run would take {hours:.1f} hours, {validating / 3600:.1f} of them for validation. Nothing was written."
    )
