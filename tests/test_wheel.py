import importlib
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from sr_model.commands.common import EXTRAS, run
from sr_model.imaging.images import open_image
from sr_model.models import weights
from sr_model.models.hub import RELEASED
from sr_model.networks import build, presets
from tests.conftest import EXAMPLES
from tests.hub_server import serving
from tests.installed import ROOT, Environment, build_wheel

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    return Environment.make(tmp_path_factory.mktemp("environment") / "venv", wheel, without=EXTRAS)


def test_the_wheel_holds_the_small_weights_and_the_jsons_of_all(wheel: Path) -> None:
    """`nano` and `base` work right away; of the others the json, whose sha256 says what may be fetched."""
    names = set(zipfile.ZipFile(wheel).namelist())
    held = {Path(name).name for name in names if name.startswith("sr_model/shipped_weights/")}
    for preset, scale in weights.available():
        assert f"{weights.name(preset, scale)}.json" in held
        assert (f"{weights.name(preset, scale)}.safetensors" in held) == preset.startswith(("nano", "base"))
    assert "sr_model/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]


def test_the_wheel_holds_all_that_the_page_serves(wheel: Path) -> None:
    """Scripts, styles, words and the runtime for browsers, with its licence."""
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {path for path in (ROOT / "sr_model/ui").rglob("*") if path.suffix not in ("", ".py", ".pyc")}
    assert {path.relative_to(ROOT).as_posix() for path in ours} <= names


def test_an_installed_package_enlarges_a_photo_from_any_folder(installed: Environment, tmp_path: Path) -> None:
    """`sr-model` and `from sr_model import Upscaler` need nothing of the repository and none of the extras."""
    open_image(EXAMPLES / "flower.jpg").resize((60, 40)).save(tmp_path / "small.png")
    done = installed.run("upscale", "small.png", "large.png", "--preset", "nano", folder=tmp_path, command="sr-model")
    assert done.returncode == 0, done.stderr
    script = """
from pathlib import Path
from PIL import Image
import sr_model
from sr_model import Upscaler
Upscaler.from_preset("base", scale=2)(Image.open("small.png")).save("base.png")
print(Path(sr_model.__file__).parent)
"""
    done = installed.run("-c", script, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ROOT not in Path(done.stdout.strip()).parents
    assert [Image.open(tmp_path / name).size for name in ("large.png", "base.png")] == [(120, 80), (120, 80)]


def test_weights_that_the_wheel_leaves_out_are_fetched_once(installed: Environment, tmp_path: Path) -> None:
    """From the repository of releases, if they are those whose sha256 the wheel has in its json."""
    open_image(EXAMPLES / "flower.jpg").resize((30, 20)).save(tmp_path / "small.png")
    files = {path.name: path.read_bytes() for path in weights.SHIPPED.glob("classic-x1.*")}
    command = "upscale", "small.png", "large.png", "--preset", "classic", "--engine", "torch"
    with serving() as hub:
        known = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache")}
        sha = hub.add(RELEASED, files)
        done = installed.run(*command, folder=tmp_path, command="sr-model", **known)
        assert done.returncode == 0, done.stderr
        assert f"Weights: hf://{RELEASED}@{sha}" in done.stderr
        weights.save(build(presets.config("classic", 1)), "classic", tmp_path / "newer", {}, {})
        hub.add(RELEASED, {path.name: path.read_bytes() for path in (tmp_path / "newer").iterdir()})
        done = installed.run(*command, folder=tmp_path, command="sr-model", **known)
        assert done.returncode == 1
        assert "pip install -U sr-model" in done.stderr


def test_importing_the_package_imports_nothing_slow() -> None:
    """`import sr_model` brings neither torch nor anything else that is not Python's own; `Upscaler` does."""
    script = """
import sys
before = set(sys.modules)
import sr_model
new = {name.split(".")[0] for name in set(sys.modules) - before} - {"sr_model"}
print(sorted(new - set(sys.stdlib_module_names)))
assert "Upscaler" in dir(sr_model)
sr_model.Upscaler
assert "torch" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_requirements_txt_is_the_core_with_app_and_train() -> None:
    """What `pip install -r requirements.txt` brings is what the wheel asks for with [app,train].

    What only some jobs need (video, storage, lists, a cluster) is in extras of its own, and among what tests need.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    parts = [project["dependencies"], extras.pop("app"), extras.pop("train")]
    asked = sorted({str(Requirement(line)) for part in parts for line in part})
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    assert asked == sorted(str(Requirement(line)) for line in lines if line)
    assert len(asked) == len({Requirement(line).name for line in asked})
    for_tests = {line.partition("#")[0].strip() for line in (ROOT / "requirements-dev.txt").read_text().splitlines()}
    assert {line for part in extras.values() for line in part} <= for_tests


@pytest.mark.parametrize("module", EXTRAS)
def test_a_missing_extra_is_a_sentence(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a module that only an extra brings is missing, the command says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    assert run(lambda: bool(importlib.import_module(module))) == 1
    assert f"pip install 'sr-model[{EXTRAS[module]}]'" in capsys.readouterr().err
