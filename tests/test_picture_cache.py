import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sr_model import data
from sr_model.data import Photo, Preparation, photos, picture_cache
from sr_model.data.patches import Patches
from sr_model.data.picture_cache import MappedArray, PictureCache
from sr_model.errors import DataError

ROOT = Path(__file__).parent.parent
SHAPES = [(5, 7, 3), (1, 1, 3), (40, 30, 3), (3,), (64, 64, 3)]  # nothing is aligned to anything


def ignore(text: str) -> None:
    pass


@pytest.fixture
def arrays(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.integers(0, 256, shape, np.uint8) for shape in SHAPES]


def load(folder: Path, cache: PictureCache | None = None, resize: int | None = None) -> list[Photo]:
    files = data.list_files([folder], 2, ignore, ignore)
    return data.load_photos(files, Preparation(2, 32, resize=resize), ignore, cache)


@pytest.mark.parametrize("limit", [0, 105, 3708, 20_000])
def test_arrays_come_back_bitwise_equal_and_read_only(tmp_path: Path, arrays: list[np.ndarray], limit: int) -> None:
    """Wherever the limit falls; what is in memory never exceeds it, and the rest is in the file."""
    with PictureCache(tmp_path / "cache", limit) as cache:
        numbers = [cache.put(array) for array in arrays]
        got = [cache.get(number) for number in numbers]
        assert cache.in_memory == sum(a.nbytes for a in got if not isinstance(a, MappedArray)) <= limit
        assert cache.in_memory + cache.in_file == sum(a.nbytes for a in arrays)
        assert (cache.path.stat().st_size if cache.in_file else 0) == cache.in_file
        for array, back in zip(arrays, got, strict=True):
            assert np.array_equal(array, back)
            with pytest.raises(ValueError, match="read-only"):
                back[...] = 0


def test_the_cache_does_not_change_with_what_was_put(tmp_path: Path) -> None:
    """It keeps copies, also of views that are not contiguous."""
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    before = pixels[::-1, 1:].copy()
    for limit in (0, 1000):
        with PictureCache(tmp_path, limit) as cache:
            number = cache.put(pixels[::-1, 1:])
            pixels += 1
            assert np.array_equal(cache.get(number), before)
            pixels -= 1


def test_a_mapped_array_pickles_as_its_place_and_a_slice_as_its_pixels(tmp_path: Path) -> None:
    """A worker gets some hundred bytes instead of a picture, and reads the same through one mapping."""
    pixels = np.arange(300 * 200 * 3, dtype=np.uint8).reshape(300, 200, 3)
    with PictureCache(tmp_path, 0) as cache:
        whole = cache.get(cache.put(pixels))
        pickled = pickle.dumps(whole)
        assert len(pickled) < 500
        back = pickle.loads(pickled)
        assert np.array_equal(back, pixels)
        assert np.shares_memory(back, whole)
        assert not back.flags.writeable
        assert np.array_equal(pickle.loads(pickle.dumps(whole[10:12, 5:])), pixels[10:12, 5:])


def test_the_file_goes_with_the_run_and_arrays_stay_valid(tmp_path: Path, arrays: list[np.ndarray]) -> None:
    """Also after an error, and with the folders that were made; what was got before can still be read."""
    with PictureCache(tmp_path / "run" / "cache", 0) as cache:
        got = cache.get(cache.put(arrays[0]))
        pickled = pickle.dumps(got)
    assert list(tmp_path.iterdir()) == []
    assert np.array_equal(got, arrays[0])
    assert np.array_equal(pickle.loads(pickled), arrays[0])
    with pytest.raises(AssertionError), PictureCache(tmp_path / "cache", 0) as cache:
        list(map(cache.put, (arrays[0], arrays[0].astype(float))))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_s_file_is_never_read(tmp_path: Path, arrays: list[np.ndarray]) -> None:
    """It is deleted at once, whether or not the new run needs one; and who still has it mapped sees no change."""
    killed = PictureCache(tmp_path, 0)
    old = killed.get(killed.put(arrays[0]))
    pickled = pickle.dumps(old)
    with PictureCache(tmp_path, 0) as cache:
        assert not cache.path.exists()
        new = cache.get(cache.put(arrays[2]))
        assert np.array_equal(new, arrays[2])
        assert np.array_equal(old, arrays[0])
        del old
        with pytest.raises(FileNotFoundError, match="another run"):
            pickle.loads(pickled)


def test_processes_of_one_run_do_not_meet(tmp_path: Path, arrays: list[np.ndarray]) -> None:
    """Each has a file of its own, that the others neither delete nor write."""
    with PictureCache(tmp_path, 0) as first:
        number = first.put(arrays[0])
        with PictureCache(tmp_path, 0, process=1) as second:
            assert np.array_equal(second.get(second.put(arrays[2])), arrays[2])
        assert np.array_equal(first.get(number), arrays[0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's disk that is always full")
def test_a_full_disk_is_said_in_a_sentence(
    tmp_path: Path, arrays: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system refuses to write, early or at the very end, the folder and the ways out are named."""
    monkeypatch.setattr(picture_cache, "open", lambda *_: open("/dev/full", "wb"), raising=False)  # noqa: SIM115
    small, large = arrays[0], np.zeros((500, 500, 3), np.uint8)
    for pixels in (small, large):  # a small one fails when it is flushed
        with (
            PictureCache(tmp_path / "cache", 0) as cache,
            pytest.raises(DataError, match=rf"{tmp_path}/cache: No space left on device.*--run-dir.*--cache-gb"),
        ):
            cache.get(cache.put(pixels))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, arrays: list[np.ndarray]) -> None:
    """It is the same sentence."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cache: Not a directory.*--run-dir"), PictureCache(tmp_path / "cache", 0):
        pass


@pytest.mark.parametrize("resize", [None, 32])
@pytest.mark.parametrize("limit", [0, 5000, 1e9])
@pytest.mark.filterwarnings("error")  # torch's, that a tensor's memory cannot be written to
def test_patches_are_the_same_with_and_without_a_cache(
    photo_folder: Path, tmp_path: Path, limit: float, resize: int | None
) -> None:
    """Bitwise, the 20 first of an epoch, in memory or in the file; and they are never the cache's own memory."""
    plain = Patches(load(photo_folder, resize=resize), 16, 2, seed=0)
    with PictureCache(tmp_path / "cache", limit) as cache:
        cached = Patches(load(photo_folder, cache, resize), 16, 2, seed=0)
        assert (cache.in_file == 0) == (limit == 1e9)
        for item in plain.order(0)[:20]:
            for one, other in zip(plain[item], cached[item], strict=True):
                assert torch.equal(one, other)
                other.zero_()


@pytest.mark.long
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_the_same(photo_folder: Path, tmp_path: Path, method: str) -> None:
    """DataLoader's processes, forked or begun anew, some pictures being in memory and some in the file."""
    with PictureCache(tmp_path / "cache", 50_000) as cache:
        patches = Patches(load(photo_folder, cache), 16, 2, seed=0)
        assert cache.in_memory
        assert cache.in_file
        loader = DataLoader(patches, 5, num_workers=1 + (method == "fork"), multiprocessing_context=method)
        low, high = (torch.cat(parts) for parts in zip(*loader, strict=True))
    assert all(torch.equal(low[i], patches[i][0]) and torch.equal(high[i], patches[i][1]) for i in range(len(patches)))


def test_each_picture_is_put_away_before_the_next_is_decoded(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that decoding needs the memory of one picture, however many there are."""
    events: list[str] = []
    for owner, name in ((photos, "_read"), (PictureCache, "put")):
        monkeypatch.setattr(owner, name, noted(getattr(owner, name), events))
    with PictureCache(tmp_path / "cache", 0) as cache:
        load(photo_folder, cache)
    assert events == ["_read", "put", "put"] * 4


def noted(function: Callable[..., Any], events: list[str]) -> Callable[..., Any]:
    def wrapper(*arguments: Any) -> Any:
        events.append(function.__name__)
        return function(*arguments)

    return wrapper


BOUNDED = """
import sys
from pathlib import Path

import torch
from PIL import Image

from sr_model import data
from sr_model.data import ListedFile, Preparation
from sr_model.data.patches import Patches
from sr_model.data.picture_cache import PictureCache

def anonymous() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3

folder = Path(sys.argv[1])
for name, side in (("high.bmp", 2880), ("low.bmp", 1440)):
    Image.open("examples/chelsea.png").convert("RGB").resize((side, side)).save(folder / name)
files = [ListedFile(folder / "high.bmp", "set", folder / "low.bmp")] * 10
how = Preparation(2, 32)
alone = data.load_photos(files[:1], how, print)  # 31 MB
before = anonymous()
with PictureCache(folder / "cache", 50e6) as cache:
    photos = data.load_photos(files, how, print, cache)
    cached, plain = Patches(photos, 48, 2, seed=0), Patches(alone * 10, 48, 2, seed=0)
    for item in plain.order(0)[:500]:
        assert all(torch.equal(a, b) for a, b in zip(cached[item], plain[item], strict=True))
    assert sum(int(photo.high.max()) for photo in photos) == 10 * int(alone[0].high.max())  # every page is read
    print(cache.in_file / 1e6, anonymous() - before)
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_memory_is_bounded(tmp_path: Path) -> None:
    """Of 311 MB with a limit of 50, about 50 are the process's own; the rest are pages that the kernel can drop."""
    result = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    in_file, grown = map(float, result.stdout.split())
    assert in_file > 260
    assert grown < 100
