"""Benchmark each preset on each engine, in fresh processes, and collect one report.

`python -m sr_model benchmark` prints it. The code of the processes is in worker.py.
"""

import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sr_model.benchmark.report import HEADER, figures, heading, line
from sr_model.errors import ConfigError, WeightsError
from sr_model.imaging.images import MAX_PIXELS
from sr_model.inference.devices import available_cpus, choose_device, limit_threads
from sr_model.models import weights

SIZES = ((256, 256), (640, 360), (1280, 720), (1920, 1080), (4000, 3000))  # width and height in pixels
RUNS = 7
LIMIT = 60.0  # seconds for the runs of a network on a size
STARTS = 3
MATRIX = 4096  # side

WAYS = (("openvino", "cpu"), ("torch", "cpu"), ("torch", "cuda"))  # (engine, device)
DEFINITION = (
    "ms/MP: milliseconds per million pixels of the enlarged picture, from 8-bit to 8-bit pixels and without files; "
    "the median over the runs after a warm-up, +- their interquartile range. Network: the engine's share of that time. "
    "Of peak: operations a second within the network, two for each multiply-add of the picture (margins of tiles are "
    f"not counted), against the best float32 matrix product of {MATRIX}x{MATRIX}. Memory: the most that the process "
    "held, with the picture and its result, over what it held before its first picture; on CUDA the device's memory. "
    "Start: from the start of a process to its first enlarged picture, which is small; a median."
)


@dataclass(frozen=True)
class Case:
    """What one process measures."""

    preset: str
    scale: int
    engine: str
    device: str  # cpu or cuda

    def __str__(self) -> str:
        return f"{weights.name(self.preset, self.scale)}, {self.engine} on {self.device}"


def choose(
    presets: Sequence[str] = (),
    scales: Sequence[int] = (),
    engine: str = "all",
    device: str = "all",
    folder: Path = weights.SHIPPED,
) -> list[Case]:
    """All cases that `folder` has weights for and this machine can run, restricted to those asked for.

    Raises ConfigError with the choices for anything else that is asked for, and WeightsError for a folder without
    weights.
    """
    have = weights.available(folder)
    if not have:
        raise WeightsError(f"There are no weights in {folder}.")
    networks = [(p, s) for p, s in have if p in (presets or [p]) and s in (scales or [s])]
    found = {value for network in networks for value in network}
    lacking = [str(p) for p in presets if p not in found] + [f"x{s}" for s in scales if s not in found]
    if lacking:
        names = ", ".join(weights.name(*network) for network in have)
        raise ConfigError(f"There are no weights for {', '.join(lacking)}; there are: {names}.")
    return [Case(preset, scale, *way) for preset, scale in networks for way in _ways(engine, device)]


def read_size(text: str) -> tuple[int, int]:
    """(width, height) of "640x360". Raises ConfigError."""
    w, _, h = text.partition("x")
    if not (w.isdecimal() and h.isdecimal() and 0 < int(w) * int(h) <= MAX_PIXELS):
        raise ConfigError(
            f"--size {text} is no size; give width x height, such as 640x360, of at most {MAX_PIXELS:,} pixels."
        )
    return int(w), int(h)


def benchmark(
    cases: Sequence[Case],
    sizes: Sequence[tuple[int, int]] = SIZES,
    runs: int = RUNS,
    limit: float = LIMIT,
    folder: Path = weights.SHIPPED,
    show: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure the cases one after another on pictures of the sizes (width, height), `runs` times each.

    No further run is started after `limit` seconds on one size, and a size is skipped if a single run would take
    longer. Calls `show` with each line of a table as soon as it is known.

    Returns what `--json` prints: the fields of `machine`, "definition", "runs", "limit_seconds", "peak_gflops" by
    device as {"before", "after"}, and "cases". Each has the fields of its Case, "starts" (seconds), "start_seconds"
    (their median), "idle_mb", and in "sizes" what `figures.figures` returns; one that failed has an "error".
    Raises ConfigError for impossible numbers, and on Windows.
    """
    if importlib.util.find_spec("resource") is None:
        raise ConfigError("The benchmark reads memory as Linux and macOS report it; it does not run on Windows.")
    if runs < 1 or limit <= 0:
        raise ConfigError(f"--runs {runs} and --limit {limit:g} are not possible; both must be more than 0.")
    limit_threads()
    sizes = sorted(set(sizes), key=lambda size: size[0] * size[1])  # memory freed by smaller ones is reused
    devices = sorted({case.device for case in cases})
    report = machine() | {"definition": DEFINITION, "runs": runs, "limit_seconds": limit}
    peaks = report["peak_gflops"] = {device: {"before": matrix_peak(device) / 1e9} for device in devices}
    show(heading(report))
    report["cases"] = []
    for case in cases:
        show(f"\n{case}")
        job = asdict(case) | {"weights": str(folder), "sizes": sizes, "runs": runs, "limit": limit}
        report["cases"].append(_measured(case, job, peaks[case.device]["before"], show))
    for device in devices:
        peaks[device]["after"] = matrix_peak(device) / 1e9
        show(f"\nPeak of {device}: {peaks[device]['before']:.0f} GFLOP/s before, {peaks[device]['after']:.0f} after.")
    show(DEFINITION)
    return report


def machine() -> dict[str, Any]:
    """What the figures depend on, and the date."""
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu_name(),
        "processors": available_cpus(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "openvino": importlib.metadata.version("openvino") if _has_openvino() else None,
    }


def matrix_peak(device: str, times: int = 5) -> float:
    """Operations a second of the best of several float32 matrix products, two for each multiply-add."""
    a, b = torch.rand(2, MATRIX, MATRIX, device=device)
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(seconds)


def _measured(case: Case, job: dict[str, Any], peak_gflops: float, show: Callable[[str], None]) -> dict[str, Any]:
    result: dict[str, Any] = asdict(case) | {"starts": [], "sizes": []}
    # All processes but the last enlarge one small picture and exit; the last measures the sizes.
    for sizes in [[]] * (min(STARTS, job["runs"]) - 1) + [job["sizes"]]:
        for seconds, message in _messages(job | {"sizes": sizes}):
            if "error" in message:
                show(f"{'':>10}  {message['error']}")
                return result | message
            if "idle_mb" in message:
                result["starts"].append(seconds)
                result |= message
                if sizes:
                    result["start_seconds"] = statistics.median(result["starts"])
                    show(f"{'':>10}  start {result['start_seconds']:.2f} s, idle {result['idle_mb']:.0f} MB\n{HEADER}")
            else:
                result["sizes"].append(figures(message, case.scale, peak_gflops))
                show(line(result["sizes"][-1]))
    return result


def _messages(job: dict[str, Any]) -> Iterator[tuple[float, dict[str, Any]]]:
    """The messages of a fresh process with the seconds since its start; an "error" if it fails."""
    package = str(Path(__file__).parent.parent.parent)
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "sr_model.benchmark.worker", json.dumps(job)]
    environment = os.environ | {"PYTHONPATH": paths}
    start = time.perf_counter()
    # In its own process group it does not receive Ctrl-C, so it ends by `kill`, without a traceback.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, process_group=0) as process:
        try:
            assert process.stdout is not None, "it was asked for"
            for text in process.stdout:
                yield time.perf_counter() - start, json.loads(text)
            if process.wait():
                yield time.perf_counter() - start, {"error": f"The process ended with status {process.returncode}."}
        finally:
            process.kill()


def _ways(engine: str, device: str) -> list[tuple[str, str]]:
    """(engine, device) of each way to run a network here. Raises ConfigError if none is left."""
    names = ["all", *dict.fromkeys(name for name, _ in WAYS)]
    if engine not in names:
        raise ConfigError(f"There is no engine {engine!r} to measure; choose one of: {', '.join(names)}.")
    if device == "all":
        places = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    else:
        places = [choose_device(device).type]
    if engine == "openvino" and not _has_openvino():
        raise ConfigError("OpenVINO is not installed, so it cannot be measured: pip install openvino.")
    if engine == "openvino" and "cpu" not in places:
        raise ConfigError("OpenVINO runs on the CPU here; choose --device cpu, or --engine torch for CUDA.")
    return [
        (name, place)
        for name, place in WAYS
        if engine in ("all", name) and place in places and (name != "openvino" or _has_openvino())
    ]


def _has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(text.partition(":")[2].strip() for text in lines if text.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
