"""A benchmark's fresh process: `python -m sr_model.benchmark.worker JSON` prints a JSON line for each result.

It imports no more than a program that enlarges a picture, as its start-up is timed too.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sr_model.errors import SRError
from sr_model.imaging.images import Picture
from sr_model.inference.devices import limit_threads
from sr_model.inference.upscaler import Upscaler
from sr_model.system.memory import resident

FIRST = (64, 64)  # width and height of the first picture, with which start-up ends
WARM_UP = 2.0  # seconds; a picture that takes less is enlarged once as a whole


class Memory:
    """The peak memory since `reset`, above what was held when this object was made.

    On the CPU the resident set of the process, on CUDA what torch has allocated.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self.idle = torch.cuda.memory_allocated() if self._cuda else resident()  # bytes

    def reset(self) -> None:
        """Forget earlier peaks. If the system cannot do that, only higher ones are seen later."""
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def over_idle(self) -> int:
        """In bytes."""
        return (torch.cuda.max_memory_allocated() if self._cuda else resident(peak=True)) - self.idle


def measure(upscaler: Upscaler, memory: Memory, size: tuple[int, int], runs: int, limit: float) -> dict[str, Any]:
    """Seconds of each run on noise of a size (width, height), as many as `runs` and `limit` seconds allow.

    Returns {"width", "height"} and either {"runs", "network_runs", "multiply_adds", "peak_mb"} or, if one run would
    take longer than the limit, {"skipped"}: a sentence.
    """
    # Imported late: a program that only enlarges pictures does not need it.
    from sr_model.networks.architecture import layers

    w, h = size
    upscaler.expect_many()
    memory.reset()
    picture = noise(size)
    estimate = warm_up(upscaler, picture)
    if estimate > limit:
        return {
            "width": w,
            "height": h,
            "skipped": f"a run would take about {estimate:.0f} s, the limit is {limit:g} s",
        }
    times = [timed(upscaler, picture)]
    while len(times) < runs and sum(whole for whole, _ in times) + times[-1][0] <= limit:
        times.append(timed(upscaler, picture))
    return {
        "width": w,
        "height": h,
        "runs": [whole for whole, _ in times],
        "network_runs": [network for _, network in times],
        "multiply_adds": sum(layer.multiply_adds for layer in layers(upscaler.model, (h, w))),
        "peak_mb": memory.over_idle() / 1e6,
    }


def warm_up(upscaler: Upscaler, picture: Picture) -> float:
    """Enlarge the picture, or as many tiles as WARM_UP allows; return the estimated seconds for all."""
    start = time.perf_counter()
    seconds = 0.0
    for step in upscaler.steps(picture):
        if step.done:
            spent = time.perf_counter() - start
            seconds = spent * step.total / step.done
            if spent > WARM_UP:
                break
    return seconds


def timed(upscaler: Upscaler, picture: Picture) -> tuple[float, float]:
    """(seconds that `Upscaler` takes, seconds of the network alone)."""
    start = time.perf_counter()
    *_, last = upscaler.steps(picture)
    return time.perf_counter() - start, last.seconds


def noise(size: tuple[int, int]) -> Picture:
    """Noise of a size (width, height), the same every time."""
    w, h = size
    return Picture(np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8))


def main(text: str) -> None:
    """Work on a job: the fields of `measuring.Case`, "weights", "sizes", "runs" and "limit".

    Prints {"idle_mb"} after the first picture, then a line for each size, from small to large, and {"error"} if it
    cannot continue.
    """
    job = json.loads(text)
    limit_threads()
    try:
        upscaler = Upscaler.from_preset(
            job["preset"], job["scale"], job["device"], job["weights"], engine=job["engine"]
        )
        if upscaler.engine.name != job["engine"]:
            _say({"error": f"{job['engine']} cannot run this network."})
            return
        memory = Memory(upscaler.device)
        upscaler(noise(FIRST))
        _say({"idle_mb": memory.idle / 1e6})
        for size in job["sizes"]:
            _say(measure(upscaler, memory, tuple(size), job["runs"], job["limit"]))
    except SRError as error:
        _say({"error": str(error)})


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
