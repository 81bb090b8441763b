"""Which devices there are and what they can do."""

import os
from pathlib import Path

import torch

from sr_model.errors import ConfigError

DEVICES = ("auto", "cuda", "mps", "cpu")


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name in DEVICES; `auto` is CUDA, else Apple's GPU (MPS), else the CPU.

    Raises ConfigError for other names and for a device that is not available.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    if name not in there:
        raise ConfigError(f"There is no device {name!r}; choose one of: {', '.join(DEVICES)}.")
    if not there[name]:
        raise ConfigError(f"There is no {name.upper()} device here; choose --device cpu or auto.")
    return torch.device(name)


def supports_bfloat16(device: torch.device) -> bool:
    """Whether the hardware has bfloat16 arithmetic, which doubles the speed of training."""
    if device.type == "mps":
        return False
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.backends.cpu.get_cpu_capability()
    return capabilities == "AVX512" and _cpu_flag("avx512_bf16")


def limit_threads(streams: int = 1) -> None:
    """Limit torch to the processors this process may use: it counts the host's, and a container may have fewer.

    With `streams` pictures at a time each has its share of them.
    """
    torch.set_num_threads(min(torch.get_num_threads(), max(1, available_cpus() // streams)))


def available_cpus() -> int:
    """Processors this process may use: the lower of its affinity and its cgroup's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no cgroup, or an older kind
    return count


def describe(device: torch.device) -> str:
    """For display: the name of the graphics card, or the number of CPU threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def _cpu_flag(flag: str) -> bool:
    try:
        return flag in Path("/proc/cpuinfo").read_text().split("\n\n")[0].split()
    except OSError:
        return False
