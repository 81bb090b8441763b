"""What answers carry: headers that keep the page to itself, and the page's own text compressed."""

import os

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ISOLATION = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
)
# Gradio makes functions of the scripts of its components and writes its configuration into the page, hence `unsafe-`;
# blob: is for pictures and for threads of WebAssembly, data: for the icons within Gradio's styles.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "font-src 'self' data:",
        "connect-src 'self' blob: data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)


def headers() -> list[Middleware]:
    """What every answer carries; on Spaces the README's `custom_headers` isolate the page, and twice would be wrong."""
    isolation = () if "SPACE_ID" in os.environ else ISOLATION
    policy = (b"content-security-policy", POLICY.encode())
    return [Middleware(Headers, headers=(policy, *isolation)), Middleware(Compressed)]


class Headers:
    """ASGI middleware that adds headers to every answer.

    Within a page of another site, as on Spaces, a browser isolates ours only if that page is isolated too.
    """

    def __init__(self, app: ASGIApp, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.app = app
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.headers]
            await send(message)

        await self.app(scope, receive, adding if scope["type"] == "http" else send)


class Compressed:
    """ASGI middleware that compresses the page itself; Gradio's own does so for scripts and styles."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.compressed = GZipMiddleware(app, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["type"] == "http" and scope["path"].endswith("/")
        await (self.compressed if page else self.app)(scope, receive, send)
