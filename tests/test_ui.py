"""The page without a browser: handlers called directly, limits, and the sweep."""

import contextlib
import dataclasses
import errno
import http.server
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio import processing_utils
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from torch import Tensor

from sr_model.errors import ConfigError, ImageError, WeightsError
from sr_model.evaluation import comparison
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import Upscaler, best_tile, enlarge_bicubic
from sr_model.models import weights
from sr_model.networks.autoencoder import Autoencoder
from sr_model.networks.tutorials import ClassicConfig
from sr_model.ui import cache, examples, form, handlers, limits, texts
from sr_model.ui.handlers import Handlers
from sr_model.ui.jobs import showing
from sr_model.ui.jobs.judging import Score
from sr_model.ui.upscalers import Upscalers
from sr_model.ui.work import Job, Outcome, Pane, Progress, perform
from tests.conftest import EXAMPLES, randomised, save_mixed, tiny_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of nano at 2 and 3, and of base at 2."""
    folder = tmp_path_factory.mktemp("weights")
    for preset, scale in (("nano", 2), ("nano", 3), ("base", 2)):
        weights.save(tiny_model(scale), preset, folder, {}, {})
    weights.save(randomised(ClassicConfig(width=8, latent_width=8)), "classic", folder, {}, {})
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cache.Store:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return cache.Store()


@pytest.fixture
def uploads(store: cache.Store) -> Path:
    return store.folder


@pytest.fixture
def desk(trained: Path, store: cache.Store) -> Handlers:
    return Handlers(Upscalers(trained, "cpu"), examples.load_examples(EXAMPLES, store.folder), store)


def value_of(path: Path) -> dict[str, Any]:
    """What the browser sends for an uploaded file."""
    return {"file": {"path": str(path), "meta": {"_type": "gradio.FileData"}}, "name": path.name, "thumb": None}


def upload(folder: Path, image: Image.Image, name: str = "small.png") -> dict[str, Any]:
    image.save(folder / name)
    return value_of(folder / name)


def press(desk: Handlers, picture: Any, reference: Any = None, mode: Any = "enlarge", scale: Any = 2) -> Any:
    """(status, viewer's value or None) after the main button's work has ended."""
    *_, last = desk.run(picture, reference, {"chosen": mode}, {"chosen": scale}, {"chosen": "nano"})
    viewer = last[1] if "panes" in last[1] else None
    return last[0], viewer


def test_pictures_shown_are_lossless_and_what_was_measured(desk: Handlers, uploads: Path, photo: Image.Image) -> None:
    """Each file the viewer shows holds, pixel for pixel, what the library makes, and the numbers are of these files."""
    status, viewer = press(desk, upload(uploads, photo), mode="compare")
    assert status["kind"] == "done"
    low, high = comparison.shrink_picture(images.from_pil(photo), 2)
    network = desk.upscalers.get("nano", 2)(low)
    expected = [enlarge_bicubic(low, 2), network, high]
    for pane, picture in zip(viewer["panes"], expected, strict=True):
        shown = images.load(pane["file"]["path"])
        assert np.array_equal(shown.pixels, picture.pixels)
        assert (pane["width"], pane["height"]) == picture.size
    psnr, ssim = comparison.compare(network, high, 2)
    assert [cell["text"] for cell in viewer["scores"][1]["cells"][:2]] == [f"{psnr:.2f} dB", f"{ssim:.4f}"]


def test_grey_pictures_are_measured_as_they_are_shown(trained: Path, uploads: Path, photo: Image.Image) -> None:
    """A grey result is stored with one channel, and the numbers are of that channel, not of the network's three."""
    path = uploads / "grey.png"
    photo.convert("L").crop((0, 0, 60, 40)).save(path)
    upscaler = Upscalers(trained, "cpu").get("nano", 2)
    *_, outcome = perform(Job(path, "compare", "nano", 2), upscaler)
    assert isinstance(outcome, Outcome)
    shown = images.from_pil(images.to_pil(outcome.panes[1].picture))
    reference = outcome.panes[2].picture
    assert (outcome.scores[1].psnr, outcome.scores[1].ssim) == comparison.compare(shown, reference, 2)


def test_without_a_reference_there_are_two_panes_and_no_numbers(desk: Handlers, uploads: Path) -> None:
    """Enlarge alone has no truth to measure against; it says how to get one, and what agrees with the input."""
    _, viewer = press(desk, upload(uploads, Image.new("RGB", (5, 7))))
    assert [pane["title"] for pane in viewer["panes"]] == ["Bicubic", "Autoencoder"]
    assert [pane["name"] for pane in viewer["panes"]] == ["small-bicubic-x2.png", "small-nano-x2.png"]
    assert viewer["columns"] == ["agreement"]
    assert viewer["note"] == "no_reference"
    assert [bar["kind"] for bar in viewer["bars"]] == ["added", "off"]
    assert [list(pane["maps"]) for pane in viewer["panes"]] == [["off"], ["added", "off"]]
    assert Image.open(viewer["panes"][1]["maps"]["off"]["path"]).size == (5, 7)


@pytest.mark.parametrize("size", [(10, 14), (11, 14), (12, 16)])
def test_a_reference_slightly_too_large_is_cut(desk: Handlers, uploads: Path, size: tuple[int, int]) -> None:
    """Originals are seldom a multiple of the scale: up to `scale` more rows and columns are cut off."""
    picture = upload(uploads, Image.new("RGB", (5, 7)))
    status, viewer = press(desk, picture, upload(uploads, Image.new("RGB", size), "large.png"))
    assert status["kind"] == "done"
    assert {(pane["width"], pane["height"]) for pane in viewer["panes"]} == {(10, 14)}
    assert len(viewer["scores"]) == 2


@pytest.mark.parametrize("size", [(9, 14), (10, 17), (20, 28)])
def test_a_reference_of_another_size_is_refused(desk: Handlers, uploads: Path, size: tuple[int, int]) -> None:
    """The sentence names both sizes and the one that was expected."""
    picture = upload(uploads, Image.new("RGB", (5, 7)))
    status, _ = press(desk, picture, upload(uploads, Image.new("RGB", size), "large.png"))
    assert status["kind"] == "refused"
    for part in (f"{size[0]}x{size[1]}", "5x7", "10x14"):
        assert part in status["text"]


def test_compare_ignores_a_reference(desk: Handlers, uploads: Path) -> None:
    """A file left in the other picker does not disturb Compare."""
    picture = upload(uploads, Image.new("RGB", (20, 20)))
    status, _ = press(desk, picture, {"file": {"path": "/etc/passwd"}}, mode="compare")
    assert status["kind"] == "done"


BAD_FILES = {
    "empty.png": b"",
    "text.png": b"this is not a picture",
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "photo.png": b"II*\0" + bytes(100),
    "cut.png": images.encode(Image.effect_noise((64, 64), 90))[:900],
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_gives_a_sentence_and_the_next_one_works(desk: Handlers, uploads: Path, name: str) -> None:
    """Whatever the file holds, the visitor reads a sentence from this program, and can go on."""
    (uploads / name).write_bytes(BAD_FILES[name])
    status, viewer = press(desk, value_of(uploads / name))
    assert (status["kind"], viewer) == ("refused", None)
    assert status["text"].endswith(".")
    assert status["text"] != texts.FAILED
    assert press(desk, upload(uploads, Image.new("RGB", (4, 4))))[0]["kind"] == "done"


def test_pixels_are_limited_before_anything_is_decoded(desk: Handlers, uploads: Path) -> None:
    """A header that promises too many pixels is refused; so is a result that would have too many."""
    status, _ = press(desk, upload(uploads, Image.new("1", (4001, 4000))))
    assert status["kind"] == "refused"
    assert "at most 16 million" in status["text"]
    status, _ = press(desk, upload(uploads, Image.new("1", (4000, 4000))), scale=3)
    assert status["kind"] == "refused"
    assert "144 million" in status["text"]


HOSTILE = [
    "/etc/passwd",
    7,
    [],
    {},
    {"file": None},
    {"file": "/etc/passwd"},
    {"file": {"path": None}},
    {"file": {"path": ["a"]}},
    {"file": {"path": "/etc/passwd"}},
    {"file": {"path": "../../../etc/passwd"}},
    {"file": {"path": "a\0b"}},
    {"file": {"path": "http://localhost/x.png"}},
    {"file": {"path": "x" * 5000}},
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_that_no_upload_made_is_refused(desk: Handlers, value: Any) -> None:
    """A picker's value may be anything; no file outside of the uploads is opened, and the answer is a sentence."""
    status, viewer = press(desk, value)
    assert (status["kind"], viewer) == ("refused", None)
    assert status["text"] != texts.FAILED


def test_a_link_out_of_the_uploads_is_not_followed(uploads: Path) -> None:
    """A path is judged by where it leads."""
    (uploads / "link.png").symlink_to(EXAMPLES / "chelsea.png")
    with pytest.raises(ImageError, match="uploaded here"):
        limits.uploaded_path(value_of(uploads / "link.png"), uploads)


@pytest.mark.parametrize(
    ("mode", "scale"),
    [("destroy", 2), (None, 2), ("enlarge", 7), ("enlarge", "2"), ("enlarge", True), (["enlarge"], 2)],
)
def test_unknown_settings_are_refused(desk: Handlers, uploads: Path, mode: Any, scale: Any) -> None:
    """Settings that the page does not offer end in a sentence too."""
    status, _ = press(desk, upload(uploads, Image.new("RGB", (4, 4))), mode=mode, scale=scale)
    assert status["kind"] == "refused"
    assert status["text"] != texts.FAILED


@pytest.mark.parametrize("data", [None, {}, {"name": "../app.py"}, {"name": ["chelsea.png"]}, "chelsea.png"])
def test_an_unknown_example_is_refused(desk: Handlers, data: Any) -> None:
    """Examples are looked up by name in a fixed table."""
    *_, last = desk.run_example(None, None, None, None, None, None, "auto", gr.EventData(None, data))
    assert last[2]["kind"] == "refused"


def test_an_example_is_chosen_and_run(desk: Handlers) -> None:
    """One press fills the picker, empties the reference, says what will be done, and ends with pictures."""
    mode, scale, preset = ({"chosen": value} for value in ("compare", 2, "nano"))
    event = gr.EventData(None, {"name": "chelsea.png"})
    first, *_, last = desk.run_example(mode, scale, preset, None, None, None, "auto", event)
    assert first[0]["file"]["path"].endswith("chelsea.png")
    assert first[1] is None
    assert first[-1]["source"] == (451, 300), "the plan is of this picture"
    assert last[2]["kind"] == "done"
    assert len(last[3]["panes"]) == 3


def test_a_strength_by_hand_is_what_the_result_was_made_at(
    trained: Path, store: cache.Store, uploads: Path, tmp_path: Path, photo: Image.Image
) -> None:
    """The plan says what would be found; the result says what it was, in its mark and in the name of its file."""
    folder = shutil.copytree(trained, tmp_path / "mixed")
    save_mixed("photo", folder)
    desk = Handlers(Upscalers(folder, "cpu"), {}, store)
    assert desk.upscalers.mixed == ["photo"]
    photo.crop((0, 0, 90, 60)).save(uploads / "worn.jpg", quality=75)
    picture = value_of(uploads / "worn.jpg")
    task, scale, preset = {"chosen": "enlarge"}, {"chosen": 2}, {"chosen": "photo"}
    assert desk.plan(picture, None, task, scale, preset)["strength"] == 0.8125
    made = {}
    for strength in ("auto", 0.25, 0.8125):
        *_, last = desk.run(picture, None, task, scale, preset, strength=strength)
        stamp, pane = last[1]["stamp"], last[1]["panes"][1]
        made[strength] = np.asarray(Image.open(pane["file"]["path"]))
        assert stamp["settings"]["strength"] == strength
        assert stamp["strength"] == (0.8125 if strength == "auto" else strength)
        percent = f"{stamp['strength']:.0%}"
        assert stamp["label"] == f"Photos 2x · {percent}"
        assert pane["name"] == f"worn-photo-x2-strength-{percent.rstrip('%')}.png"
    assert np.array_equal(made["auto"], made[0.8125])
    assert not np.array_equal(made["auto"], made[0.25])
    preset = {"chosen": "nano"}
    assert desk.plan(picture, None, task, scale, preset)["strength"] is None
    *_, last = desk.run(picture, None, task, scale, preset, strength=0.25)
    assert "strength" not in last[1]["stamp"]["settings"]


@pytest.mark.parametrize("strength", [True, [0.5], "much", 1.5, float("nan")])
def test_a_strength_that_is_none_is_refused(desk: Handlers, uploads: Path, strength: Any) -> None:
    """Values come from browsers and may be anything."""
    picture = upload(uploads, Image.new("RGB", (4, 4)))
    task, scale, preset = {"chosen": "enlarge"}, {"chosen": 2}, {"chosen": "nano"}
    *_, last = desk.run(picture, None, task, scale, preset, strength=strength)
    assert last[0]["kind"] == "refused"
    assert "strength" in last[0]["text"]


def test_work_stops_when_nobody_asks_on(trained: Path, uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Cancel or a closed tab no further tile is computed."""
    upscaler = Upscaler(tiny_model(), "cpu", tile=32)
    Image.new("RGB", (320, 32)).save(uploads / "wide.png")
    seen = []
    engine = upscaler.engine

    def counted(x: Tensor) -> Tensor:
        seen.append(x)
        return engine(x)

    monkeypatch.setattr(upscaler, "engine", counted)
    progress = list(itertools.islice(perform(Job(uploads / "wide.png", "enlarge", "nano", 2), upscaler), 4))
    assert [p.done for p in progress if isinstance(p, Progress)] == [0, 1, 2, 3]
    assert len(seen) == 3


def test_an_unforeseen_error_is_a_sentence_and_is_logged(
    desk: Handlers, uploads: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours shows the visitor no traceback, and the log a whole one."""
    monkeypatch.setattr(images, "load", lambda *_: 1 / 0)
    status, _ = press(desk, upload(uploads, Image.new("RGB", (4, 4))))
    assert (status["kind"], status["text"]) == ("refused", texts.FAILED)
    assert "ZeroDivisionError" in caplog.text


def test_the_better_number_is_marked_by_what_is_printed() -> None:
    """Equal prints are both marked; identical pictures have no number of decibels."""

    def rows(*scores: Score) -> list[list[tuple[str, bool]]]:
        picture = Picture(np.zeros((4, 4, 3), np.uint8))
        outcome = Outcome((Pane("a", picture, "a.png"),), scores, (2, 2), 1.0)
        return [[(cell["text"], cell["best"]) for cell in row["cells"]] for row in showing.table(outcome)[1]]

    first, second = rows(Score("a", 30.001, 0.9, 50.0), Score("b", 30.002, 0.8, None))
    assert first == [("30.00 dB", True), ("0.9000", True), ("50.0", True)]
    assert second == [("30.00 dB", True), ("0.8000", False), ("–", False)]
    first, second = rows(Score("a", 30.0, 0.9, 50.0), Score("b", 80.0, 1.0, 100.0))
    assert (first[0], second[0]) == (("30.00 dB", False), ("identical", True))


def test_only_weights_that_are_there_are_offered(trained: Path, tmp_path: Path) -> None:
    """Presets and scales come from the folder; each network is loaded once."""
    upscalers = Upscalers(trained, "cpu")
    assert upscalers.presets == ["nano", "base", "classic"]
    assert upscalers.scales("nano") == [2, 3]
    assert upscalers.default == ("base", 2)
    assert upscalers.get("nano", 3) is upscalers.get("nano", 3)
    with pytest.raises(ConfigError, match="nano-x2, nano-x3, base-x2"):
        upscalers.get("base", 4)
    with pytest.raises(WeightsError, match="no weights"):
        Upscalers(tmp_path, "cpu")


def test_restoring_shows_the_input_where_bicubic_would_be_the_same(desk: Handlers, uploads: Path) -> None:
    """At x1 nothing is enlarged; to compare, the picture was shrunk and enlarged by bicubic."""
    picture = upload(uploads, Image.open(EXAMPLES / "chelsea.png").crop((0, 0, 40, 30)))
    for mode, titles in (("enlarge", ["Input", "Autoencoder"]), ("compare", ["Bicubic", "Autoencoder", "Reference"])):
        *_, last = desk.run(picture, None, {"chosen": mode}, {"chosen": 1}, {"chosen": "classic"})
        assert [(pane["title"], pane["width"]) for pane in last[1]["panes"]] == [(title, 40) for title in titles]
    assert form.scales_of(desk.upscalers, "classic") == [{"value": 1, "label": "1x", "hint": "restores"}]


def test_scales_that_a_preset_has_no_weights_for_are_not_offered(desk: Handlers) -> None:
    """Up to its largest one, those between are made by shrinking; and a size in pixels."""
    offered = {name: [each["value"] for each in form.scales_of(desk.upscalers, name)] for name in ("base", "nano")}
    assert offered == {"base": [2, "size"], "nano": [2, 3, "size"]}


def test_a_cancelled_request_is_not_called_a_failure(desk: Handlers) -> None:
    """Gradio reports both in the same way; the status tells them apart."""
    assert desk.failed({"kind": "cancelled"})[0]["kind"] == "cancelled"
    assert desk.failed({"kind": "waiting"})[0]["kind"] == "refused"
    assert desk.failed("anything")[0]["kind"] == "refused"


@pytest.mark.parametrize(
    ("name", "stem"),
    [("photo.png", "photo"), ("my photo (1).jpeg", "my-photo-1"), ("../../x.png", "x"), ("...", "picture")],
)
def test_names_of_downloads_are_plain(name: str, stem: str) -> None:
    """What a stranger called a file cannot leave the folder or surprise a file system."""
    assert limits.safe_stem(name) == stem
    assert len(limits.safe_stem("ü" * 300)) <= 60


def grow_old(*paths: Path) -> None:
    """As if they had lain there for two hours."""
    for path in paths:
        os.utime(path, (time.time() - 7200,) * 2)


def test_the_sweep_removes_what_is_old_and_nothing_else(store: cache.Store) -> None:
    """Old files, orphans in any depth and old empty folders go; young and kept ones stay."""
    for name in ("old/a.png", "kept/b.png", "young/c.png", "deep/er/d.png"):
        path = store.folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    (store.folder / "empty").mkdir()
    grow_old(*(p for p in store.folder.rglob("*") if "young" not in str(p)))
    store.keep([store.folder / "kept/b.png"])
    assert store.sweep() == 2
    left = {p.relative_to(store.folder).as_posix() for p in store.folder.rglob("*")}
    assert {"kept/b.png", "young/c.png"} <= left
    assert not left & {"old/a.png", "deep/er/d.png", "empty"}


def test_a_stranger_s_files_are_never_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GRADIO_TEMP_DIR may be a folder of other things, even one with a folder of our name: nothing there is touched."""
    theirs = [tmp_path / "thesis.txt", tmp_path / cache.FOLDER / "novel.txt", tmp_path / "deep/er/photo.png"]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    grow_old(*tmp_path.rglob("*"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    store = cache.Store(budget=10)
    upload = store.folder / "upload.png"
    upload.write_bytes(bytes(100))
    store.make_room(0)
    assert not upload.exists()
    assert [path.read_text() for path in theirs] == ["theirs"] * 3
    again = cache.Store()
    assert again.folder == store.folder, "a second server in this environment serves from the same folder"


def test_the_sweeper_survives_a_folder_that_vanishes(store: cache.Store, rng: np.random.Generator) -> None:
    """Somebody who empties the temporary folder ends nothing: results go on, and are swept as before."""
    shutil.rmtree(store.folder)
    assert store.make_room(0)
    path = store.store_png(Picture(rng.integers(0, 256, (2, 2, 3), np.uint8)), "a.png")
    assert path.is_relative_to(store.folder)
    grow_old(path)
    assert store.sweep() == 1


def test_the_oldest_goes_first_and_never_what_a_page_shows(store: cache.Store) -> None:
    """Within its budget the store keeps everything; beyond, aborted uploads and left results go, oldest first."""
    paths = [store.folder / str(i) / "upload.png" for i in range(5)]
    for age, path in enumerate(reversed(paths)):
        path.parent.mkdir()
        path.write_bytes(bytes(100))
        os.utime(path, (time.time() - 60 * age,) * 2)
    store.budget = 500
    store.show("tab", paths[:1])
    assert store.make_room(0)
    assert all(path.exists() for path in paths)
    assert store.make_room(200)
    assert [path.exists() for path in paths] == [True, False, False, True, True]
    assert not store.make_room(450), "what is shown leaves no room for so much"
    assert [path.exists() for path in paths] == [True, False, False, False, False]
    store.forget("tab")
    assert store.make_room(450)
    assert not any(path.exists() for path in paths)


def test_a_full_disk_gives_a_sentence(store: cache.Store, desk: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget's end and the disk's are said in the same words, and leave no part of a file."""
    picture = upload(store.folder, Image.effect_noise((64, 64), 90).convert("RGB"))
    files = {path for path in store.folder.rglob("*") if path.is_file() and path.name != cache.MARKER}
    store.keep(files)
    store.budget = sum(path.stat().st_size for path in files) + 100
    assert press(desk, picture)[0]["text"] == cache.FULL
    store.budget = 10**9

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert press(desk, picture)[0]["text"] == cache.FULL
    assert set(store.folder.rglob("*.png")) <= files


def test_results_lie_where_nobody_can_guess(store: cache.Store) -> None:
    """Two results of one name have different addresses, and are PNG files with the pixels they were given."""
    picture = Picture(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    first, second = (store.store_png(picture, "a.png") for _ in range(2))
    assert first.parent != second.parent
    assert first.name == second.name == "a.png"
    assert np.array_equal(images.load(first).pixels, picture.pixels)


def test_a_job_that_takes_too_long_is_refused_before_it_begins(desk: Handlers, uploads: Path) -> None:
    """The sentence has the seconds that it would take, those allowed, and what would fit."""
    picture = upload(uploads, Image.new("RGB", (2000, 1000)))
    first = next(item for item in desk._work(Job(Path(picture["file"]["path"]), "enlarge", "nano", 2)))
    assert isinstance(first, Progress)
    assert first.seconds_left
    assert first.seconds_left > 0, "how long it will take is said before the work"
    slow = dataclasses.replace(desk, max_seconds=first.seconds_left / 100)  # as measured once: no clock decides
    status, viewer = press(slow, picture)
    assert (status["kind"], viewer) == ("refused", None)
    assert re.fullmatch(r"This would take about \S+ seconds here, and .* at most 0.02 million pixels\.", status["text"])
    assert press(slow, upload(uploads, Image.new("RGB", (2, 2))))[0]["kind"] == "done"


@pytest.fixture
def limited() -> TestClient:
    """A server that reads its body and answers its length, behind the limit."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            length, more = length + len(message.get("body", b"")), message.get("more_body", False)
        await PlainTextResponse(str(length))(scope, receive, send)

    server = Starlette(middleware=[Middleware(limits.BodyLimit, body=100, upload=1000)])
    server.mount("/", app)
    return TestClient(server)


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [("/queue/join", 100, 200), ("/queue/join", 101, 413), ("/upload", 1000, 200), ("/upload", 1001, 413)],
)
@pytest.mark.parametrize("declared", [True, False])
def test_bodies_above_the_limit_get_413(
    limited: TestClient, path: str, length: int, status: int, declared: bool
) -> None:
    """Whether the length is declared or the body comes in pieces without one."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, length, 50):
            yield b"x" * min(50, length - start)

    answer = limited.post(path, content=b"x" * length if declared else pieces())
    assert answer.status_code == status
    if status == 200:
        assert answer.text == str(length)


@pytest.mark.parametrize(("used", "status"), [(0, 200), (900, 507)])
def test_uploads_need_room(used: int, status: int) -> None:
    """An upload for which the store has no room is refused before it is read; other requests are not."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("read")(scope, receive, send)

    def make_room(size: int) -> bool:
        return used + size <= 1000

    server = Starlette(middleware=[Middleware(limits.BodyLimit, body=1000, upload=1000, make_room=make_room)])
    server.mount("/", app)
    client = TestClient(server)
    assert client.post("/upload", content=b"x" * 500).status_code == status
    assert client.post("/queue", content=b"x" * 500).status_code == 200


@pytest.fixture(scope="module")
def served(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the whole app without examples, launched as app.py does it."""
    from sr_model import ui

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        page = ui.build_app(trained, "cpu")
        _, address, _ = page.launch(prevent_thread_lock=True, quiet=True)
        yield address.rstrip("/")
        page.close()


@pytest.mark.long
def test_the_api_enlarges_and_refuses_with_a_sentence(served: str, tmp_path: Path, photo: Image.Image) -> None:
    """A program gets the same pixels as the library, or the reason why not."""
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    small = photo.crop((0, 0, 50, 40))
    small.save(tmp_path / "photo.png")
    (tmp_path / "text.png").write_text("no picture")
    client = Client(served, verbose=False, download_files=str(tmp_path))
    path = client.predict(handle_file(tmp_path / "photo.png"), 2, "nano", api_name="/enlarge")
    assert Path(path).name == "photo-nano-x2.png"
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Upscaler(tiny_model(), "cpu")(small)))
    with pytest.raises(AppError, match="not an image"):
        client.predict(handle_file(tmp_path / "text.png"), 2, "nano", api_name="/enlarge")
    with pytest.raises(AppError, match="not available at this scale"):
        client.predict(handle_file(tmp_path / "photo.png"), 4, "base", api_name="/enlarge")


@pytest.mark.parametrize("path", ["/etc/passwd", str(Path(__file__).resolve())])
def test_the_server_opens_no_path_but_uploads(served: str, path: str) -> None:
    """No file elsewhere on the disk, whatever a request says it uploaded."""
    assert "event: error" in answer_to(served, path)


def test_the_server_fetches_no_address(served: str, photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address in the place of a file is refused, and nothing is asked of the server that it names."""
    # Gradio would fetch public addresses only; let it think that this machine has one.
    monkeypatch.setattr(processing_utils, "PUBLIC_HOSTNAME_WHITELIST", ["localhost"])
    asked: list[str] = []

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(images.encode(photo))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        address = f"http://localhost:{stranger.server_port}"
        assert httpx.get(f"{address}/there").status_code == 200
        answer = answer_to(served, f"{address}/x.png")
        stranger.shutdown()
    assert "event: error" in answer
    assert asked == ["/there"]


def answer_to(served: str, path: str) -> str:
    """What the API answers where a request says that it uploaded `path`."""
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    call = httpx.post(f"{served}/gradio_api/call/enlarge", json={"data": [file, 2, "nano"]}, timeout=300)
    answer = httpx.get(f"{served}/gradio_api/call/enlarge/{call.json()['event_id']}", timeout=300)
    assert "event: complete" not in answer.text
    return answer.text


@pytest.mark.long
def test_a_client_that_leaves_stops_the_work(served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API works tile by tile: when nobody listens any more, no further tile is computed."""
    done: list[int] = []
    prepare = Autoencoder.prepare  # called once for each tile, whatever the engine

    def slow(self: Autoencoder, x: Tensor) -> Tensor:
        time.sleep(0.3)
        done.append(1)
        return prepare(self, x)

    Image.new("RGB", (20 * best_tile(tiny_model()), 16)).save(tmp_path / "wide.png")
    with open(tmp_path / "wide.png", "rb") as file:
        uploaded = httpx.post(f"{served}/gradio_api/upload", files={"files": file}).json()[0]
    data = {"data": [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}, 2, "nano"]}
    event = httpx.post(f"{served}/gradio_api/call/enlarge", json=data, timeout=300).json()["event_id"]
    assert "event: complete" in httpx.get(f"{served}/gradio_api/call/enlarge/{event}", timeout=300).text
    monkeypatch.setattr(Autoencoder, "prepare", slow)
    event = httpx.post(f"{served}/gradio_api/call/enlarge", json=data, timeout=300).json()["event_id"]
    with httpx.stream("GET", f"{served}/gradio_api/call/enlarge/{event}", timeout=300) as answer:
        for line in answer.iter_lines():
            if '"done"' in line and '"done": 0' not in line:
                break
    deadline = time.monotonic() + 20
    stopped = -1
    while stopped != len(done) and time.monotonic() < deadline:  # until no tile is computed for two seconds
        stopped = len(done)
        time.sleep(2)
    assert len(done) == stopped < 20


@pytest.mark.long
def test_a_busy_port_is_named_and_the_next_free_one_is_taken(
    trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Asked for a port that is taken, the page says so; asked for none, it finds one."""
    from sr_model import ui

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    page = ui.build_app(trained, "cpu")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} is in use. Choose another with --port"):
            page.launch(port, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    pages = [ui.build_app(trained, "cpu") for _ in range(2)]
    addresses = {p.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)[1] for p in pages}
    assert len(addresses) == 2
    for p in pages:
        p.close()


@pytest.mark.parametrize("path", ["/etc/passwd", str(Path(__file__).resolve()), str(Path.cwd() / "app.py")])
def test_the_server_serves_no_file_but_its_own(served: str, path: str) -> None:
    """Addresses of files lead to uploads and results only."""
    assert httpx.get(f"{served}/gradio_api/file={path}").status_code == 403


def test_large_bodies_do_not_reach_gradio(served: str) -> None:
    """The limit stands in front of the whole app, also where Gradio has none of its own."""
    body = {"data": ["x" * (limits.MAX_BODY + 1)]}
    assert httpx.post(f"{served}/gradio_api/call/enlarge", json=body).status_code == 413
    form = {"files": ("a.png", b"x" * (limits.MAX_BYTES + limits.UPLOAD_OVERHEAD))}
    with contextlib.suppress(httpx.WriteError):  # the server may hang up before all of it is sent
        assert httpx.post(f"{served}/gradio_api/upload", files=form, timeout=300).status_code == 413


@pytest.mark.long
def test_importing_the_entry_script_does_nothing() -> None:
    """`import app` neither loads gradio nor opens a port, and `--help` answers at once."""
    code = "import sys, app; assert 'gradio' not in sys.modules; app.parse([])"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_spaces_listen_to_the_world_and_machines_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host and port are Gradio's variables', else what the place asks for."""
    import app

    for name in ("SPACE_ID", "GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert (app.parse([]).host, app.parse([]).port) == ("127.0.0.1", None)
    monkeypatch.setenv("SPACE_ID", "someone/something")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7000")
    assert (app.parse([]).host, app.parse([]).port) == ("0.0.0.0", 7000)
    assert app.parse(["--host", "::1"]).host == "::1"


def test_templates_take_no_values() -> None:
    """Gradio runs templates as JavaScript, so nothing from a visitor may stand in one."""
    templates = list(Path(handlers.__file__).parent.glob("*/*.html"))
    assert templates
    for path in templates:
        text = path.read_text()
        assert "value" not in text, path.name
        assert "{{" not in text, path.name
