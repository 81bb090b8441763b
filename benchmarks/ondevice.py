"""Seconds, megabytes and memory of the work in a visitor's browser: `python -m benchmarks.ondevice`.

Writes the page without a server, serves it with and without the headers that allow threads, and in a frame of another
site, and enlarges photos in headless Chromium: by WebAssembly, or with --gpu by WebGPU, on a machine that has an
adapter. "Network" is the time of the tiles as the page reports it, "picture" that from the press to the finished files.
Memory is what all of the browser's processes hold at their peaks above the page that is ready (Linux). --write puts the
tables into docs/ondevice.md.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from sr_model.system.files import between_marks
from sr_model.ui.serving.headers import ISOLATION
from sr_model.ui.standalone import static_page

ROOT = Path(__file__).parent.parent
DOCS, PHOTO = ROOT / "docs" / "ondevice.md", ROOT / "examples" / "raccoon.png"
BEGIN, END = "<!-- ondevice: begin -->", "<!-- ondevice: end -->"
CPU_FLAGS = ["--no-sandbox", "--disable-gpu"]
GPU_FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--ignore-gpu-blocklist", "--enable-features=Vulkan"]
TIMED = (640, 360)
LARGE = ((640, 360), (2000, 2000))
PATIENCE = 600_000  # milliseconds
FRAME = "<!doctype html><title>Another site</title><iframe style='width:100%;height:1200px'></iframe>"
PRESS = """() => new Promise((done) => {
  const status = document.querySelector(".sr-status");
  const begin = performance.now();
  new MutationObserver((_, observer) => {
    if (!["done", "refused"].includes(status.dataset.kind)) return;
    observer.disconnect();
    done([status.dataset.kind, (performance.now() - begin) / 1000]);
  }).observe(status, { attributes: true });
  document.querySelector("#sr-run").click();
})"""


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, with further headers, and notes what is asked for."""

    def __init__(self, *values: Any, headers_too: bool, asked: set[str], **options: Any) -> None:
        self.headers_too, self.asked = headers_too, asked
        super().__init__(*values, **options)

    def end_headers(self) -> None:
        for name, value in ISOLATION if self.headers_too else ():
            self.send_header(name.decode(), value.decode())
        super().end_headers()

    def do_GET(self) -> None:
        self.asked.add(self.path.split("?")[0].lstrip("/") or "index.html")
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path, isolated: bool, asked: set[str]) -> Iterator[str]:
    """The address of a folder that is served meanwhile."""
    handler = partial(Handler, headers_too=isolated, asked=asked, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Tab:
    """A tab on the page, ready to work, in a browser of its own."""

    def __init__(self, playwright: Any, program: str, flags: list[str], address: str, around: str = "") -> None:
        """`around` is the address of a page with a frame, in which the page is shown."""
        self.browser = playwright.chromium.launch(executable_path=program, args=flags)
        tab = self.browser.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.goto(around or address)
        self.page = tab.main_frame
        if around:
            self.page = tab.query_selector("iframe").content_frame()
            self.page.goto(address)
        if "webgpu" in address and not self.page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
            self.browser.close()
            raise SystemExit("This browser gives no WebGPU adapter here.")
        self.page.locator(".sr-device", has_text="for a megapixel").wait_for()
        self.device = str(self.page.inner_text(".sr-device")).split(":")[0]

    def choose(self, path: Path) -> None:
        """A picture that is to be enlarged."""
        self.page.set_input_files("#sr-picture input", path)
        self.page.locator("#sr-mode").get_by_label("Enlarge").check()
        self.page.locator(".sr-plan[data-kind='ready']").wait_for()

    def press(self) -> tuple[float, float]:
        """Seconds of the network, and until the picture is there."""
        kind, seconds = self.page.evaluate(PRESS)
        if kind != "done":
            raise SystemExit(str(self.page.inner_text(".sr-status")))
        return float(self.page.inner_text(".sr-line").rsplit("·", 1)[1].split()[0]), seconds

    def processes(self) -> list[int]:
        found = self.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        return [process["id"] for process in found]


def held(processes: list[int], field: str) -> float:
    """MB of resident memory: `VmRSS` now, `VmHWM` at the peaks since `forget_peaks`."""
    total = 0
    for process in processes:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith(field))
    return total / 1000


def forget_peaks(processes: list[int]) -> None:
    for process in processes:
        Path(f"/proc/{process}/clear_refs").write_text("5")


def downloads(folder: Path, asked: set[str]) -> str:
    """A table of the megabytes that a first visit and a first picture take, as the files are on the disk."""
    groups = {"ONNX Runtime": "app/device/runtime/", "networks": "networks/", "an example": "examples/"}
    sizes = dict.fromkeys((*groups, "the rest of the page"), 0)
    for path in asked:
        group = next((name for name, start in groups.items() if path.startswith(start)), "the rest of the page")
        sizes[group] += (folder / path).stat().st_size
    cells = [f"{size / 1e6:.2f} MB" for size in (*sizes.values(), sum(sizes.values()))]
    return f"| {' | '.join((*sizes, 'together'))} |\n{'|---' * len(cells)}|\n| {' | '.join(cells)} |"


def measure(folder: Path, program: str, gpu: bool, runs: int) -> str:
    """The tables."""
    flags, query = (GPU_FLAGS, "?backend=webgpu") if gpu else (CPU_FLAGS, "?backend=wasm")
    photo = Image.open(PHOTO).convert("RGB")
    paths = {}
    for size in LARGE:
        paths[size] = folder / "{}x{}.png".format(*size)
        photo.resize(size, Image.Resampling.BICUBIC).save(paths[size])
    times = ["| | network | picture |", "|---|---|---|"]
    memory = ["| result | rise | seconds |", "|---|---|---|"]
    with sync_playwright() as playwright:
        for isolated, framed in ((False, False),) if gpu else ((False, False), (True, False), (True, True)):
            asked: set[str] = set()
            with serving(folder / "page", isolated, asked) as address, serving(folder / "site", False, set()) as site:
                around = site.replace("127.0.0.1", "localhost") if framed else ""
                tab = Tab(playwright, program, flags, address + query, around)
                tab.choose(paths[TIMED])
                found = [tab.press() for _ in range(runs + 1)][1:]
                network, picture = (statistics.median(each) for each in zip(*found, strict=True))
                where = ", in a frame of another site" if framed else ""
                times.append(f"| {tab.device}{where} | {network:.2f} s | {picture:.2f} s |")
                tab.browser.close()
        for size in LARGE:  # a browser each, as memory is given back late
            with serving(folder / "page", False, asked) as address:
                tab = Tab(playwright, program, flags, address + query)
                tab.choose(paths[size])
                processes = tab.processes()
                forget_peaks(processes)
                before = held(processes, "VmRSS")
                _, seconds = tab.press()
                rise = held(processes, "VmHWM") - before
                memory.append(f"| {2 * size[0]}x{2 * size[1]} | {rise:.0f} MB | {seconds:.1f} |")
                version = tab.browser.version
                tab.browser.close()
    w, h = TIMED
    return "\n\n".join(
        (
            f"Chromium {version}, `nano` x2, {w}x{h} to {2 * w}x{2 * h}, the median of {runs}:",
            "\n".join(times),
            "What is downloaded:",
            downloads(folder / "page", asked),
            "Memory, and seconds of one picture:",
            "\n".join(memory),
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="by WebGPU")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="(default: 5)")
    parser.add_argument("--browser", default=shutil.which("chromium"), metavar="PROGRAM", help="Chromium or Chrome")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/ondevice.md")
    options = parser.parse_args()
    if not options.browser:
        parser.error("there is no chromium; name one with --browser")
    with tempfile.TemporaryDirectory() as folder:
        static_page.write(Path(folder) / "page")
        (Path(folder) / "site").mkdir()
        (Path(folder) / "site" / "index.html").write_text(FRAME)
        text = measure(Path(folder), options.browser, options.gpu, options.runs)
    if options.write:
        DOCS.write_text(between_marks(DOCS.read_text(), BEGIN, END, text))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
