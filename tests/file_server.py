"""A server that brings one archive of pictures, as well or as badly as it is told."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np

from sr_model.data.download import RemoteFile
from tests.servers import Server

PICTURES = {f"{i:04}.png": np.random.default_rng(i).bytes(20_000) for i in range(3)}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


ARCHIVE = zipped({f"DIV/{name}": content for name, content in PICTURES.items()})


class Site:
    """A server of one file that does as badly as it is told."""

    def __init__(self) -> None:
        self.content = ARCHIVE
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.has: int | None = None  # bytes of the content that it can read
        self.skips = 0  # bytes between where it is asked to resume and where it does
        self.ranges = True
        self.status: int | None = None
        self.kind = "application/zip"
        self.asked: list[str | None] = []  # the Range header of each request
        self.sent = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tiny.zip"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        begin += self.skips if begin else 0
        if self.status or begin >= len(self.content):
            handler.send_error(self.status or 416)
            return
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(self.content) - begin))
        handler.send_header("Content-Type", self.kind)
        handler.end_headers()
        body = self.content[: self.has][begin:]
        body = body[: self.cuts.pop(0)] if self.cuts else body
        self.sent += len(body)
        handler.wfile.write(body)

    def file(self) -> RemoteFile:
        """What this site has now."""
        return RemoteFile(self.url, len(self.content), hashlib.sha256(self.content).hexdigest())


@contextmanager
def serving() -> Iterator[Site]:
    """A site that answers until the end of the block."""
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()
        thread.join()


def names(folder: Path) -> set[str]:
    """What lies in a folder, but for the lock of the set `tiny`."""
    return {path.name for path in folder.iterdir()} - {".tiny.lock"}
