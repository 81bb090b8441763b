"""How much memory the page holds under load: `python -m benchmarks.soak` (Linux).

Starts the page, sends it pictures of mixed sizes and kinds, presets and scales by its API, and prints the server's
resident memory: idle, after each hundred requests, at the peak of one job of 16 megapixels, and a minute after it.
"""

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from sr_model.models import weights
from sr_model.networks import presets
from sr_model.system import memory

KINDS = ("PNG", "JPEG", "WEBP")
SIDES = (16, 257)  # pixels of the small pictures
LARGE = (2000, 2000)  # 16 megapixels at x2


class Page:
    """The page in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "app.py", "--device", "cpu"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if address := re.search(r"http://\S+:\d+", line):
                break
        else:
            raise SystemExit("The page did not start.")
        self.client = Client(address[0], download_files=folder, verbose=False, httpx_kwargs={"timeout": None})

    def memory(self) -> float:
        """MB that the process holds, once it has returned what the last job freed."""
        time.sleep(3 * memory.DELAY)
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = re.search(r"VmRSS:\s+(\d+)", status)
        assert kilobytes is not None, "Linux says it"
        return int(kilobytes[1]) / 1024

    def enlarge(self, path: Path, preset: str, scale: int) -> None:
        self.client.predict(handle_file(path), scale, preset, api_name="/enlarge")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def picture(size: tuple[int, int], kind: str, rng: np.random.Generator, folder: Path) -> Path:
    """A file of coarse noise, which compresses like a photo."""
    coarse = Image.fromarray(rng.integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8))
    data = io.BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(data, kind)
    path = folder / f"picture.{kind.lower()}"
    path.write_bytes(data.getvalue())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=1000, help="pictures to send (default: 1000)")
    requests = parser.parse_args().requests
    rng = np.random.default_rng(0)
    choices = [(p, s) for p, s in weights.available() if p.removesuffix(presets.INT8) in ("nano", "base")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = Page(folder)
        try:
            for preset, scale in choices:  # every network is loaded once before anything is counted
                page.enlarge(picture((64, 64), "PNG", rng, folder), preset, scale)
            print(f"idle, all networks once: {page.memory():,.0f} MB", flush=True)
            for i in range(1, requests + 1):
                preset, scale = choices[rng.integers(len(choices))]
                w, h = rng.integers(*SIDES, 2).tolist()
                page.enlarge(picture((w, h), KINDS[rng.integers(len(KINDS))], rng, folder), preset, scale)
                if i % 100 == 0:
                    print(f"after {i:,} requests: {page.memory():,.0f} MB", flush=True)
            before = page.memory()
            page.enlarge(picture(LARGE, "JPEG", rng, folder), "nano", 2)
            print(f"after a job of 16 megapixels: {page.memory() - before:+,.0f} MB", flush=True)
            time.sleep(60)
            print(f"a minute later: {page.memory() - before:+,.0f} MB", flush=True)
        finally:
            page.close()


if __name__ == "__main__":
    main()
