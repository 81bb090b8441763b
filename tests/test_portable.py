"""What other systems than Linux lack is not needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent

# As on Windows: no modules of Unix, no folders to open, no affinity, no user number, no sync.
WINDOWS = """
import importlib
import os
import pkgutil
import sys

# Libraries, which have their own ways on each system, take what they need before.
import filelock, gradio, matplotlib.figure, openvino, torch.utils.data, torch.utils.tensorboard, torchvision

for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("O_DIRECTORY", "fork", "geteuid", "getuid", "sched_getaffinity", "sync"):
    delattr(os, name)

import sr_model
from sr_model.system.files import write_atomically
from pathlib import Path

names = [module.name for module in pkgutil.walk_packages(sr_model.__path__, "sr_model.")]
for name in names:
    importlib.import_module(name)
write_atomically(Path(sys.argv[1]) / "file", b"whole")
print(len(names))
"""


def test_every_module_imports_without_what_only_unix_has(tmp_path: Path) -> None:
    """With fcntl and its like made unimportable, each module is imported and a file is written whole."""
    done = subprocess.run([sys.executable, "-c", WINDOWS, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    """A second process is told, waits, and gets the lock when the first has ended, however it ended."""
    script = """
import sys, os
from pathlib import Path
from sr_model.system.lock import locked
with locked(Path(sys.argv[1]), lambda: print("busy", flush=True)):
    print("held", flush=True)
    sys.stdin.readline()
    os._exit(9)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        with subprocess.Popen(command, **pipes) as second:
            assert second.stdout
            assert second.stdout.readline() == "busy\n"
            first.communicate("end\n", timeout=300)
            assert second.stdout.readline() == "held\n"
            second.communicate("end\n", timeout=300)
