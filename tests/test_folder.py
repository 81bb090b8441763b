import json
import subprocess
import sys
from pathlib import Path

import pytest

from sr_model.errors import ConfigError, DataError
from sr_model.training import folder


@pytest.mark.long
def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    """The kernel lets go of the lock, however the process ended."""
    script = f"""
import os, pathlib
from sr_model.training import folder
context = folder.hold(pathlib.Path({str(tmp_path)!r}), False)
context.__enter__()
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent.parent).returncode == -9
    with folder.hold(tmp_path, resume=False):
        pass


def test_two_runs_on_one_folder_are_one_too_many(tmp_path: Path) -> None:
    """Whether it resumes or not, the second is refused before it reads or writes."""
    with folder.hold(tmp_path, resume=False):
        for resume in (False, True):
            with pytest.raises(ConfigError, match="Another process"), folder.hold(tmp_path, resume):
                pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in its place, for one; nothing is lost."""
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ConfigError, match=r"--run-dir .* cannot be written"), folder.hold(tmp_path / "run", False):
        pass


def test_history_is_cut_to_where_the_run_goes_on(tmp_path: Path) -> None:
    """Validations after the checkpoint come again, and half a line at the end is no reason to stop."""
    for step in (4, 8, 12):
        folder.append_history(tmp_path, {"step": step})
    with open(tmp_path / folder.HISTORY, "a") as stream:
        stream.write('{"step": 1')
    folder.cut_history(tmp_path, 8)
    lines = (tmp_path / folder.HISTORY).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [4, 8]


def test_a_failure_to_write_becomes_a_sentence() -> None:
    """With what to do."""
    with pytest.raises(DataError, match=r"No space left.*--resume"), folder.told():
        raise OSError(28, "No space left on device", "checkpoints/step-8.safetensors")
