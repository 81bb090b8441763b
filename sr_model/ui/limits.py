"""Upload limits: the size of a request, which files may be opened, and how many pixels they may have."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sr_model.errors import ImageError
from sr_model.ui.cache import FULL

MAX_BYTES = 30 * 1024**2  # of a picture's file
MAX_PIXELS = 16_000_000  # of an uploaded picture or reference
MAX_RESULT_PIXELS = 64_000_000  # of a result: two of them are held and shown at once
MAX_BODY = 256 * 1024  # of a request that is not an upload
UPLOAD_OVERHEAD = 16 * 1024  # what multipart adds to a file
CLOSE = {"connection": "close"}  # what is left of the body is not read
SLOWEST, SLOWEST_UPLOAD = 20.0, 300.0  # seconds until a body must have arrived


class BodyLimit:
    """ASGI middleware that answers 413 to bodies above the limit, whether their length is declared or not.

    Gradio's own limit covers only files in multipart bodies. Bodies that take longer than `seconds`, or uploads than
    `upload_seconds`, get a 408. An upload gets a 507 if `make_room`, called with its largest possible size in bytes,
    finds no room for it.
    """

    def __init__(
        self,
        app: ASGIApp,
        body: int = MAX_BODY,
        upload: int = MAX_BYTES + UPLOAD_OVERHEAD,
        make_room: Callable[[int], bool] = lambda size: True,
        seconds: float = SLOWEST,
        upload_seconds: float = SLOWEST_UPLOAD,
    ) -> None:
        self.app, self.body, self.upload, self.make_room = app, body, upload, make_room
        self.seconds, self.upload_seconds = seconds, upload_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_upload = scope["path"].rstrip("/").endswith("/upload")
        limit = self.upload if is_upload else self.body
        declared = _declared_length(scope["headers"])
        if declared > limit:
            await PlainTextResponse("The request is too large.", status_code=413)(scope, receive, send)
            return
        if is_upload and not await run_in_threadpool(self.make_room, declared or limit):
            await PlainTextResponse(FULL, status_code=507)(scope, receive, send)
            return
        seen, complete = 0, False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.upload_seconds if is_upload else self.seconds)

        async def counted() -> Message:
            nonlocal seen, complete
            try:
                async with asyncio.timeout_at(None if complete else deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The request did not arrive in time.", CLOSE) from None
            complete = complete or not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, "The request is too large.", CLOSE)
            return message

        with contextlib.suppress(ClientDisconnect):  # who breaks off an upload is no error of ours
            await self.app(scope, counted, send)


def uploaded_path(value: Any, folder: Path) -> Path | None:
    """The file that a picker's value names, or None if nothing is chosen.

    The value comes from a browser and may be anything: raises ImageError unless it names a file within `folder`.
    """
    if value is None or value == "":
        return None
    file = value.get("file") if isinstance(value, dict) else None
    name = file.get("path") if isinstance(file, dict) else None
    if not isinstance(name, str) or not name or "\0" in name:
        raise ImageError("The upload failed. Please choose the picture again.")
    path = Path(name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ImageError("Only pictures that were uploaded here can be opened.")
    if not path.is_file():
        raise ImageError("The picture is no longer here: uploads are deleted within an hour. Please choose it again.")
    if path.stat().st_size > MAX_BYTES:
        raise ImageError(f"The file is larger than {MAX_BYTES // 1024**2} MB. Please shrink or crop the picture first.")
    return path


def safe_stem(name: str) -> str:
    """The name of a file without its ending, reduced to what every file system accepts."""
    stem = re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-")[:60]
    return stem or "picture"


def _declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    value = dict(headers).get(b"content-length", b"")
    return int(value) if value.isdigit() else 0
