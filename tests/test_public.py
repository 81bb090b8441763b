import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import sr_model
from sr_model.commands.main import build_parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_all_names_exist_and_nothing_else_is_meant() -> None:
    """`__all__` is what `from sr_model import ...` is for."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse((ROOT / "sr_model/__init__.py").read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sr_model")
        for alias in node.names
    }
    assert set(sr_model.__all__) == imported
    assert all(hasattr(sr_model, name) for name in sr_model.__all__)


def test_every_command_is_in_the_readme() -> None:
    """A command that the README does not show is one that nobody finds."""
    commands = next(a for a in build_parser()._actions if a.choices is not None and isinstance(a.choices, dict)).choices
    assert commands
    for command in commands or ():
        assert f"python -m sr_model {command}" in README


def test_every_module_is_in_the_readme_s_tree() -> None:
    """The annotated tree names each module of the package in its folder, and none that is not there."""
    tree = README.split("## What is where", 1)[1].split("```")[1]
    folders: list[str] = []
    named = set()
    for indent, name in re.findall(r"^( *)(\S+)", tree, re.MULTILINE):
        del folders[len(indent) // 2 :]
        if name.endswith("/"):
            folders.append(name)
        elif folders and folders[0] == "sr_model/":
            named.add("".join(folders) + name)
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "sr_model").rglob("*.py") if path.parent.name != "ui"}
    assert named == {path for path in found if not Path(path).name.startswith("__")}


def test_every_folder_of_modules_is_packed() -> None:
    """`pip install` takes the packages that are listed, and no others."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "sr_model").rglob("*.py")}
    assert found <= set(packages)


def test_what_the_readme_imports_exists() -> None:
    """The lines of Python in the README name real things."""
    found = re.findall(r"^from (sr_model[\w.]*) import (\w+)", README, re.MULTILINE)
    assert found
    for module, name in found:
        assert hasattr(importlib.import_module(module), name)


def test_public_functions_say_what_they_do() -> None:
    """Every public class and function of the package has a docstring."""
    bare = []
    for path in (ROOT / "sr_model").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                trivial = len(ast.unparse(node).splitlines()) <= 4
                if not trivial and not ast.get_docstring(node):
                    bare.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not bare


def test_the_readme_s_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of Python in the README does what it says, in a folder with a small.jpg."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    Image.open(ROOT / "examples/flower.jpg").resize((48, 32)).save("small.jpg")
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert Image.open("large.png").size == (96, 64)
