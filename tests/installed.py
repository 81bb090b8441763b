"""The wheel, and a fresh environment that it is installed in."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SOURCES = ("sr_model", "weights", "pyproject.toml", "README.md", "LICENSE")


def pip(*arguments: str | Path) -> None:
    """Run this environment's pip."""
    subprocess.run([sys.executable, "-m", "pip", "-q", *map(str, arguments)], check=True)


def build_wheel(folder: Path) -> Path:
    """The wheel, built in `folder` of a copy of the sources, so that nothing of an earlier build gets in."""
    copy = folder / "sources"
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    # Without isolation pip takes the setuptools that is there; with it, it would download one.
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel in it and, beside it, the packages that the tests run with."""

    python: Path

    @classmethod
    def make(cls, folder: Path, wheel: Path, without: Iterable[str] = ()) -> "Environment":
        """Only torch and its like come from outside, by a .pth file: to download them takes minutes.

        `without` are modules that cannot be imported there, as if they were not installed.
        """
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        scheme = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
        Path(scheme["purelib"], "shared.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        Path(scheme["purelib"], "sitecustomize.py").write_text(
            f"import sys; sys.modules.update(dict.fromkeys({tuple(without)}))"
        )
        python = Path(scheme["scripts"]) / Path(sys.executable).name
        pip("--python", python, "install", "--no-deps", wheel)
        return cls(python)

    def run(self, *arguments: Any, folder: Path, command: str = "", **variables: str) -> subprocess.CompletedProcess:
        """Run Python, or a command that was installed, in a folder that is not the repository's."""
        program = self.python.with_name(command) if command else self.python
        env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        return subprocess.run(
            [program, *arguments], cwd=folder, env=env | variables, capture_output=True, text=True, check=False
        )
