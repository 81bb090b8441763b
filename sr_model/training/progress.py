"""Progress of a training run: a live bar in a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sr_model.data.download import PLAIN_SECONDS


class Progress:
    """Reports steps and validations. Use as a context around the loop; `say` and `warn` work at any time."""

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True, quiet=quiet)
        self.quiet = quiet
        self.bar = Bar(
            BarColumn(bar_width=10),  # everything fits into a line of 80 characters
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]} val {task.fields[psnr]} {task.fields[rate]} images/s"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.psnr = "-"

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def start(self, total: int, done: int, batch_size: int) -> None:
        self.total, self.batch_size = total, batch_size
        self.began, self.first, self.spoke = time.monotonic(), done, time.monotonic()
        self.task = self.bar.add_task("training", total=total, completed=done, loss="-", psnr="-", rate="-")

    def step(self, step: int, loss: float, lr: float) -> None:
        elapsed = time.monotonic() - self.began
        rate = (step - self.first) / elapsed
        images = f"{rate * self.batch_size:.0f}"
        self.bar.update(self.task, completed=step, loss=f"{loss:.4f}", psnr=self.psnr, rate=images)
        if not self.console.is_terminal and time.monotonic() - self.spoke > PLAIN_SECONDS:
            self.spoke = time.monotonic()
            left = (self.total - step) / rate / 60
            self.say(f"step {step}/{self.total}  loss {loss:.5f}  lr {lr:.2e}  {images} images/s  {left:.0f} min left")

    def validated(self, step: int, psnr: float, bicubic: float, better: bool) -> None:
        self.psnr = f"{psnr:.2f} ({psnr - bicubic:+.2f})"
        self.bar.update(self.task, psnr=self.psnr)
        mark = ", the best so far" if better else ""
        self.say(f"step {step}: validation {psnr:.3f} dB, {psnr - bicubic:+.3f} against bicubic{mark}")

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
