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
