"""What a visitor sees while others are served: the place in the queue, and a kind word when it is full."""

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from sr_model.networks.autoencoder import Autoencoder
from sr_model.ui.serving import crowd
from tests.browser.conftest import Visit
from tests.conftest import EXAMPLES
from tests.test_crowd import join, upload


def test_the_place_in_the_queue_and_a_full_one_are_said(
    visit: Visit, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor reads the place in the queue; with all of its share waiting, how many those are and when to come."""
    go = threading.Event()
    prepare = Autoencoder.prepare

    def waits(self: Autoencoder, x: Any) -> Any:
        go.wait(60)
        return prepare(self, x)

    monkeypatch.setattr(Autoencoder, "prepare", waits)
    served = address.rstrip("/")
    path = upload(served, tmp_path)
    events = [join(served, path, f"203.0.113.{i}").json()["event_id"] for i in range(3)]
    visit.choose(EXAMPLES / "chelsea.png")
    visit.page.click("#sr-run")
    visit.page.locator("#sr-status", has_text="number 3 of 3 in the queue").wait_for()
    visit.page.click("#sr-cancel")
    assert visit.ended("cancelled") == "Cancelled."
    events += [join(served, path).json()["event_id"] for _ in range(crowd.SHARE)]  # from the browser's address
    refused = visit.press("refused")
    assert refused.startswith(f"You have {crowd.SHARE} pictures in the queue")
    assert "Please try again in about" in refused
    visit.errors[:] = [text for text in visit.errors if "503" not in text]  # which the browser logs by itself
    go.set()
    for event in events:
        assert "event: complete" in httpx.get(f"{served}/gradio_api/call/enlarge/{event}", timeout=60).text
    visit.press()
