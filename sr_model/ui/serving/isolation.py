"""Headers that let scripts of the page share memory between threads."""

import os

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
)


def isolating() -> list[Middleware]:
    """`Isolated`, or nothing on Spaces: there the README's `custom_headers` do it, and twice would be wrong."""
    return [] if "SPACE_ID" in os.environ else [Middleware(Isolated)]


class Isolated:
    """ASGI middleware that asks browsers to isolate the page, which loads nothing from elsewhere.

    Within a page of another site, as on Spaces, a browser does so only if that page is isolated too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def isolating(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self.app(scope, receive, isolating if scope["type"] == "http" else send)
