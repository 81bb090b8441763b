"""What the page does under load: `python -m benchmarks.load [--requests 1000]`, against a server that it starts itself.

With `--url http://127.0.0.1:7860` it is against one that runs already; never aim it at one that is not yours.

Twenty clients, each with an address of its own, send pictures of mixed sizes and kinds through the API; some are no
pictures, some uploads are broken off, some jobs are left half way, and some clients ask for more than their share. Two
hundred more connections send their requests byte by byte, for ever. Every answer has to be a result or a sentence. The
page is loaded twice a second meanwhile. Prints what the answers were, the page's times, and memory and disk, of which
the page gets 15 MB, at each tenth; exit status 1 if an answer was neither.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import httpx
import numpy as np

from benchmarks.cold_start import ROOT, answers, free_port
from benchmarks.soak import KINDS, SIDES, picture
from sr_model.models import weights
from sr_model.networks import presets

CLIENTS, SLOW = 20, 200
BURST = 6  # jobs at once, more than a client's share
PICTURES = 60
DISK = 15e6  # bytes, few enough to be used up
WHOLE, BAD, BROKEN_OFF, LEFT, GREEDY = "whole", "bad file", "upload broken off", "job left", "greedy"
MIX = {WHOLE: 0.7, BAD: 0.1, BROKEN_OFF: 0.08, LEFT: 0.08, GREEDY: 0.04}
TIMEOUT = 600.0  # seconds
QUIET = 3.0  # seconds without requests, after which the page has given back what it keeps for the next pictures


@dataclass
class Report:
    """What has been seen."""

    answers: Counter[str] = field(default_factory=Counter)
    sentences: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds from upload to result
    loads: list[float] = field(default_factory=list)  # seconds of the page
    closed: int = 0  # slow connections that the server has given up
    states: list[dict] = field(default_factory=list)  # of /health

    def sentence(self, text: str) -> None:
        """Note an answer that is no result."""
        words = text.split()
        if len(words) > 3 and text.strip()[-1] in ".!" and "Traceback" not in text:
            self.answers["sentence"] += 1
            self.sentences[" ".join(words[:6])] += 1
        else:
            self.wrong.append(text)


@dataclass(frozen=True)
class Load:
    """The clients of one server. `pictures` are files as (bytes, ending); `choices` are presets with scales."""

    url: str
    pictures: list[tuple[bytes, str]]
    choices: list[tuple[str, int]]
    report: Report

    async def client(self, number: int, kinds: asyncio.Queue[str]) -> None:
        """Send requests until there are none left."""
        rng = np.random.default_rng(number)
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT) as http:
            while not kinds.empty():
                kind = kinds.get_nowait()
                try:
                    await self.request(http, kind, rng)
                except Exception as error:  # whatever it is, it is no answer
                    self.report.wrong.append(f"{kind}: {type(error).__name__}: {error}")

    async def request(self, http: httpx.AsyncClient, kind: str, rng: np.random.Generator) -> None:
        """One request of a kind."""
        data, ending = self.pictures[rng.integers(len(self.pictures))]
        if kind == BAD:
            data = [b"no picture", data[: len(data) // 2], b"<svg/>", b""][rng.integers(4)]
        if kind == BROKEN_OFF:
            await self.break_off(data, rng)
            return
        began = time.perf_counter()
        answer = await http.post("/gradio_api/upload", files={"files": (f"picture.{ending}", data)})
        if answer.status_code != 200:
            self.report.sentence(answer.text)
            return
        path = answer.json()[0]
        preset, scale = self.choices[rng.integers(len(self.choices))]
        jobs = BURST if kind == GREEDY else 1
        left = kind == LEFT
        await asyncio.gather(*(self.enlarge(http, path, preset, scale, left) for _ in range(jobs)))
        self.report.waits.append(time.perf_counter() - began)

    async def enlarge(self, http: httpx.AsyncClient, path: str, preset: str, scale: int, leave: bool) -> None:
        """Ask for an enlargement and listen until it is there, or leave at the first sign of work."""
        body = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, scale, preset]}
        asked = await http.post("/gradio_api/call/enlarge", json=body)
        if asked.status_code != 200:
            self.report.sentence(asked.json()["detail"])
            return
        event = ""
        async with http.stream("GET", f"/gradio_api/call/enlarge/{asked.json()['event_id']}") as answer:
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "error":
                    self.report.sentence(str((json.loads(value) or {}).get("error")))
                    return
                elif name == "data" and event == "complete":
                    result = json.loads(value)[0]
                    break
                elif event == "generating" and leave:
                    self.report.answers["left"] += 1
                    return
            else:
                self.report.wrong.append("the answer ended without a result")
                return
        png = (await http.get(f"/gradio_api/file={result['path']}")).content
        if png.startswith(b"\x89PNG"):
            self.report.answers["result"] += 1
        else:
            self.report.wrong.append(png[:80].decode("latin-1"))

    async def break_off(self, data: bytes, rng: np.random.Generator) -> None:
        """Begin an upload and hang up within it."""
        _, writer = await self.connect()
        head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data) + 200}\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        head += 'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        writer.write(head.encode() + data[: int(rng.integers(1, len(data)))])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        self.report.answers["broken off"] += 1

    async def dawdle(self, number: int) -> None:
        """Send a request byte by byte until the server hangs up."""
        begin = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " if number % 2 else b"POST /gradio_api/call/enlarge HTTP/1.1\r\n"
        begin += b"" if number % 2 else b"Host: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
        reader, writer = await self.connect()
        writer.write(begin)
        try:
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 1)
        except OSError:
            pass
        finally:
            writer.close()
        self.report.closed += 1

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server."""
        host, port = self.url.removeprefix("http://").split(":")
        return await asyncio.open_connection(host, int(port))

    def watch(self, ended: threading.Event, every: float = 0.5) -> None:
        """Load the page again and again, in a thread of its own."""
        while not ended.wait(every):
            began = time.perf_counter()
            with urlopen(self.url, timeout=TIMEOUT) as answer:
                answer.read()
            self.report.loads.append(time.perf_counter() - began)

    def look(self) -> dict:
        """What /health says."""
        with urlopen(f"{self.url}/health", timeout=TIMEOUT) as answer:
            state: dict = json.load(answer)
        self.report.states.append(state)
        return state

    async def run(self, requests: int) -> None:
        """All of it; memory and disk are printed at each tenth."""
        order = np.random.default_rng(0).choice(list(MIX), requests, p=list(MIX.values())).tolist()
        slow = [asyncio.create_task(self.dawdle(i)) for i in range(SLOW)]
        for part in range(10):
            kinds: asyncio.Queue[str] = asyncio.Queue()
            for kind in order[part * requests // 10 : (part + 1) * requests // 10]:
                kinds.put_nowait(kind)
            await asyncio.gather(*(self.client(i, kinds) for i in range(CLIENTS)))
            await asyncio.sleep(QUIET)  # what pictures in work take is no leak
            state = await asyncio.to_thread(self.look)
            memory, disk = state["memory"]["used"] / 1e6, state["disk"]["used"] / 1e6
            print(f"{10 * (part + 1):3} %: memory {memory:,.0f} MB, disk {disk:,.0f} MB", flush=True)
        for task in slow:
            task.cancel()


def choices() -> list[tuple[str, int]]:
    """The project's own networks, those that need no download."""
    return [(p, s) for p, s in weights.available() if p.removesuffix(presets.INT8) in ("nano", "base")]


@contextlib.contextmanager
def serving(url: str, folder: str) -> Iterator[None]:
    """A page of its own at this address, whose files are in `folder`."""
    port = url.rpartition(":")[2]
    command = [sys.executable, "app.py", "--port", port, "--device", "cpu", "--disk-gb", str(DISK / 1e9)]
    own = os.environ | {"GRADIO_TEMP_DIR": folder}
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=own)
    try:
        while not answers(url):
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait()


def main() -> int:
    """Start the page, load it, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--url", help="a page of your own that runs already, http://HOST:PORT")
    options = parser.parse_args()
    requests = options.requests
    url = (options.url or f"http://127.0.0.1:{free_port()}").rstrip("/")
    if not re.fullmatch(r"http://[^/:]+:\d+", url):
        parser.error(f"--url is {url}; it must be like http://127.0.0.1:7860")
    rng = np.random.default_rng(0)
    report, ended = Report(), threading.Event()
    with tempfile.TemporaryDirectory() as name:
        pictures = []
        for i in range(PICTURES):
            kind = KINDS[i % len(KINDS)]
            w, h = rng.integers(*SIDES, 2).tolist()
            pictures.append((picture((w, h), kind, rng, Path(name)).read_bytes(), kind.lower()))
        load = Load(url, pictures, choices(), report)
        with contextlib.nullcontext() if options.url else serving(url, name):
            watcher = threading.Thread(target=load.watch, args=(ended,))
            watcher.start()
            began = time.perf_counter()
            try:
                asyncio.run(load.run(requests))
            finally:
                ended.set()
                watcher.join()
            seconds = time.perf_counter() - began - 10 * QUIET
    print(f"{requests} requests in {seconds:.0f} s: {dict(report.answers)}; slow connections given up: {report.closed}")
    for sentence, count in report.sentences.most_common():
        print(f"  {count:4}  {sentence} ...")
    loads, waits = (1000 * np.array(report.loads), np.array(report.waits))
    print(
        f"page: median {np.median(loads):.0f} ms, 99 % {np.quantile(loads, 0.99):.0f} ms, at most {loads.max():.0f} ms"
    )
    print(f"upload to result: median {np.median(waits):.1f} s, at most {waits.max():.1f} s")
    for wrong in report.wrong[:20]:
        print(f"neither result nor sentence: {wrong}")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
