"""How much memory there is, and giving back what this process has freed but the C library still holds."""

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

M_ARENA_MAX = -8  # of malloc.h
DELAY = 1.0  # seconds: by then the caller has dropped the result


def use_few_arenas() -> None:
    """Let all threads allocate from two regions of memory, unless MALLOC_ARENA_MAX says otherwise. Only for glibc.

    By itself it makes up to eight for each processor, and what one thread frees there, others cannot use: the page
    under load then takes 170 MB more. Call it before there are threads.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library or system
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def release() -> None:
    """Return freed memory to the system. Only glibc needs this; it keeps most freed memory for itself.

    The freed blocks are scattered: after pictures of a hundred sizes the page holds 100 MB of them.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library or system
        return
    trim(0)


def release_soon(first: Callable[[], None]) -> None:
    """Call `first`, which frees more, and then `release` in a moment, from another thread."""

    def both() -> None:
        first()
        release()

    timer = threading.Timer(DELAY, both)
    timer.daemon = True
    timer.start()


def resident(peak: bool = False) -> int:
    """Bytes that this process holds now, or its peak since the last reset; elsewhere than on Linux always the peak."""
    held = _field("/proc/self/status", "VmHWM" if peak else "VmRSS")
    if held is not None:
        return held
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def available() -> int | None:
    """Bytes that processes can still get without swapping, where the system tells (Linux)."""
    return _field("/proc/meminfo", "MemAvailable")


def _field(path: str, name: str) -> int | None:
    try:
        lines = Path(path).read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return None
