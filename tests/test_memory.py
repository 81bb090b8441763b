import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import re, sys
from pathlib import Path
from sr_model.system import memory

def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

pieces = [bytearray(50_000) for _ in range(4000)]
kept = pieces[::1000]  # what stands in the way of a heap that shrinks
before = held()
del pieces
memory.release()
print(before - held())
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_freed_memory_goes_back() -> None:
    """Most of 200 MB in small pieces, in a process whose heap is its own."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 150


ARENAS = """
import ctypes, threading
from sr_model.system import memory

if {few}:
    memory.use_few_arenas()
together = threading.Barrier(8)

def work():
    pieces = [bytearray(5_000) for _ in range(100)]
    together.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
file = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(file))
libc.fflush(ctypes.c_void_p(file))
"""


def arenas(few: bool) -> int:
    """How many regions eight threads at once allocate from, in a process of their own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    script = ARENAS.format(few=few)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=plain)
    return done.stdout.count("<heap nr=")


@pytest.mark.long
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries know no arenas")
def test_threads_share_few_arenas() -> None:
    """Two, where there would be more."""
    assert arenas(few=True) == 2 < arenas(few=False)
