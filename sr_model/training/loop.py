"""A training run from beginning to end, in one process or many, resumable at any step."""

import contextlib
import math
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sr_model.data.picture_cache import PictureCache
from sr_model.errors import DataError
from sr_model.models import weights
from sr_model.networks.architecture import summary
from sr_model.networks.layers import parameter_count
from sr_model.networks.reshaping.reviving import count_dormant
from sr_model.publishing.pusher import Pusher
from sr_model.training import distributed, folder
from sr_model.training.config import TrainConfig
from sr_model.training.folder import Output
from sr_model.training.progress import Progress
from sr_model.training.run import Run, load_data, photo_sets
from sr_model.training.step import Part, learning_rate, teacher_share
from sr_model.training.validation import StoppedError

DRY_STEPS = 10  # of --dry-run, after one that warms up
MANY_DORMANT = 0.05  # share of the channels
MAX_SKIPPED = 10  # steps in a row whose loss is NaN or infinite


def train(config: TrainConfig, log: Progress | None = None) -> dict[str, float]:
    """Train, validating at intervals, and write the best weights to `config.folder` in the format of weights/.

    Writes `<preset>-x<scale>.safetensors` and .json of the best validation, `samples.png`, `history.jsonl` (a line per
    validation), `tensorboard/` and `checkpoints/`. Returns the best validation: psnr, bicubic_psnr (dB) and step; with
    `dry_run` nothing is written and the result is empty. Under torchrun all processes train one network, and rank 0
    writes. Raises ConfigError and DataError; Ctrl-C and SIGTERM end the run after a checkpoint.
    """
    with distributed.join(config.device) as group, contextlib.ExitStack() as stack:
        log = log or Progress(quiet=not group.is_first)
        resume = config.resume or distributed.was_restarted()
        if group.is_first and not config.dry_run:
            stack.enter_context(folder.hold(config.folder, resume))
        group.wait()
        place = config.folder / "cache"
        if config.dry_run:  # a dry run touches nothing, least of all the cache of a run in progress
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # Several processes share the pictures through a file that all of them map.
        limit = 0 if group.machine else config.cache_gb * 1e9
        cache = stack.enter_context(PictureCache(place, limit, group.rank))
        run = Run(config, group, *load_data(config, log, cache, group), log)
        if resume and run.can_go_on():
            run.go_on()
        else:
            if config.resume:
                log.say(f"There is no run in {config.folder} to resume; starting one.")
            run.begin()
        announce(run)
        if config.dry_run:
            estimate(run)
            return {}
        with stop_on_signal() as stopping, log, folder.told():
            _Training(run, stopping).go()
        return run.state.best


class _Training:
    """The steps and validations of a run, until its end or until asked to stop."""

    def __init__(self, run: Run, stopping: threading.Event) -> None:
        self.run, self.stopping = run, stopping
        self.skipped = 0  # steps in a row
        self.output: Output | None = None
        self.pusher: Pusher | None = None
        if run.group.is_first:
            folder.cut_history(run.folder, run.state.validated)
            self.output = Output(run)
            if run.config.push:
                self.pusher = Pusher(run.folder, run.config.push, run.config.push_every, run.log.say, run.log.warn)

    def go(self) -> None:
        run, state = self.run, self.run.state
        run.log.start(run.plan.steps, state.step, run.config.batch_size)
        began, before = time.monotonic(), state.seconds
        self._validate_where_due()  # catches up on a validation that was interrupted
        batches = run.batches()
        while not run.group.any(self.stopping.is_set()):
            parts = next(batches, None)
            if parts is None:
                self._say_the_best()
                if run.group.is_first:
                    self._say_dormant()
                if self.pusher:
                    self.pusher.finished()
                break
            state.loss = self._step(parts)
            state.step += 1
            state.seconds = before + time.monotonic() - began
            if state.step % 20 == 0 or state.step == run.plan.steps:
                self._report()
            self._validate_where_due()
        else:
            run.save()
            run.log.say(f"Stopped after step {state.step:,}; continue with --resume.")
        if self.output:
            self.output.close()
        if self.pusher:
            self.pusher.close()

    def _step(self, parts: list[Part]) -> float:
        """Take a step and return the loss. Raises DataError after too many skipped steps in a row."""
        run = self.run
        step = run.state.step
        loss, taken = run.stepper(parts, learning_rate(run.config, run.plan, step), teacher_share(run.plan, step))
        self.skipped = 0 if taken else self.skipped + 1
        if not taken:
            run.log.warn(f"Step {run.state.step + 1:,} is skipped: NaN or infinite loss ({loss:.4g}) or gradient.")
        if self.skipped == MAX_SKIPPED:
            run.save()
            raise DataError(
                f"{MAX_SKIPPED} steps in a row had a NaN or infinite loss or gradient; the run ends with the weights "
                "before them. Continue with --resume and a lower --lr, or start over with --precision float32."
            )
        return loss

    def _report(self) -> None:
        self.run.log.step(self.run.state.step, self.run.state.loss, self.run.rate)
        if self.output:
            self.output.step()

    def _validate_where_due(self) -> None:
        """Validate and save a checkpoint after each interval and at the end; if asked to stop, after resuming."""
        run, state = self.run, self.run.state
        due = state.step % run.interval == 0 or state.step == run.plan.steps
        if not due or state.validated == state.step:
            return
        try:
            result = run.validation(state.averaged, self.stopping)
        except StoppedError:
            return
        better = not state.best or result.is_better(state.best)
        if better:
            state.best = result.as_dict(state.step)
        run.log.validated(state.step, result.psnr, result.bicubic_psnr, better)
        if self.output:
            self.output.validated(result, better)
        if self.pusher and better:
            self.pusher.improved()
        state.validated = state.step
        run.save()

    def _say_the_best(self) -> None:
        best = self.run.state.best
        if best:
            self.run.log.say(
                f"Best validation: {best['psnr']:.2f} dB at step {best['step']:,} (bicubic "
                f"{best['bicubic_psnr']:.2f}). The weights and samples.png are in {self.run.folder}"
            )

    def _say_dormant(self) -> None:
        """Where a good part of the network does nothing, how to put it to use."""
        dormant, channels = count_dormant(self.run.state.averaged, self.run.validation.lows())
        if dormant > MANY_DORMANT * channels:
            self.run.log.say(
                f"{dormant} of {channels} channels are dormant: no validation picture activates them, so they never "
                f"learn. --init {self.run.folder} --revive trains on with all of them."
            )


def announce(run: Run) -> None:
    """Print what is trained, where, on what, and for how many steps."""
    config, say, state, plan = run.config, run.log.say, run.state, run.plan
    say(summary(state.model, (config.patch_size, config.patch_size)))
    processes = f" in {run.group.size} processes" if run.group.size > 1 else ""
    say(
        f"{weights.name(config.preset, config.scale)}: {parameter_count(state.model):,} parameters, on "
        f"{run.device.type} in {'bfloat16' if run.bfloat16 else 'float32'}{processes}"
    )
    sets = ", ".join(f"{name} {count}" for name, count in photo_sets(run.patches).items())
    say(
        f"{len(run.patches.photos)} photos for training ({sets}), "
        f"{len(run.validation.pictures)} for validation (bicubic: {run.validation.bicubic:.2f} dB)"
    )
    say(
        f"{plan.steps:,} steps of {config.batch_size} patches, {plan.steps_per_epoch:,} steps an epoch, "
        f"validation every {run.interval:,}; output in {run.folder}"
    )
    if state.step:
        say(f"Resuming after step {state.step:,}")


def estimate(run: Run) -> None:
    """Print how long the run will take, from a few real steps and one validation; nothing is written."""
    done, warm = 0, time.monotonic()
    for done, parts in enumerate(run.batches()):
        run.stepper(parts, run.config.lr * 1e-3)
        if done == 0:
            warm = time.monotonic()  # the first step selects algorithms
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


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into an event, so the current step can finish; a second one kills."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, _frame: object) -> None:
        event.set()
        signal.signal(number, previous[signal.Signals(number)])

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, handle)
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
