"""The page as a Space shows it: behind a proxy with another address, in an iframe of another site."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import Serve
from tests.conftest import EXAMPLES
from tests.servers import Server

ENDS_HERE = {"connection", "transfer-encoding", "content-length", "keep-alive", "host"}


@pytest.fixture
def proxy(address: str) -> Iterator[str]:
    """Hands requests on as the proxy of Spaces does: the app sees another host, and the browser's one in a header."""
    app = urlsplit(address).netloc

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ENDS_HERE}
            headers |= {"X-Forwarded-Host": self.headers["Host"], "X-Forwarded-Proto": "http"}
            headers |= {"X-Forwarded-For": "203.0.113.9", "Host": "app.internal", "Content-Length": str(len(body))}
            upstream = HTTPConnection(app)
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ENDS_HERE:
                    self.send_header(name, value)
            self.end_headers()  # the connection's end is the body's
            try:
                while part := answer.read1(65536):
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                pass  # the browser has left
            upstream.close()

        do_POST = do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_the_page_works_in_the_iframe_of_a_space(
    browser: Any, proxy: str, address: str, serve: Serve, tmp_path: Path
) -> None:
    """Upload, work and result go through the proxy and nowhere else; the site's dark theme is taken over."""
    (tmp_path / "index.html").write_text(f'<iframe src="{proxy}?__theme=dark" width="1400" height="900"></iframe>')
    context = browser.new_context(viewport={"width": 1440, "height": 950})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    site = serve(tmp_path)
    page.goto(site)
    inside = page.frame_locator("iframe")
    inside.locator(".sr-pane img").first.wait_for()
    inside.locator("#sr-picture input[type=file]").set_input_files(EXAMPLES / "chelsea.png")
    inside.locator("#sr-picture [data-state='ready'] .sr-chosen-name", has_text="chelsea.png").wait_for()
    inside.locator("#sr-run").click()
    inside.locator(".sr-status[data-kind='done']").wait_for()
    inside.locator(".sr-pane img").first.wait_for()
    assert "dark" in str(inside.locator("body").get_attribute("class"))
    strangers = [url for url in asked if not url.startswith((proxy, site, "data:", "blob:"))]
    assert strangers == []
    assert not [url for url in asked if url.startswith(address)]
    assert [url for url in asked if "/upload" in url]
    context.close()
