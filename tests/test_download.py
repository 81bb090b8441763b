import dataclasses
import io
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sr_model.data import download
from sr_model.data.download import RemoteFile, provide
from sr_model.errors import DataError
from tests.file_server import ARCHIVE, Site, names, serving


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "BACKOFF", 0)
    with serving() as site:
        yield site


def bring(file: RemoteFile, folder: Path) -> list[str]:
    """Provide the file, hold it against what the site has, and give what was said."""
    said: list[str] = []
    provide(file, folder / "tiny.zip", said.append)
    assert names(folder) == {"tiny.zip"}
    assert (folder / "tiny.zip").read_bytes() == ARCHIVE
    return said


def test_a_connection_that_breaks_is_resumed(site: Site, tmp_path: Path) -> None:
    """Every byte is sent once, however often the connection breaks off, as long as each one brings something."""
    site.cuts = [10_000, 1, 5_000, 1, 1, 20_000, 1]
    bring(site.file(), tmp_path)
    assert site.asked == [None, *(f"bytes={n}-" for n in (10_000, 10_001, 15_001, 15_002, 15_003, 35_003, 35_004))]
    assert site.sent == len(site.content)


def test_a_server_that_cannot_resume_sends_all_again(site: Site, tmp_path: Path) -> None:
    """An answer that ignores the Range header replaces what was there instead of being added to it."""
    site.cuts, site.ranges = [10_000], False
    bring(site.file(), tmp_path)
    assert site.asked == [None, "bytes=10000-"]
    assert site.sent == 10_000 + len(site.content)


def test_a_server_that_resumes_at_a_wrong_place_sends_all_again(site: Site, tmp_path: Path) -> None:
    """Bytes that do not follow on those that are there are not added to them."""
    site.cuts, site.skips = [10_000], 1
    bring(site.file(), tmp_path)
    assert site.asked == [None, "bytes=10000-", None]


def test_a_truncated_file_is_an_error_and_resumed_by_the_next_run(site: Site, tmp_path: Path) -> None:
    """A server that never gets further ends in a sentence; what it sent is kept, and the next run goes on there."""
    site.has = 30_000
    with pytest.raises(DataError, match=rf"{site.url} stopped at 30000 of {len(site.content)} bytes .* run again"):
        bring(site.file(), tmp_path)
    assert names(tmp_path) == {"tiny.zip.part"}
    site.asked, site.has = [], None
    bring(site.file(), tmp_path)
    assert site.asked == ["bytes=30000-"]
    assert site.sent == len(site.content)


def test_a_short_break_of_service_is_waited_out(site: Site, tmp_path: Path) -> None:
    """A server that is busy is asked again, a few times."""
    site.status = 503
    with pytest.raises(DataError, match="503 Service Unavailable"):
        bring(site.file(), tmp_path)
    assert len(site.asked) == download.ATTEMPTS


def test_a_wrong_checksum_leaves_nothing_that_would_be_used(site: Site, tmp_path: Path) -> None:
    """A download with the right size and wrong bytes is named with its digests, deleted, and not resumed."""
    right = site.content
    expected, site.content = site.file(), bytes(len(right))
    with pytest.raises(DataError, match=rf"{site.url} was wrong .* {expected.sha256}\. Run again"):
        bring(expected, tmp_path)
    assert names(tmp_path) == set()
    site.content = right
    bring(site.file(), tmp_path)
    assert site.asked == [None, None]


def test_a_file_that_changed_while_it_was_resumed_is_not_used(site: Site, tmp_path: Path) -> None:
    """The halves of two files of one size do not make a set."""
    right, site.has = site.content, 30_000
    with pytest.raises(DataError, match="stopped at"):
        bring(site.file(), tmp_path)
    expected, site.content, site.has = site.file(), bytes(len(right)), None
    with pytest.raises(DataError, match="sha256"):
        bring(expected, tmp_path)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("part", [10_000, 50_000], ids=["longer than the part", "shorter than the part"])
def test_a_file_of_another_size_is_refused(site: Site, tmp_path: Path, part: int) -> None:
    """A server whose file is not as long as the table says has another one, whether it resumes (206) or not (416)."""
    expected, site.content = site.file(), ARCHIVE[:40_000]
    (tmp_path / "tiny.zip.part").write_bytes(ARCHIVE[:part])
    with pytest.raises(DataError, match=f"has 40000 bytes instead of {len(ARCHIVE)}"):
        bring(expected, tmp_path)


def test_an_overlong_part_is_thrown_away(site: Site, tmp_path: Path) -> None:
    """What cannot be the beginning of the archive is not resumed."""
    (tmp_path / "tiny.zip.part").write_bytes(bytes(len(ARCHIVE) + 1))
    bring(site.file(), tmp_path)
    assert site.asked == [None]


def test_a_login_page_is_refused(site: Site, tmp_path: Path) -> None:
    """What a hotel's network answers instead of the archive is neither used nor kept."""
    site.kind = "text/html"
    with pytest.raises(DataError, match=r"web page .* Log in"):
        bring(site.file(), tmp_path)
    assert names(tmp_path) == set()


def test_a_missing_file_is_said_at_once(site: Site, tmp_path: Path) -> None:
    """404 is not tried again, and the sentence says where to put the archive by hand."""
    site.status = 404
    with pytest.raises(DataError, match=rf"{site.url} is not there: .* 404 .* put it at {tmp_path}/tiny.zip"):
        bring(site.file(), tmp_path)
    assert len(site.asked) == 1


def test_without_network_the_sentence_says_what_to_do(site: Site, tmp_path: Path) -> None:
    """A port where nobody listens: the address, the reason, and where to put the archive by hand."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/tiny.zip"
    with pytest.raises(DataError, match=rf"{url} .*[Rr]efused.* put it at {tmp_path}/tiny.zip"):
        bring(dataclasses.replace(site.file(), url=url), tmp_path)


def test_an_archive_put_there_by_hand_is_used(site: Site, tmp_path: Path) -> None:
    """No request is made for an archive that lies there; a wrong one is named and left to its owner."""
    site.status = 500
    (tmp_path / "tiny.zip").write_bytes(bytes(len(ARCHIVE)))
    with pytest.raises(DataError, match=rf"{tmp_path}/tiny.zip is not {site.url}: its sha256 .* Delete it"):
        bring(site.file(), tmp_path)
    (tmp_path / "tiny.zip").write_bytes(ARCHIVE)
    bring(site.file(), tmp_path)
    assert not site.asked


def test_a_log_gets_lines_and_a_terminal_a_bar(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a line says now and then how many megabytes are there; in one the bar does."""
    monkeypatch.setattr(download, "PLAIN_SECONDS", -1)
    assert any(line == "tiny.zip: 0 of 0 MB" for line in bring(site.file(), tmp_path))
    (tmp_path / "tiny.zip").unlink()
    screen = io.StringIO()
    monkeypatch.setattr(download, "Console", lambda **_: Console(file=screen, force_terminal=True, width=80))
    assert not any(" MB" in line for line in bring(site.file(), tmp_path))
    assert re.search(r"tiny\.zip .*60\.\d/60\.\d kB", screen.getvalue())
