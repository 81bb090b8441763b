"""Folder jobs from and to Google Cloud Storage and the Hub, by servers of their own on this machine."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

from sr_model import Upscaler
from sr_model.bulk.job import folder_job
from sr_model.commands.main import main
from sr_model.errors import StorageError
from sr_model.system import remote
from tests.hub_server import OWNER, READER, Hub, Repository, pretending
from tests.servers import Server

pytestmark = pytest.mark.long

Failures = list[tuple[str, int]]  # (method, status) of the next answers


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAITS", (0.01,) * 3)


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failures]:
    """Google Cloud Storage with an empty bucket, `bucket`; it fails as the list says."""
    failures: Failures = []

    class Handler(RequestHandler):  # type: ignore[misc]  # untyped
        def answer(self, method: str) -> None:
            if (found := next((failure for failure in failures if failure[0] == method), None)) is None:
                getattr(RequestHandler, f"do_{method}")(self)
                return
            failures.remove(found)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(found[1])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.answer("GET")

        def do_POST(self) -> None:
            self.answer("POST")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    store = Storage(use_memory_fs=True)
    create_bucket("bucket", store)
    server = Server(("127.0.0.1", 0), partial(Handler, store))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # ask no cloud for credentials
    fsspec.filesystem("gs").clear_instance_cache()
    yield failures
    server.shutdown()
    server.server_close()
    fsspec.filesystem("gs").clear_instance_cache()


def outcomes(source: str, target: str, upscaler: Upscaler) -> list[str]:
    return [record.status for record in folder_job(source, target).run(upscaler)]


def test_google_cloud_storage_is_read_and_written(
    google: Failures, photo_folder: Path, tmp_path: Path, upscaler: Upscaler
) -> None:
    """The same bytes as on a disk, skipped if they are done; failures in passing cost nothing but time."""
    system = fsspec.filesystem("gs")
    system.put(f"{photo_folder}/", "bucket/in/", recursive=True)
    google += [("GET", 503), ("POST", 503)]
    assert outcomes("gs://bucket/in", "gs://bucket/out", upscaler) == ["done"] * 4
    assert google == []
    assert outcomes(str(photo_folder), f"{tmp_path}/out", upscaler) == ["done"] * 4
    for path in (tmp_path / "out").rglob("*.png"):
        assert system.cat_file(f"bucket/out/{path.relative_to(tmp_path / 'out')}") == path.read_bytes()
    system.pipe_file("bucket/in/a.png", (photo_folder / "b.png").read_bytes())
    system.rm_file("bucket/out/more/d.png")
    assert outcomes("gs://bucket/in", "gs://bucket/out", upscaler) == ["done", "skipped", "skipped", "done"]


def test_google_cloud_storage_says_what_it_refuses(
    google: Failures, photo_folder: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, in a sentence, and not for each file: no bucket, no right to write, no right to read."""

    def said(source: str, target: str) -> str:
        assert main(["upscale", source, target, *network]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    photos = str(photo_folder)
    assert "its bucket or repository is not there. Make it first." in said(photos, "gs://other/out")
    google += [("POST", 403)]
    assert "access is refused (Forbidden" in said(photos, "gs://bucket/out")
    google[:] = [("POST", 401)]
    assert "GOOGLE_APPLICATION_CREDENTIALS" in said(photos, "gs://bucket/out")
    google[:] = [("GET", 403)]
    assert "access is refused" in said(photos, "gs://bucket/out")
    google.clear()
    assert "There is no file or folder gs://bucket/in that may be seen" in said("gs://bucket/in", photos + "/out")


@pytest.fixture
def hub(tmp_path: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The Hub with photos in a dataset, an empty one for results, and their owner logged in."""
    with pretending(tmp_path, monkeypatch) as found:
        files = {f"in/{path.relative_to(photo_folder)}": path.read_bytes() for path in photo_folder.rglob("*.png")}
        found.repositories = {f"datasets/me/{name}": Repository() for name in ("photos", "large", "gated")}
        found.repositories["datasets/me/photos"].commit(files, "main")
        found.repositories["datasets/me/gated"].commit(files, "main")
        found.repositories["datasets/me/gated"].gated = True
        monkeypatch.setenv("HF_TOKEN", OWNER)
        yield found


def test_the_hub_is_read_and_written(hub: Hub, photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """The same bytes as on a disk, skipped if they are done; failures in passing cost nothing but time."""
    source, target = "hf://datasets/me/photos/in", "hf://datasets/me/large/out"
    hub.failures = [("/resolve/", 503), ("/commit/", 503)]
    assert outcomes(source, target, upscaler) == ["done"] * 4
    assert hub.failures == []
    assert outcomes(str(photo_folder), f"{tmp_path}/out", upscaler) == ["done"] * 4
    large = hub.repositories["datasets/me/large"]
    for path in (tmp_path / "out").rglob("*.png"):
        assert large.files[f"out/{path.relative_to(tmp_path / 'out')}"] == path.read_bytes()
    photos = hub.repositories["datasets/me/photos"]
    photos.commit(photos.files | {"in/a.png": photos.files["in/b.png"]}, "main")
    large.commit({name: data for name, data in large.files.items() if name != "out/more/d.png"}, "main")
    assert outcomes(source, target, upscaler) == ["done", "skipped", "skipped", "done"]


def test_the_hub_says_what_it_refuses(
    hub: Hub, photo_folder: Path, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, in a sentence: no repository, a gated one, no right to write, and an address that cannot be."""
    out = str(tmp_path / "out")
    with pytest.raises(StorageError, match="its bucket or repository is not there"):
        outcomes(str(photo_folder), "hf://datasets/me/other", upscaler)
    monkeypatch.setenv("HF_TOKEN", READER)
    records = list(folder_job("hf://datasets/me/gated/in", out).run(upscaler))
    assert [record.status for record in records] == ["refused"] * 4
    assert all("access is refused" in record.reason and "HF_TOKEN" in record.reason for record in records)
    assert sum("/resolve/" in asked for asked in hub.asked) == 4, "once each"
    with pytest.raises(StorageError, match=r"access is refused.*HF_TOKEN"):
        outcomes(str(photo_folder), "hf://datasets/me/large", upscaler)
    with pytest.raises(StorageError, match="cannot be used: Repository id must be"):
        outcomes("hf://nothing", out, upscaler)
