"""Several files at once, without a browser: rows, zips from strangers, turns, limits, and the zip of the results."""

import io
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from PIL import Image

from sr_model.bulk import outputs
from sr_model.bulk.job import folder_job
from sr_model.bulk.outputs import Output
from sr_model.imaging import images
from sr_model.models import weights
from sr_model.networks.autoencoder import Autoencoder
from sr_model.ui import cache, texts
from sr_model.ui.many import plans, rows, turns, unpacking
from sr_model.ui.many.turns import Turns
from sr_model.ui.serving import zips
from sr_model.ui.upscalers import Upscalers
from sr_model.ui.work import Job, Outcome, perform
from tests.conftest import save_mixed, tiny_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of nano at 2 and 4, and of photo, which are mixed, at 2."""
    folder = tmp_path_factory.mktemp("weights")
    for scale in (2, 4):
        weights.save(tiny_model(scale), "nano", folder, {}, {})
    save_mixed("photo", folder)
    return folder


@pytest.fixture(scope="module")
def upscalers(trained: Path) -> Upscalers:
    return Upscalers(trained, "cpu")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cache.Store:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return cache.Store()


@pytest.fixture
def desk(upscalers: Upscalers, store: cache.Store) -> Turns:
    return Turns(upscalers, store)


def controls(scale: Any = 2, preset: str = "nano", strength: Any = "auto") -> list[Any]:
    """What the page's controls say."""
    none = {"chosen": None}
    return [{"chosen": "compare"}, {"chosen": scale}, {"chosen": preset}, None, none, none, strength]


def look(desk: Turns, paths: list[Path], kind: str = "png", **settings: Any) -> dict[str, Any]:
    """The queue of files that have been uploaded under their names."""
    files = [{"file": {"path": str(path)}, "name": path.name} for path in paths]
    value: dict[str, Any] = desk.look({"files": files, "format": kind, "ask": 1}, None, *controls(**settings))
    return value


def steps(desk: Turns, queue: dict[str, Any], kind: str = "png", **settings: Any) -> Iterator[tuple]:
    return desk.run({"id": queue["id"], "format": kind, "ask": 2}, None, *controls(**settings))


def run(
    desk: Turns, queue: dict[str, Any], kind: str = "png", pause: float = 0.0, **settings: Any
) -> tuple[dict, dict]:
    """(the queue's last value, the last status) of a press on the button; with a pause after each step, in seconds."""
    value: dict[str, Any] = {}
    status: dict[str, Any] = {}
    for step in steps(desk, queue, kind, **settings):
        time.sleep(pause)
        value = step[0] if "rows" in step[0] else value
        status = step[1] if "kind" in step[1] else status
    return value, status


def states(queue: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["state"] for row in queue["rows"]}


def results(store: cache.Store, queue: dict[str, Any]) -> dict[str, bytes]:
    """What is in the zip of the results."""
    data = b"".join(zips.zipped(store, queue["id"]).chunks)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def sent(store: cache.Store, photo: Image.Image) -> list[Path]:
    """Uploads: a picture in colour, a grey one, one that is cut off, a text, and one more picture."""
    folder = store.new_folder()
    small = photo.crop((90, 40, 150, 88))
    small.save(folder / "a.jpg")
    small.convert("L").save(folder / "b.png")
    small.save(folder / "cut.bmp")
    (folder / "cut.bmp").write_bytes((folder / "cut.bmp").read_bytes()[:3000])
    (folder / "notes.txt").write_text("no picture")
    small.crop((0, 0, 31, 17)).save(folder / "a.png")
    return [folder / name for name in ("a.jpg", "b.png", "cut.bmp", "notes.txt", "a.png")]


def test_one_bad_file_does_not_stop_the_rest(desk: Turns, store: cache.Store, sent: list[Path]) -> None:
    """Each file becomes what the command's folder job makes of it, or a sentence; before the work where that is known.

    Results have the preset and the scale in their names, and no two the same name.
    """
    queue = look(desk, sent)
    assert states(queue) == {"a.jpg": "waiting", "b.png": "waiting", "cut.bmp": "waiting"} | {
        "notes.txt": "refused",
        "a.png": "waiting",
    }
    assert (queue["pending"], queue["rows"][0]["size"]) == (4, (60, 48))
    assert queue["seconds"] > 0
    done, status = run(desk, queue)
    assert status["kind"] == "done"
    assert [row["state"] for row in done["rows"]] == ["done", "done", "refused", "refused", "done"]
    assert "damaged or cut off" in done["rows"][2]["text"]
    assert "not an image" in done["rows"][3]["text"]
    assert done["rows"][4]["result"] == (62, 34)
    made = results(store, done)
    assert list(made) == ["a-nano-x2.png", "a.png-nano-x2.png", "b-nano-x2.png"]
    assert done["results"] == {"count": 3, "bytes": sum(map(len, made.values()))}
    out = store.new_folder() / "out"
    for _ in folder_job(str(sent[0].parent), str(out), Output(suffix="-nano-x2")).run(desk.upscalers.get("nano", 2)):
        pass
    assert made == {path.name: path.read_bytes() for path in out.glob("*.png")}


@pytest.mark.parametrize(
    ("preset", "scale", "strength", "name"),
    [
        ("nano", 3, "auto", "a-nano-x3.png"),
        ("photo", 2, "auto", "a-photo-x2.png"),
        ("photo", 2, 0.5, "a-photo-x2-strength-50.png"),
    ],
)
def test_a_picture_becomes_what_it_becomes_alone(
    desk: Turns, store: cache.Store, sent: list[Path], preset: str, scale: int, strength: Any, name: str
) -> None:
    """Pixel for pixel, at a scale that has no weights of its own and with weights that are mixed too."""
    queue = look(desk, sent[:1], preset=preset, scale=scale, strength=strength)
    run(desk, queue, preset=preset, scale=scale, strength=strength)
    ((found, data),) = results(store, queue).items()
    own, factor = (4, 3) if scale == 3 else (scale, None)
    size = (180, 144) if factor else None
    fixed = None if strength == "auto" else strength
    job = Job(sent[0], "enlarge", preset, own, factor=factor, size=size, strength=fixed)
    *_, outcome = perform(job, desk.upscalers.get(preset, own))
    assert isinstance(outcome, Outcome)
    assert np.array_equal(images.load(data).pixels, outcome.panes[1].picture.pixels)
    assert found == name


@pytest.mark.parametrize(("kind", "name"), [("webp", "WEBP"), ("jpg", "JPEG")])
def test_results_in_other_formats(desk: Turns, store: cache.Store, sent: list[Path], kind: str, name: str) -> None:
    """Other settings make all of it again, and what was made before is gone."""
    queue = look(desk, sent[:2])
    run(desk, queue)
    again = desk.look({"id": queue["id"], "format": kind, "ask": 3}, None, *controls())
    assert (again["pending"], again["results"]["count"]) == (2, 2)
    run(desk, queue, kind)
    made = results(store, queue)
    assert list(made) == [f"a-nano-x2.{kind}", f"b-nano-x2.{kind}"]
    assert {Image.open(io.BytesIO(data)).format for data in made.values()} == {name}


def test_only_the_first_frame_of_an_animation_is_used(desk: Turns, store: cache.Store, photo: Image.Image) -> None:
    """As of a single picture: ten thousand frames are no more work than one."""
    path = store.new_folder() / "film.gif"
    frames = [photo.crop((i, 0, i + 40, 30)) for i in range(5)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    queue = look(desk, [path])
    done, _ = run(desk, queue)
    ((_, data),) = results(store, done).items()
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 1


def zip_of(store: cache.Store, files: dict[str, bytes], **options: Any) -> Path:
    path = store.new_folder() / "sent.zip"
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def png(sent: list[Path]) -> bytes:
    return sent[4].read_bytes()


def test_a_zip_is_a_queue(desk: Turns, store: cache.Store, png: bytes) -> None:
    """Its folders are kept, and what systems hide in zips is passed over."""
    path = zip_of(
        store,
        {"trip/día 1/a.png": png, "trip/b.png": png, "__MACOSX/trip/._b.png": b"", ".DS_Store": b"", "trip/": b""},
    )
    queue = look(desk, [path])
    assert states(queue) == {"trip/día 1/a.png": "waiting", "trip/b.png": "waiting"}
    run(desk, queue)
    assert set(results(store, queue)) == {"trip/b-nano-x2.png", "trip/día 1/a-nano-x2.png"}


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def patched(data: bytes, at: int, value: bytes) -> bytes:
    """A zip whose list of files (and nothing else) says something else at an offset of its first entry."""
    entry = data.index(b"PK\1\2") + at
    return data[:entry] + value + data[entry + len(value) :]


NAMES = ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png", "a\nb.png", "a\0.png"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_out_of_a_zip_are_refused(
    desk: Turns, store: cache.Store, tmp_path: Path, png: bytes, name: str
) -> None:
    """The rest is done, and nothing is written anywhere but in the folder of uploads."""
    path = zip_of(store, {"x" * len(name): png, "good.png": png})
    data = path.read_bytes().replace(b"x" * len(name), name.encode())
    path.write_bytes(data)
    queue = look(desk, [path])
    assert [row["state"] for row in queue["rows"]] == ["refused", "waiting"]
    assert queue["rows"][0]["text"] == unpacking.LEADS_OUT
    run(desk, queue)
    assert list(results(store, queue)) == ["good-nano-x2.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["uploads"]


def bad_zips(png: bytes) -> dict[str, tuple[bytes, str]]:
    """Zips, and the sentence that their one file gets."""

    def made(name: str | zipfile.ZipInfo, data: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr(name, data)
        return buffer.getvalue()

    plain = made("a.png", png)
    zeros = made("a.png", bytes(31 * 1024**2), zipfile.ZIP_DEFLATED)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for i in range(6000):
            archive.writestr(f"{i}.png", b"")
    return {
        "link": (made(link("a.png"), b"/etc/passwd"), unpacking.LINK),
        "encrypted": (patched(plain, 8, b"\1"), unpacking.ENCRYPTED),
        "within": (made("a.zip", plain), unpacking.NESTED),
        "method": (made("a.png", png, zipfile.ZIP_LZMA), unpacking.METHOD),
        "wrong sum": (patched(plain, 16, b"\0\0\0\0"), unpacking.BAD_MEMBER),
        "empty": (made("folder/", b""), unpacking.EMPTY),
        "cut": (plain[: len(plain) // 2], unpacking.DAMAGED),
        "all names": (many.getvalue(), unpacking.TOO_MANY),
        "declared bomb": (zeros, f"{rows.MOST_BYTES // 1024**2} MB"),
        "hidden bomb": (patched(zeros, 24, (9).to_bytes(4, "little")), unpacking.BAD_MEMBER),
    }


@pytest.mark.parametrize("kind", list(bad_zips(b"")))
def test_zips_from_strangers_end_in_a_sentence(
    desk: Turns, store: cache.Store, png: bytes, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row with one sentence, and no more is unpacked than the limits allow."""
    if kind == "declared bomb":
        monkeypatch.setattr(unpacking, "MAX_BYTES", 10**9)
        monkeypatch.setattr(rows, "MOST_BYTES", 10**6)
    data, sentence = bad_zips(png)[kind]
    path = store.new_folder() / "sent.zip"
    path.write_bytes(data)
    before = store.used()
    queue = look(desk, [path])
    (row,) = queue["rows"]
    assert (row["state"], sentence in row["text"]) == ("refused", True)
    assert row["text"].endswith(".")
    assert store.used() == before
    assert run(desk, queue)[1]["kind"] == "done"


def test_a_file_of_a_zip_is_as_large_as_an_upload_at_most(desk: Turns, store: cache.Store) -> None:
    """By what the zip says of it, before it is unpacked."""
    path = zip_of(store, {"a.png": bytes(31 * 1024**2)}, compression=zipfile.ZIP_DEFLATED)
    assert look(desk, [path])["rows"][0]["text"] == unpacking.TOO_LARGE


def test_no_more_files_than_allowed(
    desk: Turns, store: cache.Store, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those above the limit are one row, those above the sum of bytes one each; smaller ones still find room."""
    monkeypatch.setattr(rows, "MOST_FILES", 4)
    monkeypatch.setattr(rows, "MOST_BYTES", 3 * len(png))
    path = zip_of(store, {"a.png": png, "b.png": png * 3, "c.png": png, "d.png": png, "e.png": png, "f.png": png})
    queue = look(desk, [path])
    assert [row["name"] for row in queue["rows"]] == ["a.png", "b.png", "c.png", "d.png", "+ 2"]
    assert [row["state"] for row in queue["rows"]] == ["waiting", "refused", "waiting", "waiting", "refused"]
    assert "All files together" in queue["rows"][1]["text"]


def test_limits_of_pixels_and_seconds_follow_the_settings(
    desk: Turns, upscalers: Upscalers, store: cache.Store, sent: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many pixels of one result, of all together, and too many seconds are refused by row, before any work."""
    monkeypatch.setattr(plans, "MOST_RESULT_PIXELS", 60 * 48 * 4 + 31 * 17 * 4)
    queue = look(desk, [sent[0], sent[1], sent[4]])
    assert [row["state"] for row in queue["rows"]] == ["waiting", "refused", "waiting"]
    assert "All results together" in queue["rows"][1]["text"]
    done, _ = run(desk, queue)
    assert (done["results"]["count"], states(done)["b.png"]) == (2, "refused")
    large = store.new_folder() / "large.png"
    Image.new("L", (4500, 1000)).save(large)
    (row,) = look(desk, [large], scale=4)["rows"]
    assert "4 times 4500x1000 would be 72 million pixels" in row["text"]
    slow = Turns(upscalers, store, max_seconds=1e-9)
    assert "This would take about" in look(slow, sent[:1])["rows"][0]["text"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"scale": "size"}, "by a scale"),
        ({"scale": 7}, "not available"),
        ({"preset": "none"}, "not available"),
        ({"kind": "exe"}, "Choose one of"),
        ({"preset": "photo", "strength": "much"}, "strength"),
    ],
)
def test_settings_that_cannot_be_are_said(
    desk: Turns, sent: list[Path], settings: dict[str, Any], sentence: str
) -> None:
    """The rows stay, and nothing begins."""
    queue = look(desk, sent[:1], **settings)
    assert sentence in queue["note"]
    assert [row["name"] for row in queue["rows"]] == ["a.jpg"]
    _, status = run(desk, queue, **settings)
    assert status["kind"] == "refused"
    assert sentence in status["text"]


@pytest.mark.parametrize(
    "value", ["", None, 5, {"files": "a"}, {"files": [5, {"file": 5}]}, {"id": "../../etc"}, {"id": []}]
)
def test_values_that_no_page_made_are_harmless(desk: Turns, value: Any) -> None:
    """Whatever comes from a browser is a sentence or nothing."""
    desk.look(value, None, *controls())
    *_, last = desk.run(value, None, *controls())
    assert last[1]["kind"] == "refused"


def test_files_of_others_cannot_be_named(desk: Turns, tmp_path: Path, sent: list[Path]) -> None:
    """Only uploads are opened."""
    (row,) = look(desk, [Path(__file__).resolve()])["rows"]
    assert "Only pictures that were uploaded here" in row["text"]


class Others:
    """Visitors who wait, or not."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting


def test_others_have_their_turn(
    upscalers: Upscalers, store: cache.Store, sent: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long queue goes to the end of the line between two pictures if others wait, and then goes on where it was."""
    monkeypatch.setattr(turns, "TURN", 0.0)
    others = Others(waiting=3)
    desk = Turns(upscalers, store, crowd=others)  # type: ignore[arg-type]
    queue = look(desk, sent)
    value, status = run(desk, queue)
    assert (value["again"], value["results"]["count"], status["kind"]) == (True, 1, "working")
    first = {row["name"]: row.get("bytes") for row in value["rows"]}
    others.waiting = 0
    value, status = run(desk, queue)
    assert ("again" in value, value["results"]["count"], status["kind"]) == (False, 3, "done")
    assert value["rows"][0]["bytes"] == first["a.jpg"]


def test_cancel_stops_within_a_tile_and_another_press_does_the_rest(
    desk: Turns, store: cache.Store, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done stays done, and is not done again."""
    folder = store.new_folder()
    for i in range(4):
        photo.crop((i, 0, i + 90, 60)).save(folder / f"{i}.png")
    queue = look(desk, sorted(folder.iterdir()))
    tiles = []
    prepare = Autoencoder.prepare

    def counted(self: Autoencoder, x: Any) -> Any:
        tiles.append(1)
        return prepare(self, x)

    monkeypatch.setattr(Autoencoder, "prepare", counted)
    work = steps(desk, queue)
    for step in work:
        if "rows" in step[0] and step[0]["results"]["count"] == 1:
            break
    work.close()  # type: ignore[attr-defined]
    begun = len(tiles)
    value = desk.look({"id": queue["id"], "format": "png", "ask": 3}, None, *controls())
    assert [row["state"] for row in value["rows"]] == ["done", "waiting", "waiting", "waiting"]
    assert len(tiles) == begun
    tiles.clear()
    assert run(desk, queue)[0]["results"]["count"] == 4
    assert len(tiles) == 3
    assert len(results(store, queue)) == 4


def test_progress_is_of_the_picture_in_work(
    desk: Turns, store: cache.Store, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part grows tile by tile, the time left shrinks to nothing, and those behind it take longer than it."""
    monkeypatch.setattr(turns, "OFTEN", 0.0)
    folder = store.new_folder()
    tile = desk.upscalers.get("nano", 2).tile
    Image.new("RGB", (3 * tile, 16)).save(folder / "0.png")
    Image.new("RGB", (tile, 16)).save(folder / "1.png")
    queue = look(desk, sorted(folder.iterdir()))
    seen = [step[0]["rows"] for step in steps(desk, queue) if "rows" in step[0]]
    parts = [rows_[0]["part"] for rows_ in seen if rows_[0]["state"] == "working"]
    assert parts == sorted(parts)
    assert any(0 < part < 1 for part in parts)
    for first, second in seen:
        if "left" in first and "left" in second:
            assert 0 <= first["left"] <= second["left"]
    assert [row["state"] for row in seen[-1]] == ["done", "done"]


def test_an_unforeseen_error_is_one_row_s(
    desk: Turns, sent: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even what nobody has thought of ends one picture only, and is logged."""
    decode = outputs.decode

    def fails(raw: bytes, *more: Any) -> Any:
        if raw == sent[1].read_bytes():
            raise RuntimeError("unforeseen")
        return decode(raw, *more)

    monkeypatch.setattr(outputs, "decode", fails)
    value, status = run(desk, look(desk, [sent[0], sent[1], sent[4]]))
    assert [row["state"] for row in value["rows"]] == ["done", "refused", "done"]
    assert (value["rows"][1]["text"], status["kind"]) == (texts.FAILED, "done")
    assert "unforeseen" in caplog.text


@pytest.mark.parametrize("pause", [0, 0.1])
def test_results_stay_within_the_budget_of_the_disk(
    upscalers: Upscalers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, pause: float
) -> None:
    """A result that finds no room is refused in words, and leaves nothing of itself; results of the queue stay.

    Those too that are written before the page has heard of the ones before them.
    """
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    store = cache.Store(budget=110_000)
    desk = Turns(upscalers, store)
    folder = store.new_folder()
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (60, 60, 3), np.uint8)).save(folder / f"{i}.png")
    value, _ = run(desk, look(desk, sorted(folder.iterdir())), pause=pause)
    kinds = [row["state"] for row in value["rows"]]
    assert kinds[0] == "done"
    assert "refused" in kinds
    assert {row["text"] for row in value["rows"] if row["state"] == "refused"} == {cache.FULL}
    assert store.used() <= 110_000
    assert len(results(store, value)) == kinds.count("done")


def test_a_visitor_who_leaves_is_forgotten(desk: Turns, sent: list[Path]) -> None:
    """Nothing of the queue can be asked for any more."""
    request = gr.Request(session_hash="somebody")
    files = [{"file": {"path": str(sent[0])}, "name": "a.jpg"}]
    queue = desk.look({"files": files, "format": "png"}, request, *controls())
    desk.leave(request)
    assert "no longer here" in run(desk, queue)[1]["text"]


def test_the_zip_is_sent_while_it_is_written(store: cache.Store, rng: np.random.Generator) -> None:
    """In small parts, stored as it is, of the very length that is announced before."""
    folder = store.new_folder()
    large = rng.bytes(5 * zips.CHUNK + 7)
    (folder / "base-x2" / "ü").mkdir(parents=True)
    (folder / "base-x2" / "ü" / "large.png").write_bytes(large)
    (folder / "base-x2" / ".half.png").write_bytes(b"half")
    (folder / "base-x2" / "small.png").write_bytes(b"small")
    zipped = zips.zipped(store, folder.name)
    parts = list(zipped.chunks)
    assert max(map(len, parts)) < 1.1 * zips.CHUNK
    assert (zipped.name, zipped.length) == ("base-x2.zip", sum(map(len, parts)))
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None
        assert {info.filename: info.compress_type for info in archive.infolist()} == {
            "small.png": zipfile.ZIP_STORED,
            "ü/large.png": zipfile.ZIP_STORED,
        }
        assert archive.read("ü/large.png") == large


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "picture/picture/etc/passwd.png"),
        ("/a/b/c/d/e/f.png", "c/d/e/f.png"),
        ("a:b*?.png", "a-b-.png"),
        ("..", "picture.png"),
        ("x.tar", "x.tar.png"),
        ("猫.png", "猫.png"),
    ],
)
def test_names_of_results_are_plain(name: str, safe: str) -> None:
    """Words are kept, and nothing that a file system could mistake; no result can pass for a shard."""
    assert rows.safe_name(name) == safe
    assert max(len(part.encode()) for part in rows.safe_name("é" * 500 + ".png").split("/")) < 200


@pytest.mark.long
def test_the_server_gives_the_zip(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its unguessable name; for all others there is a sentence and a 404."""
    from sr_model import ui

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    app = ui.build_app(trained, "cpu")
    _, address, _ = app.launch(prevent_thread_lock=True, quiet=True)
    try:
        folder = app.store.new_folder()
        (folder / "nano-x2").mkdir()
        (folder / "nano-x2" / "a.png").write_bytes(b"data")
        answer = httpx.get(f"{address}sr-zip", params={"many": folder.name})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        assert 'filename="nano-x2.zip"' in answer.headers["content-disposition"]
        assert zipfile.ZipFile(io.BytesIO(answer.content)).read("a.png") == b"data"
        for name in ("", "..", f"{folder.name}/..", "x" * 20, app.store.new_folder().name):
            answer = httpx.get(f"{address}sr-zip", params={"many": name})
            assert (answer.status_code, "no longer here" in answer.text) == (404, True)
    finally:
        app.close()
