"""Training that can go on where it was stopped, on one process or on many."""

import contextlib
import threading
import time

from sr_model.data.picture_cache import PictureCache
from sr_model.errors import DataError
from sr_model.training import distributed, run_data, run_folder
from sr_model.training.announcement import announce, estimate
from sr_model.training.config import TrainConfig
from sr_model.training.progress import Progress
from sr_model.training.run import Run
from sr_model.training.run_output import Output
from sr_model.training.signals import stop_on_signal
from sr_model.training.step import Part, learning_rate
from sr_model.training.validation import StoppedError

MAX_SKIPPED = 10  # steps in a row whose loss is no number


def train(config: TrainConfig, log: Progress | None = None) -> dict[str, float]:
    """Train, validating now and then, and leave in `config.folder` what weights/ takes.

    Writes `<preset>-x<scale>.safetensors` and .json of the best validation, `samples.png`, `history.jsonl` (a line per
    validation), `tensorboard/` and `checkpoints/`. Returns the best validation: psnr, bicubic_psnr (dB) and step; with
    `dry_run` nothing is written and nothing returned. Started by torchrun, all processes train one network, and the
    first one writes. Raises ConfigError and DataError; Ctrl-C and SIGTERM end it after a checkpoint.
    """
    with distributed.join(config.device) as group, contextlib.ExitStack() as stack:
        log = log or Progress(quiet=not group.is_first)
        resume = config.resume or distributed.was_restarted()
        if group.is_first and not config.dry_run:
            stack.enter_context(run_folder.hold(config.folder, resume))
        group.wait()
        cache = stack.enter_context(PictureCache(config.folder / "cache", config.cache_gb * 1e9, group.rank))
        run = Run(config, group, *run_data.load(config, log, cache), log)
        if resume and run.can_go_on():
            run.go_on()
        else:
            if config.resume:
                log.say(f"There is no run in {config.folder} to go on with; it begins now.")
            run.begin()
        announce(run)
        if config.dry_run:
            estimate(run)
            return {}
        with stop_on_signal() as stopping, log, run_folder.told():
            _Training(run, stopping).go()
        return run.state.best


class _Training:
    """The steps of a run and its validations, until its end or until asked to stop."""

    def __init__(self, run: Run, stopping: threading.Event) -> None:
        self.run, self.stopping = run, stopping
        self.skipped = 0  # steps in a row
        self.output: Output | None = None
        if run.group.is_first:
            run_folder.cut_history(run.folder, run.state.validated)
            self.output = Output(run)

    def go(self) -> None:
        run, state = self.run, self.run.state
        run.log.start(run.plan.steps, state.step, run.config.batch_size)
        began, before = time.monotonic(), state.seconds
        self._validate_where_due()  # a validation that was stopped is made up for
        batches = run.batches()
        while not run.group.any(self.stopping.is_set()):
            parts = next(batches, None)
            if parts is None:
                self._say_the_best()
                break
            state.loss = self._step(parts)
            state.step += 1
            state.seconds = before + time.monotonic() - began
            if state.step % 20 == 0 or state.step == run.plan.steps:
                self._report()
            self._validate_where_due()
        else:
            run.save()
            run.log.say(f"Stopped after step {state.step:,}; go on with --resume.")
        if self.output:
            self.output.close()

    def _step(self, parts: list[Part]) -> float:
        """Returns the loss. Raises DataError where steps could not be taken for too long."""
        run = self.run
        loss, taken = run.stepper(parts, learning_rate(run.config, run.plan, run.state.step))
        self.skipped = 0 if taken else self.skipped + 1
        if not taken:
            run.log.warn(f"Step {run.state.step + 1:,} is skipped: its loss ({loss:.4g}) or gradient is no number.")
        if self.skipped == MAX_SKIPPED:
            run.save()
            raise DataError(
                f"{MAX_SKIPPED} steps in a row had a loss or gradient that is no number; the run ends with the weights "
                "before them. Go on with --resume and a lower --lr, or begin anew with --precision float32."
            )
        return loss

    def _report(self) -> None:
        self.run.log.step(self.run.state.step, self.run.state.loss, self.run.rate)
        if self.output:
            self.output.step()

    def _validate_where_due(self) -> None:
        """After each interval and at the end, with a checkpoint; a wish to stop puts it off until the run goes on."""
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
        state.validated = state.step
        run.save()

    def _say_the_best(self) -> None:
        best = self.run.state.best
        if best:
            self.run.log.say(
                f"Best validation: {best['psnr']:.2f} dB at step {best['step']:,} (bicubic "
                f"{best['bicubic_psnr']:.2f}). The weights and samples.png are in {self.run.folder}"
            )
