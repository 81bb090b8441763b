import fcntl
import os
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sr_model.data import named_sets
from sr_model.data.named_sets import SETS, NamedSet, cache_folder, fetch
from sr_model.errors import ConfigError, DataError
from sr_model.imaging.images import find_images
from tests.file_server import ARCHIVE, PICTURES, Site, names, serving, tarred, zipped


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as site:
        yield site


def table(site: Site, keep: str = "") -> dict[str, NamedSet]:
    """A table with the set `tiny`, which is what the site has now."""
    return {"tiny": NamedSet("Tiny", "CC0", "http://tiny", (site.file(),), keep)}


def tiny(site: Site, folder: Path, keep: str = "") -> list[str]:
    """Fetch the set, hold its pictures against those of the site, and give what was said."""
    said: list[str] = []
    pictures = fetch("tiny", said.append, folder, table(site, keep))
    assert pictures == folder / "tiny"
    assert {path.name: path.read_bytes() for path in pictures.glob("*.*")} == {
        **PICTURES,
        ".complete": (pictures / ".complete").read_bytes(),
    }
    return said


def test_a_set_is_fetched_once(site: Site, tmp_path: Path) -> None:
    """The first use downloads and unpacks it and says its licence; the second needs no network and says nothing."""
    assert "CC0" in tiny(site, tmp_path)[0]
    assert names(tmp_path) == {"tiny"}
    site.status = 500
    assert tiny(site, tmp_path) == []
    assert site.asked == [None]
    assert [path.name for path in find_images(tmp_path / "tiny")] == list(PICTURES)


def test_a_system_without_sync_will_do(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none."""
    monkeypatch.delattr(os, "sync")
    tiny(site, tmp_path)


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
        fetch("tiny", print, inner, table(site))
    assert not list(tmp_path.rglob("*.png"))
    assert not (inner / "tiny").exists()


def test_only_pictures_that_are_wanted_are_taken(site: Site, tmp_path: Path) -> None:
    """Of a tar archive come the pictures that `keep` matches: no notes, no hidden files, no links."""
    wanted = {f"all/train/{name}": content for name, content in PICTURES.items()}
    others = {"all/val/9.png": b"9", "all/train/Thumbs.db": b"", "all/train/._0000.png": b"", "README": b""}
    site.content, site.url = tarred({**wanted, **others}), site.url.replace(".zip", ".tgz")
    tiny(site, tmp_path, "/train/")


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
    with pytest.raises(DataError, match=r"GB are needed in .* are free\. Free some space, or .*SR_MODEL_DATA"):
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
    with pytest.raises(DataError, match="holds something other than Tiny"):
        tiny(site, tmp_path)
    assert not site.asked


def test_two_at_once_download_once(site: Site, tmp_path: Path) -> None:
    """Who finds the set being fetched says so, waits, and takes what the other one has brought."""
    waiting = threading.Event()
    with ThreadPoolExecutor() as pool, open(tmp_path / ".tiny.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = pool.submit(fetch, "tiny", lambda _: waiting.set(), tmp_path, table(site))
        assert waiting.wait(10)
        named_sets._fill(tmp_path / "tiny", table(site)["tiny"], print)
    assert second.result() == tmp_path / "tiny"
    assert site.asked == [None]


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
