"""An HTTP server for tests."""

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Says nothing where a client has left before it was answered, which is the client's right.

    The standard one prints a traceback then, among what the command that is being tested says.
    """

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
