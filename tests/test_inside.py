"""What the page shows of the inside of a network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model.figures.latent import GAP, channel_sheet, channels
from sr_model.models import weights
from sr_model.ui import cache
from sr_model.ui.handlers import Handlers
from sr_model.ui.jobs import inside
from sr_model.ui.upscalers import Upscalers
from tests.conftest import save_mixed, tiny_model

CHOICES = {"chosen": "compare"}, {"chosen": 2}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    """With base at x2 and mixed weights."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "temp"))
    weights.save(tiny_model(), "base", tmp_path / "weights", {}, {})
    save_mixed("photo", tmp_path / "weights")
    return Handlers(Upscalers(tmp_path / "weights", "cpu"), {}, cache.Store())


def uploaded(desk: Handlers, image: Image.Image, name: str = "picture.png") -> dict[str, Any]:
    path = desk.store.new_folder() / name
    image.save(path)
    return {"file": {"path": str(path), "meta": {"_type": "gradio.FileData"}}, "name": name, "thumb": None}


def opened(value: dict[str, Any]) -> Image.Image:
    image = Image.open(value["file"]["path"])
    assert image.size == (value["width"], value["height"])
    return image


def test_five_panels_and_five_of_a_detail(desk: Handlers, photo: Image.Image) -> None:
    """The last is the visitor's own picture; the answer carries the number of the question."""
    picture = uploaded(desk, photo)
    found = desk.inside({"kind": "panels", "ask": 7}, picture, *CHOICES, {"chosen": "base"})
    assert (found["kind"], found["ask"], len(found["rows"])) == ("panels", 7, 2)
    assert [panel["title"] for panel in found["rows"][0]] == [
        "input",
        "bicubic",
        "latent",
        "Fine 2x output",
        "ground truth",
    ]
    truth = np.asarray(opened(found["rows"][0][-1]).convert("RGB")).astype(int)
    shown = np.asarray(photo.crop((0, 0, *truth.shape[1::-1]))).astype(int)
    assert np.abs(truth - shown).mean() < 3  # but for the frame, and WebP


def test_each_channel_of_the_latent_is_shown(desk: Handlers, photo: Image.Image) -> None:
    """As many as the network has, of any strength where weights are mixed."""
    picture = uploaded(desk, photo.crop((0, 0, 90, 70)))
    found = desk.inside({"kind": "latent", "ask": 1}, picture, *CHOICES, {"chosen": "photo"})
    assert (found["count"], found["shape"]) == (8, "8x18x23")
    assert found["name"].startswith("Photos 2x · ")
    assert opened(found).mode in ("RGB", "L")


@pytest.mark.parametrize(
    ("kind", "preset", "word"), [("panels", "keras", "There is no such network"), ("?", "base", "Please choose")]
)
def test_what_cannot_be_shown_is_said(desk: Handlers, photo: Image.Image, kind: str, preset: str, word: str) -> None:
    """A network that is not there, a kind that is none, no picture, a damaged one: a sentence each."""
    picture = uploaded(desk, photo)
    refused = desk.inside({"kind": kind, "ask": 1}, picture, *CHOICES, {"chosen": preset})
    assert (refused["kind"], refused["ask"]) == ("refused", 1)
    assert word in refused["text"]
    assert desk.inside({"kind": "panels", "ask": 2}, None, *CHOICES, {"chosen": "base"})["kind"] == "refused"
    Path(picture["file"]["path"]).write_bytes(b"no picture")
    assert desk.inside({"kind": "panels", "ask": 3}, picture, *CHOICES, {"chosen": "base"})["kind"] == "refused"


def test_a_network_is_drawn_once(desk: Handlers) -> None:
    """As SVG, of the scale that works for the choice."""
    assert inside.network_of("base", "size", desk.upscalers) == ("base", 2)
    drawn = [inside.drawing("base", 2, desk.upscalers.place.folder) for _ in range(2)]
    assert drawn[0] is drawn[1]
    assert drawn[0].lstrip().startswith(b"<?xml")
    assert b"<svg" in drawn[0][:1000]


@pytest.mark.parametrize("count", [1, 7, 32, 48, 64])
def test_channels_stand_side_by_side(count: int) -> None:
    """Each is stretched to its own range, and few places stay empty."""
    values = torch.arange(count * 12).view(count, 3, 4).float()
    sheet = channels(values, side=1)  # so each value is a pixel
    rows, columns = (sheet.shape[0] + GAP) / (3 + GAP), (sheet.shape[1] + GAP) / (4 + GAP)
    assert rows == int(rows)
    assert columns == int(columns)
    assert count <= rows * columns <= 1.2 * count
    assert sheet.min() == 0
    assert sheet.max() == 255


def test_a_large_latent_is_shown_smaller() -> None:
    """So that all channels fit into about the side that is asked for."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    sheet, shape = channel_sheet(tiny_model(), pixels, side=256)
    assert shape == (8, 150, 200)
    assert max(sheet.shape) < 400
