"""Who may ask how much: shares of the queue, clients' addresses behind proxies, and what /health says."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse

import sr_model
from sr_model.errors import ConfigError
from sr_model.models import weights
from sr_model.networks.autoencoder import Autoencoder
from sr_model.ui import cache, limits
from sr_model.ui.serving import crowd, proxies
from tests.conftest import tiny_model


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app with nano at 2; it believes proxies on this machine."""
    from sr_model import ui

    folder = tmp_path_factory.mktemp("weights")
    weights.save(tiny_model(), "nano", folder, {}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        patch.delenv(proxies.VARIABLE, raising=False)
        page = ui.build_app(folder, "cpu")
        _, address, _ = page.launch(prevent_thread_lock=True, quiet=True)
        yield address.rstrip("/")
        page.close()


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Networks wait until this is set, so jobs stay in the queue."""
    go = threading.Event()
    prepare = Autoencoder.prepare

    def waits(self: Autoencoder, x: Any) -> Any:
        go.wait(60)
        return prepare(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(Autoencoder, "prepare", waits)
        yield go
        go.set()


def join(served: str, path: str, client: str = "") -> httpx.Response:
    """Ask for an enlargement, as the client that a proxy on this machine names."""
    data = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, 2, "nano"]}
    headers = {"X-Forwarded-For": client} if client else {}
    return httpx.post(f"{served}/gradio_api/call/enlarge", json=data, headers=headers, timeout=60)


def upload(served: str, folder: Path, side: int = 8) -> str:
    Image.new("RGB", (side, side)).save(folder / "small.png")
    with open(folder / "small.png", "rb") as file:
        return str(httpx.post(f"{served}/gradio_api/upload", files={"files": file}).json()[0])


@pytest.mark.long
def test_one_client_cannot_fill_the_queue(served: str, stopped: threading.Event, tmp_path: Path) -> None:
    """With its share waiting a client is told how many and when; others are served, and it again when one is done.

    When the queue is full, that is what everybody reads. /health counts the jobs meanwhile.
    """
    path = upload(served, tmp_path)
    events = [join(served, path, "198.51.100.1").json()["event_id"] for _ in range(crowd.SHARE)]
    refused = join(served, path, "198.51.100.1")
    assert refused.status_code == 503
    assert refused.json()["detail"].startswith(f"You have {crowd.SHARE} pictures in the queue")
    assert int(refused.headers["retry-after"]) >= crowd.SOON
    # What a client writes before the address that the proxy saw changes nothing.
    assert join(served, path, "203.0.113.77, 198.51.100.1").status_code == 503
    for i in range(crowd.MOST):
        answer = join(served, path, f"203.0.113.{i}")
        if answer.status_code != 200:
            break
        events.append(answer.json()["event_id"])
    assert answer.json()["detail"].startswith(f"The queue is full: {crowd.MOST} pictures are waiting")
    state = httpx.get(f"{served}/health").json()
    assert (state["queue"]["waiting"], state["queue"]["running"]) == (crowd.MOST, 1)
    stopped.set()
    for event in events:
        assert "event: complete" in httpx.get(f"{served}/gradio_api/call/enlarge/{event}", timeout=60).text
    assert join(served, path, "198.51.100.1").status_code == 200


@pytest.mark.long
def test_old_sessions_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request through the API is a session of its own; no more than SESSIONS take memory."""
    from sr_model import ui

    weights.save(tiny_model(), "nano", tmp_path / "weights", {}, {})
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setattr("sr_model.ui.page.SESSIONS", 2)
    page = ui.build_app(tmp_path / "weights", "cpu")
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True)
    address = address.rstrip("/")
    try:
        path = upload(address, tmp_path)
        for _ in range(4):
            event = join(address, path).json()["event_id"]
            assert "event: complete" in httpx.get(f"{address}/gradio_api/call/enlarge/{event}", timeout=60).text
        assert 1 <= len(page.page.state_holder.session_data) <= 2
    finally:
        page.close()


def test_health_says_what_there_is(served: str) -> None:
    """Ready, queue, memory, disk, version and weights, as JSON that nobody keeps."""
    answer = httpx.get(f"{served}/health")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    state = answer.json()
    assert state["ready"] is True
    assert state["version"] == sr_model.__version__
    assert state["memory"]["used"] > 10**6
    assert 0 < state["disk"]["free"] <= state["disk"]["budget"]
    (name, sha256), *more = state["weights"]["files"].items()
    assert (name, len(sha256), more) == ("nano-x2", 64, [])


def request(host: str) -> Request:
    return Request({"type": "http", "client": (host, 1), "headers": [(b"x-forwarded-for", b"192.0.2.1")]})


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_household_s_network(host: str, client: str) -> None:
    """One IPv6 subscriber has 2^64 addresses, which share one place; the header by itself counts for nothing."""
    assert crowd.client_of(request(host)) == client


def test_only_named_proxies_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default this machine's, on a Space its private network's too; never everybody's."""
    monkeypatch.delenv(proxies.VARIABLE, raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert proxies.default_proxies() == proxies.OWN_MACHINE
    monkeypatch.setenv("SPACE_ID", "someone/something")
    assert "10.0.0.0/8" in proxies.default_proxies()
    monkeypatch.setenv(proxies.VARIABLE, "192.0.2.1")
    assert proxies.default_proxies() == "192.0.2.1"
    proxies.trust("192.0.2.0/24, ::1")
    for wrong in ("*", "proxy.example", "10.0.0.0/8,*"):
        with pytest.raises(ConfigError, match="no address of a proxy"):
            proxies.trust(wrong)
    assert proxies.default_proxies() == "192.0.2.0/24, ::1"


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "5 seconds"), (41, "45 seconds"), (55, "a minute"), (61, "2 minutes")]
)
def test_times_are_said_in_round_numbers(seconds: float, words: str) -> None:
    """Nobody needs to know a wait to the second."""
    assert crowd.in_words(seconds) == words


def test_a_body_that_never_ends_is_given_up() -> None:
    """A client that sends its request too slowly gets a 408; one that listens for long after its body does not."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await asyncio.wait([asyncio.ensure_future(receive())], timeout=0.2)  # as Gradio waits for a disconnection
        await PlainTextResponse("read")(scope, receive, send)

    async def answer(parts: list[dict]) -> Any:
        async def receive() -> dict:
            if not parts:
                await asyncio.sleep(60)
            return parts.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        sent: list[Any] = []
        limited = limits.BodyLimit(app, seconds=0.05, upload_seconds=0.05)
        await limited({"type": "http", "path": "/queue/join", "headers": []}, receive, send)
        return sent

    slow = {"type": "http.request", "body": b"x", "more_body": True}
    whole = {"type": "http.request", "body": b"x", "more_body": False}
    # In a thread: the browser's tests leave a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(HTTPException) as raised:
            pool.submit(asyncio.run, answer([slow])).result()
        assert raised.value.status_code == 408
        assert pool.submit(asyncio.run, answer([slow, whole])).result()[-1]["body"] == b"read"


def test_room_is_made_while_others_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads ask for room in many threads at once, and folders vanish under each of them: nobody fails."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    store = cache.Store(budget=1000)
    old = time.time() - 2 * cache.MAX_AGE
    failed: list[Exception] = []

    def fill_and_sweep(number: int) -> None:
        try:
            for i in range(40):
                folder = store.folder / f"{number}-{i}" / "deep"
                folder.mkdir(parents=True)
                (folder / "a.png").write_bytes(bytes(100))
                for path in (folder / "a.png", folder, folder.parent):
                    with contextlib.suppress(FileNotFoundError):  # another thread was quicker
                        os.utime(path, (old, old))
                store.make_room(100)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=fill_and_sweep, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
