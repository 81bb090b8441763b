import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from sr_model.bulk.journal import FOLDER
from sr_model.commands.main import main
from tests.conftest import save_mixed

pytestmark = pytest.mark.slow

COUNT = 120
OPEN = {"RAY_AUTH_MODE": "disabled"}  # on this machine only, and not for long


@pytest.fixture
def network(tmp_path: Path) -> list[str]:
    """Options of the command line for a tiny network whose weights depend on the picture."""
    save_mixed("photo", tmp_path / "weights")
    return ["--preset", "photo", "--weights", str(tmp_path / "weights"), "--device", "cpu"]


@pytest.fixture
def pictures(tmp_path: Path, photo: Image.Image) -> Path:
    """Photos, some of them strongly compressed, and one file that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(COUNT - 1):
        photo.crop((i, i, 200 + i, 150 + i)).save(folder / f"{i:03}.{'jpg' if i % 2 else 'png'}", quality=40)
    (folder / "bad.png").write_bytes(b"nothing")
    return folder


@pytest.fixture
def head() -> Iterator["Head"]:
    found = Head()
    found.start()
    yield found
    found.kill()


class Head:
    """A Ray of its own on this machine, that can be killed as a power cut would."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        ray = Path(sys.executable).parent / "ray"
        options = [f"--port={self.port}", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
        command = [str(ray), "start", "--head", "--block", "--node-ip-address=127.0.0.1", *options]
        environment = os.environ | {"PYTHONPATH": os.getcwd()} | OPEN
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "ray did not start"
            time.sleep(0.2)

    def kill(self) -> None:
        """All of its processes at once: they are one session."""
        if self.process is not None:
            _kill_session(self.process.pid)
            self.process.wait()
            self.process = None


def _kill_session(session: int) -> None:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, IndexError):
                continue


def upscale(arguments: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "sr_model", "upscale", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | OPEN)


def noted(out: Path) -> dict[int, list[str]]:
    """The lines of the journal, by the process that wrote them."""
    return {int(path.stem.split("-")[-1]): path.read_text().splitlines() for path in (out / FOLDER).glob("*.jsonl")}


def results(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


def test_a_killed_worker_loses_nothing_and_does_nothing_twice(
    pictures: Path, tmp_path: Path, network: list[str]
) -> None:
    """Two workers of a local Ray, one killed on the way: all is done once, byte for byte as on one machine."""
    single, out = tmp_path / "single", tmp_path / "out"
    assert main(["upscale", str(pictures), str(single), *network]) == 1
    driver = upscale([str(pictures), str(out), "--cluster", "local", "--workers", "2", *network])
    victim = 0
    while not victim:
        assert driver.poll() is None
        victim = next((pid for pid, lines in noted(out).items() if len(lines) >= 3), 0)
        time.sleep(0.01)
    os.kill(victim, signal.SIGKILL)
    assert driver.wait(timeout=300) == 1, "for the bad file, and nothing else"
    assert results(out) == results(single)
    lines = [line for part in noted(out).values() for line in part]
    assert len(noted(out)) >= 2, "the killed one, and whoever took its pictures over"
    assert len(lines) - (COUNT - 1) in (0, 1), "the one that it had written and not yet noted"


@pytest.mark.skipif("SR_RAY_HEAD" not in os.environ, reason="takes minutes; set SR_RAY_HEAD to run it")
def test_a_job_whose_head_was_killed_goes_on_with_a_new_one(
    pictures: Path, tmp_path: Path, network: list[str], head: Head
) -> None:
    """The driver ends with an error; the same command on a new cluster does what is left, and only that."""
    single, out = tmp_path / "single", tmp_path / "out"
    assert main(["upscale", str(pictures), str(single), *network]) == 1
    command = [str(pictures), str(out), "--workers", "2", *network]
    driver = upscale([*command, "--cluster", head.address])
    while sum(len(lines) for lines in noted(out).values()) < 5:
        assert driver.poll() is None
        time.sleep(0.01)
    head.kill()
    assert driver.wait(timeout=120) != 0
    before = {line for part in noted(out).values() for line in part}
    assert 5 <= len(before) < COUNT

    head.start()
    report = tmp_path / "report"
    assert upscale([*command, "--cluster", head.address, "--report", str(report)]).wait(timeout=300) == 1
    assert results(out) == results(single)
    text = report.read_text()
    assert text.count('"status": "skipped"') >= len(before)
    assert text.count('"status": "done"') <= COUNT - 1 - len(before)
