"""The page as an MCP server: what an agent finds there, and what it gets."""

import asyncio
import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from sr_model.errors import ConfigError
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.ui import page
from tests.conftest import tiny_model


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[page.App]:
    weights.save(tiny_model(), "nano", tmp_path / "weights", {}, {})
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    app = page.build_app(tmp_path / "weights", "cpu")
    yield app
    app.close()


@pytest.mark.long
def test_an_agent_finds_one_tool_and_gets_a_picture(app: page.App, photo: Image.Image) -> None:
    """It enlarges an upload to the library's pixels, and opens neither addresses nor other files."""
    pytest.importorskip("mcp")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    _, address, _ = app.launch(mcp=True, prevent_thread_lock=True, quiet=True)
    small = photo.crop((0, 0, 50, 40))
    file = io.BytesIO()
    small.save(file, "PNG")
    uploaded = httpx.post(f"{address}gradio_api/upload", files={"files": ("a.png", file.getvalue())}).json()[0]

    async def talk() -> tuple[list[Any], list[Any]]:
        there = streamablehttp_client(f"{address}gradio_api/mcp/")
        async with there as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            answers = []
            for path in (uploaded, "http://127.0.0.1:9/a.png", "/etc/passwd"):
                picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
                asked = {"picture": picture, "scale": 2, "preset": "nano"}
                answers.append(await session.call_tool(tools[0].name, asked))
            return tools, answers

    with ThreadPoolExecutor(1) as pool:  # the browser's tests leave a loop running in this thread
        tools, (made, fetched, read) = pool.submit(lambda: asyncio.run(talk())).result()
    (tool,) = tools
    assert "enlarge" in tool.name
    assert set(tool.inputSchema["properties"]) == {"picture", "scale", "preset"}
    assert not made.isError
    data = next(part.data for part in made.content if part.type == "image")
    large = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    assert np.array_equal(large, np.asarray(Upscaler(tiny_model(), "cpu")(small)))
    assert fetched.isError
    assert read.isError


def test_a_missing_package_is_named(app: page.App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a page that agents cannot find."""
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        app.launch(mcp=True)
