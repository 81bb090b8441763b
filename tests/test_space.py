import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import gradio
import pytest
from huggingface_hub import metadata_load
from packaging.requirements import Requirement
from packaging.version import Version

from sr_model.commands.main import main
from sr_model.models import weights
from sr_model.publishing import space
from sr_model.ui.jobs.planning import GPU_MOST, Settings, gpu_seconds
from sr_model.ui.work import ENLARGE, NETWORKS, Job
from tests.conftest import EXAMPLES
from tests.hub_server import OWNER, Hub, pretending

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
NAME = "someone/page"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that huggingface_hub takes for the real one, its owner logged in."""
    with pretending(tmp_path, monkeypatch) as server:
        monkeypatch.setenv("HF_TOKEN", OWNER)
        yield server


def test_the_front_matter_is_what_spaces_take_and_fits_the_installed_gradio() -> None:
    """Known keys and values, and an sdk_version that requirements.txt allows and that is what the tests run with."""
    front = metadata_load(ROOT / "README.md")
    assert front is not None
    assert front["sdk"] == "gradio"
    assert (ROOT / front["app_file"]).is_file()
    assert {front["colorFrom"], front["colorTo"]} <= COLOURS
    assert 0 < len(front["short_description"]) <= 60
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert isinstance(front["python_version"], str), "quoted, or 3.10 would be 3.1"
    assert Version(front["python_version"]) in Requirement(f"python{asked['requires-python']}").specifier
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    (wanted,) = (Requirement(line.partition("#")[0]) for line in lines if line.startswith("gradio"))
    sdk = Version(front["sdk_version"])
    assert sdk in wanted.specifier
    assert sdk.major == Version(gradio.__version__).major
    assert sdk <= Version(gradio.__version__)


def test_requirements_fit_cpu_and_zero_gpu() -> None:
    """No wheel index, which would keep CUDA away, and no upper bound of torch, of which ZeroGPU has its own."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    assert not [line for line in lines if line.startswith("-")]
    (torch,) = (Requirement(line) for line in lines if re.match(r"torch\b", line))
    assert all(Version(version) in torch.specifier for version in ("2.9.1", "2.10.0", "2.11.0"))


def test_a_space_has_what_the_page_needs_and_nothing_else(
    server: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the deployed files alone the page is built; old files go; the address is printed."""
    assert main(["deploy", NAME]) == 0
    assert capsys.readouterr().out.strip() == f"{server.url}/spaces/{NAME}"
    repository = server.repositories[f"spaces/{NAME}"]
    repository.commit(repository.files | {"old.py": b"", ".gitattributes": b"mine"}, "main")
    assert main(["deploy", NAME, "--hardware", "zero-a10g"]) == 0
    assert repository.settings["flavor"] == "zero-a10g"
    names = set(repository.files)
    assert ".gitattributes" in names
    assert not [n for n in names if n.startswith(("tests", "benchmarks", "docs", "weights/features")) or n == "old.py"]
    assert {f"weights/{weights.name(*entry)}.safetensors" for entry in weights.available()} <= names
    assert {Path(name).name for name in names if name.startswith("examples/")} == {
        *space.shown_examples(),
        "credits.json",
    }
    for name, content in repository.files.items():
        path = tmp_path / "space" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    script = """
from pathlib import Path
import app
from sr_model import ui
page = ui.build_app(device="cpu", engine="torch", examples=Path("examples"))
print(*(block.value for block in page.page.blocks.values() if getattr(block, "elem_id", "") == "sr-weights"))
"""
    env = os.environ | {"SPACE_ID": NAME, "GRADIO_TEMP_DIR": str(tmp_path / "pictures")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "space", env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"(https://huggingface.co/spaces/{NAME}?duplicate=true)" in done.stdout
    assert "base-x2" in done.stdout


def test_a_private_space_and_wrong_hardware(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """--private makes a new one private; unknown hardware is refused with the choices, before anything is made."""
    assert main(["deploy", NAME, "--hardware", "abacus"]) == 2
    assert "cpu-basic" in capsys.readouterr().err
    assert not server.repositories
    assert main(["deploy", NAME, "--private"]) == 0
    assert server.repositories[f"spaces/{NAME}"].private
    assert main(["deploy", "nonsense"]) == 2


def test_a_gpu_is_asked_for_by_tiles() -> None:
    """Longer for more tiles and more networks, and never longer than a job may take."""
    small, large = EXAMPLES / "chelsea.png", EXAMPLES / "raccoon.png"
    few, many = (gpu_seconds(Job(path, ENLARGE, "base", 2)) for path in (small, large))
    assert 0 < few < many < GPU_MOST
    four = Settings(mode=NETWORKS, networks=("a", "b", "c", "d"))
    assert gpu_seconds(Job(large, NETWORKS, "base", 2), four) > many


def test_zero_gpu_wraps_the_work_and_elsewhere_nothing_does(tmp_path: Path) -> None:
    """With the package `spaces` a job's generator is decorated by its duration; without it, it stays as it is."""
    (tmp_path / "spaces.py").write_text(
        "asked = []\n"
        "def GPU(duration):\n"
        "    def decorate(work):\n"
        "        def run(*arguments):\n"
        "            asked.append(duration(*arguments))\n"
        "            yield from work(*arguments)\n"
        "        return run\n"
        "    return decorate\n"
    )
    script = """
import sys
from sr_model.system import zero_gpu
assert "torch" not in sys.modules
def work(n):
    yield from range(n)
wrapped = zero_gpu.on_gpu(work, lambda n: n * 10)
print(wrapped is work, list(wrapped(3)), zero_gpu.spaces and zero_gpu.spaces.asked, zero_gpu.ACTIVE)
"""
    for path, active, expected in (
        ("", "", "True [0, 1, 2] None False"),
        (str(tmp_path), "true", "False [0, 1, 2] [30] True"),
    ):
        env = os.environ | {"PYTHONPATH": path, "SPACES_ZERO_GPU": active}
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stderr
