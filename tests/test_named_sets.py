import fcntl
import hashlib
import io
import re
import shutil
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sr_model import named_sets
from sr_model.errors import ConfigError, DataError
from sr_model.images import find_images
from sr_model.named_sets import SETS, NamedSet, RemoteFile, cache_folder, fetch

PICTURES = {f"{i:04}.png": np.random.default_rng(i).bytes(20_000) for i in range(3)}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ARCHIVE = zipped({f"DIV/{name}": content for name, content in PICTURES.items()})


class Site:
    """A server of one file that does as badly as it is told."""

    def __init__(self) -> None:
        self.content = ARCHIVE
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.has: int | None = None  # bytes of the content that it can read
        self.skips = 0  # bytes between where it is asked to resume and where it does
        self.ranges = True
        self.status: int | None = None
        self.kind = "application/zip"
        self.asked: list[str | None] = []  # the Range header of each request
        self.sent = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tiny.zip"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        begin += self.skips if begin else 0
        if self.status or begin >= len(self.content):
            handler.send_error(self.status or 416)
            return
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(self.content) - begin))
        handler.send_header("Content-Type", self.kind)
        handler.end_headers()
        body = self.content[: self.has][begin:]
        body = body[: self.cuts.pop(0)] if self.cuts else body
        self.sent += len(body)
        handler.wfile.write(body)

    def table(self, **changes: str | int) -> dict[str, NamedSet]:
        """A table with the set `tiny`, which is what this site has now unless `changes` say otherwise."""
        values = {"size": len(self.content), "sha256": hashlib.sha256(self.content).hexdigest(), **changes}
        file = RemoteFile(str(values.get("url", self.url)), int(values["size"]), str(values["sha256"]))
        return {"tiny": NamedSet("Tiny", "CC0", "http://tiny", (file,), str(values.get("keep", "")))}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(named_sets, "BACKOFF", 0)
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


def tiny(site: Site, folder: Path, **changes: str | int) -> list[str]:
    """Fetch the set, hold its pictures against those of the site, and give what was said."""
    said: list[str] = []
    pictures = fetch("tiny", said.append, folder, site.table(**changes))
    assert pictures == folder / "tiny"
    assert {path.name: path.read_bytes() for path in pictures.glob("*.*")} == {
        **PICTURES,
        ".complete": (pictures / ".complete").read_bytes(),
    }
    return said


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".tiny.lock"}


def test_a_set_is_fetched_once(site: Site, tmp_path: Path) -> None:
    """The first use downloads and unpacks it and says its licence; the second needs no network and says nothing."""
    assert "CC0" in tiny(site, tmp_path)[0]
    assert names(tmp_path) == {"tiny"}
    site.status = 500
    assert tiny(site, tmp_path) == []
    assert site.asked == [None]
    assert [path.name for path in find_images(tmp_path / "tiny")] == list(PICTURES)


def test_a_connection_that_breaks_is_resumed(site: Site, tmp_path: Path) -> None:
    """Every byte is sent once, however often the connection breaks off, as long as each one brings something."""
    site.cuts = [10_000, 1, 5_000, 1, 1, 20_000, 1]
    tiny(site, tmp_path)
    assert site.asked == [None, *(f"bytes={n}-" for n in (10_000, 10_001, 15_001, 15_002, 15_003, 35_003, 35_004))]
    assert site.sent == len(site.content)


def test_a_server_that_cannot_resume_sends_all_again(site: Site, tmp_path: Path) -> None:
    """An answer that ignores the Range header replaces what was there instead of being added to it."""
    site.cuts, site.ranges = [10_000], False
    tiny(site, tmp_path)
    assert site.asked == [None, "bytes=10000-"]
    assert site.sent == 10_000 + len(site.content)


def test_a_server_that_resumes_at_a_wrong_place_sends_all_again(site: Site, tmp_path: Path) -> None:
    """Bytes that do not follow on those that are there are not added to them."""
    site.cuts, site.skips = [10_000], 1
    tiny(site, tmp_path)
    assert site.asked == [None, "bytes=10000-", None]


def test_a_truncated_file_is_an_error_and_resumed_by_the_next_run(site: Site, tmp_path: Path) -> None:
    """A server that never gets further ends in a sentence; what it sent is kept, and the next run goes on there."""
    site.has = 30_000
    with pytest.raises(DataError, match=rf"{site.url} stopped at 30000 of {len(site.content)} bytes .* run again"):
        tiny(site, tmp_path)
    assert names(tmp_path) == {"tiny.zip.part"}
    site.asked, site.has = [], None
    tiny(site, tmp_path)
    assert site.asked == ["bytes=30000-"]
    assert site.sent == len(site.content)


def test_a_short_break_of_service_is_waited_out(site: Site, tmp_path: Path) -> None:
    """A server that is busy is asked again, a few times."""
    site.status = 503
    with pytest.raises(DataError, match="503 Service Unavailable"):
        tiny(site, tmp_path)
    assert len(site.asked) == named_sets.ATTEMPTS


def test_a_wrong_checksum_leaves_nothing_that_would_be_used(site: Site, tmp_path: Path) -> None:
    """A download with the right size and wrong bytes is named with its digests, deleted, and not resumed."""
    right = site.content
    expected, site.content = site.table(), bytes(len(right))
    with pytest.raises(DataError, match=rf"{site.url} was wrong .* {expected['tiny'].files[0].sha256} .* Run again"):
        fetch("tiny", print, tmp_path, expected)
    assert names(tmp_path) == set()
    site.content = right
    tiny(site, tmp_path)
    assert site.asked == [None, None]


def test_a_file_that_changed_while_it_was_resumed_is_not_used(site: Site, tmp_path: Path) -> None:
    """The halves of two files of one size do not make a set."""
    right, site.has = site.content, 30_000
    with pytest.raises(DataError, match="stopped at"):
        tiny(site, tmp_path)
    expected, site.content, site.has = site.table(), bytes(len(right)), None
    with pytest.raises(DataError, match="sha256"):
        fetch("tiny", print, tmp_path, expected)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("part", [10_000, 50_000], ids=["longer than the part", "shorter than the part"])
def test_a_file_of_another_size_is_refused(site: Site, tmp_path: Path, part: int) -> None:
    """A server whose file is not as long as the table says has another one, whether it resumes (206) or not (416)."""
    expected, site.content = site.table(), ARCHIVE[:40_000]
    (tmp_path / "tiny.zip.part").write_bytes(ARCHIVE[:part])
    with pytest.raises(DataError, match=f"has 40000 bytes instead of {len(ARCHIVE)}"):
        fetch("tiny", print, tmp_path, expected)


def test_an_overlong_part_is_thrown_away(site: Site, tmp_path: Path) -> None:
    """What cannot be the beginning of the archive is not resumed."""
    (tmp_path / "tiny.zip.part").write_bytes(bytes(len(ARCHIVE) + 1))
    tiny(site, tmp_path)
    assert site.asked == [None]


def test_a_login_page_is_refused(site: Site, tmp_path: Path) -> None:
    """What a hotel's network answers instead of the archive is neither used nor kept."""
    site.kind = "text/html"
    with pytest.raises(DataError, match=r"web page .* Log in"):
        tiny(site, tmp_path)
    assert names(tmp_path) == set()


def test_a_missing_file_is_said_at_once(site: Site, tmp_path: Path) -> None:
    """404 is not tried again, and the sentence says where to put the archive by hand."""
    site.status = 404
    with pytest.raises(DataError, match=rf"{site.url} is not there: .* 404 .* put it at {tmp_path}/tiny.zip"):
        tiny(site, tmp_path)
    assert len(site.asked) == 1


def test_without_network_the_sentence_says_what_to_do(site: Site, tmp_path: Path) -> None:
    """A port where nobody listens: the address, the reason, and where to put the archive by hand."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/tiny.zip"
    with pytest.raises(DataError, match=rf"{url} .*[Rr]efused.* put it at {tmp_path}/tiny.zip"):
        tiny(site, tmp_path, url=url)


def test_an_archive_put_there_by_hand_is_used(site: Site, tmp_path: Path) -> None:
    """No request is made for an archive that lies there; a wrong one is named and left to its owner."""
    site.status = 500
    (tmp_path / "tiny.zip").write_bytes(bytes(len(ARCHIVE)))
    with pytest.raises(DataError, match=rf"{tmp_path}/tiny.zip is not {site.url}: its sha256 .* Delete it"):
        tiny(site, tmp_path)
    (tmp_path / "tiny.zip").write_bytes(ARCHIVE)
    tiny(site, tmp_path)
    assert not site.asked
    assert names(tmp_path) == {"tiny"}


def test_an_unknown_name_lists_the_known() -> None:
    """A slip in --data is answered with the names that there are."""
    with pytest.raises(ConfigError, match=r"no set named div3k.* div2k, div2k-valid, "):
        fetch("div3k", print)


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/evil.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_reaches_out_is_refused(site: Site, tmp_path: Path, name: str, kind: str) -> None:
    """No path in an archive leads out of the set's folder, and a set with such a path is not there at all."""
    site.content = zipped({"good.png": b"good", name: b"evil"})
    if kind == "tar":
        site.content, site.url = tarred({"good.png": b"good", name: b"evil"}), site.url.replace(".zip", ".tgz")
    inner = tmp_path / "inner"
    with pytest.raises(DataError, match="leads out of its folder"):
        fetch("tiny", print, inner, site.table())
    assert not list(tmp_path.rglob("*.png"))
    assert not (inner / "tiny").exists()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def test_only_pictures_that_are_wanted_are_taken(site: Site, tmp_path: Path) -> None:
    """Of a tar archive come the pictures that `keep` matches: no notes, no hidden files, no links."""
    wanted = {f"all/train/{name}": content for name, content in PICTURES.items()}
    others = {"all/val/9.png": b"9", "all/train/Thumbs.db": b"", "all/train/._0000.png": b"", "README": b""}
    site.content, site.url = tarred({**wanted, **others}), site.url.replace(".zip", ".tgz")
    tiny(site, tmp_path, keep="/train/")


def test_an_archive_that_is_none_is_said(site: Site, tmp_path: Path) -> None:
    """A table that names something else than an archive of pictures ends in a sentence, and no folder appears."""
    for content, match in ((b"not a zip", "cannot be unpacked"), (zipped({"a.txt": b""}), "no picture")):
        site.content = content
        with pytest.raises(DataError, match=match):
            tiny(site, tmp_path)
        assert names(tmp_path) == {"tiny.zip"}
        (tmp_path / "tiny.zip").unlink()


def test_a_full_disk_is_foreseen(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the archive and its pictures have no room, nothing is downloaded; a part that is there counts."""
    needed = 2 * len(ARCHIVE)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(DataError, match=r"GB are needed in .* are free\. Free some, or .*SR_MODEL_DATA"):
        tiny(site, tmp_path)
    assert not site.asked
    (tmp_path / "tiny.zip.part").write_bytes(ARCHIVE[:1])
    tiny(site, tmp_path)


def test_a_disk_that_fills_while_unpacking_leaves_no_half_set(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unpacking that fails leaves the archive alone, which is used without a further download."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        with pytest.raises(DataError, match="No space left on device"):
            tiny(site, tmp_path)
    assert names(tmp_path) == {"tiny.zip"}
    tiny(site, tmp_path)
    assert len(site.asked) == 1


def test_what_a_killed_unpacking_left_is_no_part_of_the_set(site: Site, tmp_path: Path) -> None:
    """Only what is in the archive comes into the set."""
    (tmp_path / ".tiny.unpacking").mkdir()
    (tmp_path / ".tiny.unpacking" / "half.png").touch()
    tiny(site, tmp_path)
    assert names(tmp_path) == {"tiny"}


def test_somebody_s_own_folder_is_not_touched(site: Site, tmp_path: Path) -> None:
    """A folder of the set's name that was not filled by fetch is neither used nor replaced."""
    (tmp_path / "tiny").mkdir()
    with pytest.raises(DataError, match="holds something else than Tiny"):
        tiny(site, tmp_path)
    assert not site.asked


def test_two_at_once_download_once(site: Site, tmp_path: Path) -> None:
    """Who finds the set being fetched says so, waits, and takes what the other one has brought."""
    waiting = threading.Event()
    with ThreadPoolExecutor() as pool, open(tmp_path / ".tiny.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = pool.submit(fetch, "tiny", lambda _: waiting.set(), tmp_path, site.table())
        assert waiting.wait(10)
        named_sets._fill(tmp_path / "tiny", site.table()["tiny"], print)
    assert second.result() == tmp_path / "tiny"
    assert site.asked == [None]


def test_a_log_gets_lines_and_a_terminal_a_bar(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a line says now and then how many megabytes are there; in one the bar does."""
    monkeypatch.setattr(named_sets, "PLAIN_SECONDS", -1)
    assert any(line == "tiny.zip: 0 of 0 MB" for line in tiny(site, tmp_path / "log"))
    screen = io.StringIO()
    monkeypatch.setattr(named_sets, "Console", lambda **_: Console(file=screen, force_terminal=True, width=80))
    assert not any(" MB" in line for line in tiny(site, tmp_path / "terminal"))
    assert re.search(r"tiny\.zip .*60\.\d/60\.\d kB", screen.getvalue())


def test_the_folder_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """$SR_MODEL_DATA, else the cache that the desktop names, else ~/.cache."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("SR_MODEL_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/me/.cache/sr_model")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/sr_model")
    monkeypatch.setenv("SR_MODEL_DATA", "~/sets")
    assert cache_folder() == Path("/home/me/sets")


def test_a_folder_that_cannot_be_made_is_said(site: Site, tmp_path: Path) -> None:
    """Trouble with the disk is a sentence too, and names the way out."""
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be kept in .*file.* SR_MODEL_DATA"):
        tiny(site, tmp_path / "file")


def test_the_table_is_well_formed() -> None:
    """Archives are told apart by name in one folder, and each has a size and a sha256."""
    files = [file for named in SETS.values() for file in named.files]
    assert len({file.name for file in files}) == len(files)
    for file in files:
        assert file.url.startswith("https://")
        assert file.name.endswith((".zip", ".tgz", ".tar"))
        assert file.size > 1e6
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_bsds400_holds_nothing_of_the_test_sets() -> None:
    """Neither B100, which is the part "val", nor the picture that Set5 has its woman from is trained on."""
    keep = SETS["bsds400"].keep
    images = "BSR/BSDS500/data/images"
    assert re.search(keep, f"{images}/train/100075.jpg")
    assert re.search(keep, f"{images}/test/2018.jpg")
    for path in (f"{images}/val/101085.jpg", f"{images}/train/302003.jpg", "BSR/bench/data/images/2018.jpg"):
        assert not re.search(keep, path)
