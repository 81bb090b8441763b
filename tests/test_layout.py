"""The folders of the package: who may import whom, and how they are named."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "sr_model"

# Each folder may import those on the lines above its own, and never one beside or below it.
LAYERS = (
    {"errors"},
    {"system"},
    {"imaging"},
    {"degrading"},
    {"networks"},
    {"data", "models"},
    {"inference"},
    {"evaluation", "exporting", "bulk", "video"},
    {"figures", "losses"},
    {"publishing"},
    {"training", "benchmark"},
    {"ui"},
    {"commands"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def _imports(path: Path) -> Iterator[str]:
    """The folders and root modules of the package that a file imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sr_model":
            parts = (node.module or "").split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("sr_model."))


def test_imports_go_one_way() -> None:
    """A folder imports only what stands above it in LAYERS, so there is no circle and each can be read alone."""
    wrong = []
    for path in PACKAGE.glob("*/**/*.py"):
        folder = path.relative_to(PACKAGE).parts[0]
        for imported in _imports(path):
            if imported != folder and LEVEL[imported] >= LEVEL[folder]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {imported}")
    assert not wrong


def test_the_root_holds_no_modules() -> None:
    """Everything but the entry points and the errors is in a folder that says what it is about."""
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}


def test_no_folder_is_crowded() -> None:
    """At most ten files in a folder, so one sees at a glance what is there; `commands` has one for each command."""
    folders = [path for path in (PACKAGE, *PACKAGE.rglob("*")) if path.is_dir() and path.name != "__pycache__"]
    counts = {
        folder.name: sum(path.is_file() and path.name != "__init__.py" for path in folder.iterdir())
        for folder in folders
        if folder.name != "commands"
    }
    assert {name: count for name, count in counts.items() if count > 10} == {}


def test_every_name_is_there_once() -> None:
    """No two modules or folders share a name; a command may share that of what it calls."""
    names = Counter(
        path.stem
        for path in PACKAGE.rglob("*")
        if path.suffix in ("", ".py") and path.parent.name != "commands" and not path.name.startswith("__")
    )
    assert {name: count for name, count in names.items() if count > 1} == {}
