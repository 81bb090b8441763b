import json
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from PIL import Image
from werkzeug.serving import WSGIRequestHandler, make_server

from sr_model import ConfigError, Upscaler
from sr_model.bulk import storage
from sr_model.bulk.job import Job, file_job, folder_job
from sr_model.bulk.journal import FOLDER
from sr_model.errors import AccessError, StorageError, TargetError
from sr_model.system import remote

pytestmark = pytest.mark.long


@dataclass
class Store:
    """moto's S3 server behind a gateway that fails as it is told, and the client's view of it."""

    url: str
    failures: list[str] = field(default_factory=list)  # methods whose next request fails
    status: str = "503 Service Unavailable"  # with which
    system: Any = None


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    application = DomainDispatcherApplication(create_backend_app)
    found = Store("")

    def gateway(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in found.failures:
            found.failures.remove(environ["REQUEST_METHOD"])
            start_response(found.status, [("Content-Length", "0")])
            return [b""]
        return application(environ, start_response)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = make_server("127.0.0.1", port, gateway, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{port}"
    urlopen(Request(f"{found.url}/moto-api/reset", method="POST")).close()  # what an earlier server has left
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(remote, "WAITS", (0.01,) * 4)
    fsspec.filesystem("s3").clear_instance_cache()
    found.system = fsspec.filesystem("s3")
    found.system.mkdir("bucket")
    yield found
    server.shutdown()
    fsspec.filesystem("s3").clear_instance_cache()


def statuses(job: Job, upscaler: Upscaler) -> list[str]:
    return [record.status for record in job.run(upscaler)]


def test_a_bucket_is_enlarged_into_a_bucket(
    store: Store, photo_folder: Path, tmp_path: Path, upscaler: Upscaler
) -> None:
    """The same bytes as on a disk, in the same tree; what is done is skipped without being read again."""
    store.system.put(f"{photo_folder}/", "bucket/in/", recursive=True)
    store.system.pipe_file("bucket/in/bad.png", b"nothing")
    job = folder_job("s3://bucket/in", "s3://bucket/out")
    assert statuses(job, upscaler) == ["done", "done", "refused", "done", "done"]
    assert len(list(folder_job(str(photo_folder), str(tmp_path / "out")).run(upscaler))) == 4
    for path in (tmp_path / "out").rglob("*.png"):
        assert store.system.cat_file(f"bucket/out/{path.relative_to(tmp_path / 'out')}") == path.read_bytes()
    assert statuses(job, upscaler) == ["skipped", "skipped", "refused", "skipped", "skipped"]
    store.system.pipe_file("bucket/in/a.png", (photo_folder / "b.png").read_bytes())
    store.system.rm_file("bucket/out/more/d.png")
    assert statuses(job, upscaler) == ["done", "skipped", "refused", "skipped", "done"]


def test_a_store_that_fails_in_passing_is_asked_again(store: Store, photo_folder: Path, upscaler: Upscaler) -> None:
    """Answers of 503 to reading, writing and listing cost nothing but time."""
    store.system.put(f"{photo_folder}/", "bucket/in/", recursive=True)
    store.failures += ["GET"] * 4 + ["PUT"] * 3
    assert statuses(folder_job("s3://bucket/in", "s3://bucket/out"), upscaler) == ["done"] * 4
    assert store.failures == []


def test_a_store_that_refuses_is_asked_once(store: Store, photo_folder: Path, upscaler: Upscaler) -> None:
    """A bucket that is not there or may not be written ends the job; a file that may not be read is refused."""
    with pytest.raises(TargetError, match="its bucket or repository is not there"):
        statuses(folder_job(str(photo_folder), "s3://other/out"), upscaler)
    store.status, store.failures = "403 Forbidden", ["PUT"] * 9
    with pytest.raises(TargetError, match=r"access is refused.*AWS_ACCESS_KEY_ID"):
        statuses(folder_job(str(photo_folder), "s3://bucket/out"), upscaler)
    store.failures = ["GET"] * 9
    with pytest.raises(AccessError, match="access is refused"):
        storage.read(f"{store.url}/bucket/a.png")
    assert len(store.failures) == 8


def test_a_store_that_does_not_answer_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last try, with the number of tries."""

    def down(*_: object) -> bytes:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(store.system, "cat_file", down)
    with pytest.raises(StorageError, match="after 5 tries: nobody there"):
        storage.read("s3://bucket/a.png")


def test_shards_and_lists_may_lie_in_a_bucket(
    store: Store, photo_folder: Path, tmp_path: Path, upscaler: Upscaler
) -> None:
    """A shard becomes a shard there; a list there names files there."""
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(photo_folder / "a.png", "0.png")
    store.system.put_file(str(tmp_path / "a.tar"), "bucket/in/a.tar")
    store.system.put_file(str(photo_folder / "b.png"), "bucket/in/b.png")
    assert statuses(folder_job("s3://bucket/in", "s3://bucket/shards", globs=("*.tar",)), upscaler) == ["done"] * 2
    with store.system.open("bucket/shards/a.tar") as stream, tarfile.open(fileobj=stream) as tar:
        assert tar.getnames() == ["0.png"]
    store.system.pipe_file("bucket/list.csv", b"path\nb.png\nmissing.png\n")
    job = folder_job("s3://bucket/in", str(tmp_path / "out"), listed="s3://bucket/list.csv")
    assert statuses(job, upscaler) == ["done", "refused"]
    assert Image.open(tmp_path / "out" / "b.png").size == (240, 192)


def test_what_is_done_in_a_bucket_is_in_its_journal(store: Store, photo_folder: Path, upscaler: Upscaler) -> None:
    """As lines of JSON beside the results, where any machine finds them."""
    job = folder_job(str(photo_folder), "s3://bucket/out")
    assert statuses(job, upscaler) == ["done"] * 4
    (name,) = store.system.ls(f"bucket/out/{FOLDER}", detail=False)
    lines = [json.loads(line) for line in store.system.cat_file(name).splitlines()]
    assert [line["key"] for line in lines] == ["a.png", "b.png", "c.png", "more/d.png"]


def test_a_picture_is_read_from_the_web(store: Store, photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """By its address; one that is not there is refused."""
    store.system.put_file(str(photo_folder / "a.png"), "bucket/a.png", ACL="public-read")
    (record,) = file_job(f"{store.url}/bucket/a.png", f"{tmp_path}/").run(upscaler)
    assert record.status == "done"
    assert Image.open(tmp_path / "a.png").size == (240, 192)


def test_unknown_schemes_are_told() -> None:
    """With what was asked for."""
    with pytest.raises(ConfigError, match="nonsense"):
        storage.read("nonsense://bucket/a.png")
