"""The real app in this process, and a real browser that watches what the page does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sr_model.models import weights
from sr_model.networks.tutorials import ClassicConfig
from tests.conftest import EXAMPLES, randomised, save_mixed, tiny_model

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


def missing(what: str) -> None:
    """Skip, or fail where the browser tests must run."""
    if os.environ.get("SR_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what} is missing and SR_REQUIRE_BROWSER=1")
    pytest.skip(f"{what} is missing; install it to run the browser tests")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    if not Path(CHROMIUM).exists():
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the app is served, with tiny weights of nano at 2 and 3, of base and photo at 2, of classic at 1."""
    from sr_model import ui

    folder = tmp_path_factory.mktemp("weights")
    for preset, scale in (("nano", 2), ("nano", 3), ("base", 2)):
        weights.save(tiny_model(scale), preset, folder, {}, {})
    weights.save(randomised(ClassicConfig(width=8, latent_width=8)), "classic", folder, {}, {})
    save_mixed("photo", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        app = ui.build_app(folder, "cpu", EXAMPLES)
        _, url, _ = app.launch(prevent_thread_lock=True, quiet=True)
        yield url
        app.close()


Serve = Callable[[Path], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves folders by Python's own `python -m http.server`; gives their addresses."""
    processes: list[subprocess.Popen] = []

    def start(folder: Path) -> str:
        command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        processes.append(process)
        assert process.stdout
        return f"http://127.0.0.1:{process.stdout.readline().split('port ')[1].split()[0]}/"

    yield start
    for process in processes:
        process.terminate()
        process.communicate()


class Visit:
    """A visitor's tab, with what went wrong in it and what it asked of other hosts."""

    def __init__(self, browser: Any, address: str, speaks: Sequence[str] = (), **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        if speaks:  # more languages than one, which Playwright has no option for
            self.context.add_init_script(f"Object.defineProperty(navigator, 'languages', {{ value: {list(speaks)} }})")
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        own = (address, "data:", "blob:")
        self.page.on("request", lambda r: None if r.url.startswith(own) else self.strangers.append(r.url))
        self.page.goto(address)
        self.page.wait_for_selector(".sr-pane img")
        self.page.wait_for_selector("#sr-picture .sr-heading:not(:empty)")  # it hears keys, pastes and drops

    def choose(self, path: Path, picker: str = "#sr-picture") -> None:
        self.page.set_input_files(f"{picker} input", path)
        self.chosen(path.name, picker)

    def chosen(self, name: str, picker: str = "#sr-picture") -> None:
        """Wait until a picture of that name has arrived at the server."""
        self.page.locator(f"{picker} [data-state='ready'] .sr-chosen-name", has_text=name).wait_for()

    def compare(self) -> None:
        """Choose the task Compare; what is dropped or chosen is to be enlarged else."""
        self.task("Compare")

    def task(self, name: str) -> None:
        self.page.locator("#sr-mode").get_by_label(name, exact=True).check()

    def press(self, kind: str = "done") -> str:
        """Press the main button and wait for the end of its work; returns the status line's words."""
        self.forget()
        self.page.click("#sr-run")
        return self.ended(kind)

    def forget(self) -> None:
        """Unmark the end of earlier work, so that it is not taken for the next one's."""
        self.page.evaluate("document.querySelector('.sr-status').dataset.kind = 'forgotten'")

    def ended(self, kind: str = "done") -> str:
        self.page.wait_for_selector(f".sr-status[data-kind='{kind}']")
        self.page.wait_for_selector("#sr-run:visible")
        return str(self.page.inner_text("#sr-status")).strip()

    def labels(self) -> list[tuple[str, str]]:
        """(name, size) as written on each pane."""
        panes = self.page.locator(".sr-label").all()
        return [(pane.locator("b").inner_text(), pane.locator(".sr-size").inner_text()) for pane in panes]

    def save(self, index: int, folder: Path, kind: str = "png") -> Path:
        """Download a pane's picture."""
        saving = self.page.locator(".sr-saving")
        saving.locator("select").first.select_option(index=index)
        saving.locator("select").nth(1).select_option(kind)
        with self.page.expect_download() as waiting:
            saving.locator(".sr-download").click()
        path = folder / str(waiting.value.suggested_filename)
        waiting.value.save_as(path)
        return path

    def scores(self) -> list[list[str]]:
        """The table's rows: method, and its numbers."""
        rows = self.page.locator(".sr-scores tbody tr").all()
        return [row.locator("th, td").all_inner_texts() for row in rows]


@pytest.fixture(scope="module")
def tab(browser: Any, address: str) -> Iterator[Visit]:
    """One tab for all tests of a file, each of which brings the picture and the settings that it needs."""
    visit = Visit(browser, address)
    yield visit
    visit.context.close()
    assert visit.errors == []
    assert visit.strangers == []


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """A tab on the page; in the end it must have logged no error and asked no other host for anything."""
    visit = Visit(browser, address)
    yield visit
    visit.context.close()
    assert visit.errors == []
    assert visit.strangers == []
