import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_model import ImageError, Upscaler
from sr_model.imaging.images import Picture, from_pil
from sr_model.inference.batches import Enlarged, Tick, enlarge_all, windows
from sr_model.inference.overlap import Admit, Finished, Pictures, overlapped
from sr_model.networks import Network

SIZES = [(40, 24), (7, 9), (24, 40), (40, 24), (1, 1), (33, 40), (64, 41), (40, 24)]


@pytest.fixture
def upscaler(model: Network) -> Upscaler:
    return Upscaler(model, device="cpu", tile=16, engine="torch")


@pytest.fixture
def many(model: Network) -> Upscaler:
    """For two pictures at a time, wherever there are two processors."""
    return Upscaler(model, device="cpu", tile=16, engine="openvino", streams=2)


@pytest.fixture
def crops(photo: Image.Image) -> list[Image.Image]:
    """Photos of several sizes and modes."""
    cut = [photo.crop((20 * i, 10 * i, 20 * i + w, 10 * i + h)) for i, (w, h) in enumerate(SIZES)]
    cut[1] = cut[1].convert("L")
    cut[3].putalpha(Image.linear_gradient("L").resize(cut[3].size))
    return cut


def test_map_gives_what_calls_give_in_order(upscaler: Upscaler, crops: list[Image.Image]) -> None:
    """Whatever their sizes and kinds, and from an iterator that is read once."""
    results = list(upscaler.map(image for image in crops))
    assert [image.mode for image in results] == [image.mode for image in crops]
    for result, image in zip(results, crops, strict=True):
        assert np.array_equal(np.asarray(result), np.asarray(upscaler(image)))


def test_several_at_a_time_are_the_same_in_the_same_order(
    model: Network, many: Upscaler, crops: list[Image.Image]
) -> None:
    """To the bit, whichever is done first."""
    one = Upscaler(model, device="cpu", tile=16, engine="openvino")
    images = crops * 3
    for result, image in zip(many.map(images), images, strict=True):
        assert np.array_equal(np.asarray(result), np.asarray(one(image)))
    bad = Image.new("F", (3, 3))
    kinds = [isinstance(result, ImageError) for result in many.map([bad, *crops, bad, crops[1]], errors=True)]
    assert kinds == [True, *[False] * len(crops), True, False]


def test_memory_is_given_back_while_others_work(many: Upscaler, crops: list[Image.Image]) -> None:
    """Two threads may ask for it while two others enlarge: nothing hangs, and the pictures are right."""
    expected = [np.asarray(many(image)) for image in crops]

    def ask() -> None:
        for _ in range(20):
            many.release()

    askers = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for asker in askers:
        asker.start()
    for result, wanted in zip(many.map(crops), expected, strict=True):
        assert np.array_equal(np.asarray(result), wanted)
    for asker in askers:
        asker.join(60)
        assert not asker.is_alive()


def test_map_raises_a_failure_in_its_place(upscaler: Upscaler, crops: list[Image.Image]) -> None:
    """What comes before a bad item is there; the error ends the iteration as in the built-in `map`."""
    results = upscaler.map([crops[0], crops[1], Image.new("F", (3, 3)), crops[2]])
    assert [next(results).size, next(results).size] == [(80, 48), (14, 18)]
    with pytest.raises(ImageError, match="32 bits"):
        next(results)
    assert list(results) == []


def test_map_can_go_on_after_a_failure(upscaler: Upscaler, crops: list[Image.Image]) -> None:
    """With `errors`, the error takes the place of the result."""
    first, error, last = upscaler.map([crops[0], Image.new("F", (3, 3)), crops[2]], errors=True)
    assert isinstance(error, ImageError)
    assert isinstance(first, Image.Image)
    assert isinstance(last, Image.Image)
    assert (first.size, last.size) == ((80, 48), (48, 80))


def test_map_raises_what_the_iterable_raises(upscaler: Upscaler, crops: list[Image.Image]) -> None:
    """After the results of what came before."""

    def broken() -> Iterator[Image.Image]:
        yield crops[0]
        raise RuntimeError("the disk is gone")

    results = upscaler.map(broken())
    assert next(results).size == (80, 48)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(results)


def test_an_endless_iterable_is_read_only_so_far_ahead(upscaler: Upscaler, crops: list[Image.Image]) -> None:
    """Who takes three results has not made it read without end, and can stop there."""
    taken = itertools.count()
    results = upscaler.map(crops[next(taken) % 2] for _ in itertools.count())
    assert len(list(itertools.islice(results, 3))) == 3
    results.close()
    assert next(taken) < 100


def test_no_thread_outlives_a_failure(upscaler: Upscaler, crops: list[Image.Image]) -> None:
    """Even while somebody holds the error."""
    before = set(threading.enumerate())
    with pytest.raises(ImageError) as kept:
        list(upscaler.map([crops[0], "no picture", *crops]))  # type: ignore[type-var]
    deadline = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before
    assert "cannot be enlarged" in str(kept.value)


@pytest.mark.long
def test_a_program_may_end_with_a_map_half_used() -> None:
    """With its own exit status, while the network is working ahead."""
    program = (
        "import itertools, numpy, sr_model\n"
        "images = itertools.repeat(numpy.zeros((300, 300, 3), numpy.uint8))\n"
        "results = sr_model.Upscaler.from_preset('nano-int8', device='cpu').map(images)\n"
        "next(results)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("lanes", [1, 2])
def test_no_more_is_loaded_than_the_budget_has_room_for(
    upscaler: Upscaler, crops: list[Image.Image], lanes: int
) -> None:
    """Items on their way never cost more than the budget together; one that costs more than all of it goes alone."""
    lock, inside, most = threading.Lock(), 0, []
    costs = [3, 3, 3, 20, 3, 3, 9, 1, 1, 1, 1]

    def load(item: int, admit: Admit) -> list[Picture]:
        nonlocal inside
        admit(item)
        with lock:
            inside += item
            most.append((inside, item))
        return [from_pil(crops[1])]

    def save(item: int, made: Pictures) -> int:
        nonlocal inside
        assert not made.error
        with lock:
            inside -= item
        return item

    work = overlapped(
        costs, load, lambda pictures: enlarge_all(upscaler, pictures), save, budget=10, threads=3, lanes=lanes
    )
    assert [result for result in work if not isinstance(result, Tick)] == costs
    assert all(together <= 10 or together == cost for together, cost in most)


@pytest.mark.parametrize("lanes", [1, 3])
def test_what_needs_no_network_keeps_its_place(upscaler: Upscaler, crops: list[Image.Image], lanes: int) -> None:
    """Results come in order, from `load` or from `save`."""

    def load(item: int, admit: Admit) -> list[Picture] | Finished[int]:
        return Finished(item) if item % 3 else [from_pil(crops[0]), from_pil(crops[1])]

    def save(item: int, made: Pictures) -> int:
        assert [picture.size for picture in made.pictures] == [(80, 48), (14, 18)]
        return item

    batch = 4 if lanes == 1 else 1
    work = overlapped(
        range(20), load, lambda pictures: enlarge_all(upscaler, pictures, batch), save, threads=2, lanes=lanes
    )
    assert [result for result in work if not isinstance(result, Tick)] == list(range(20))


@pytest.mark.parametrize("error", [OSError("read"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["load", "save"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_unexpected_errors_reach_the_caller(
    upscaler: Upscaler, crops: list[Image.Image], lanes: int, stage: str, error: BaseException
) -> None:
    """In the place of their item, and nothing hangs."""

    def load(item: int, admit: Admit) -> list[Picture]:
        if stage == "load" and item == 2:
            raise error
        return [from_pil(crops[1])]

    def save(item: int, made: Pictures) -> int:
        if stage == "save" and item == 2:
            raise error
        return item

    work = overlapped(range(5), load, lambda pictures: enlarge_all(upscaler, pictures), save, threads=2, lanes=lanes)
    results = (result for result in work if not isinstance(result, Tick))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(type(error)):
        next(results)


@given(st.integers(1, 300), st.integers(1, 12), st.integers(0, 5), st.sampled_from([1, 2, 4]))
def test_windows_cover_a_side_once_with_their_margins(length: int, tile: int, margin: int, stride: int) -> None:
    """Equal but for less than a stride; each exact part has the margin around it, or the picture's border."""
    margin, size = margin * stride, (tile + 2 * margin) * stride
    found = windows(length, size, margin, stride)
    assert [first for _, _, first, _ in found] == [0, *(last for *_, last in found[:-1])]
    assert found[-1][3] == length
    for begin, end, first, last in found:
        assert begin % stride == 0
        assert first < last
        assert begin == 0 or first - begin >= margin
        assert end == length or end - last >= margin
        assert length <= size or size <= end - begin < size + stride


@pytest.mark.parametrize("batch", [2, 5])
def test_batches_equal_one_by_one(upscaler: Upscaler, crops: list[Image.Image], batch: int) -> None:
    """Windows of several pictures in one batch make the same pictures, in order, as each picture alone."""
    pictures = [from_pil(image) for image in crops]
    pictures.append(Picture(pictures[0].pixels.astype(np.uint16) * 257, grey=True))
    events = list(enlarge_all(upscaler, iter([*enumerate(pictures), None]), batch))
    results = [event for event in events if isinstance(event, Enlarged)]
    assert [event.key for event in results] == list(range(len(pictures)))
    for event, picture in zip(results, pictures, strict=True):
        assert isinstance(event.result, Picture)
        alone = upscaler(picture)
        levels = np.abs(event.result.pixels.astype(int) - alone.pixels)
        assert levels.max() <= np.iinfo(alone.pixels.dtype).max // 255
        assert (event.result.alpha is None) == (alone.alpha is None)
    assert sum(e.pixels for e in events if isinstance(e, Tick)) == sum(w * h for w, h in (p.size for p in pictures))


def test_a_result_does_not_depend_on_its_companions_in_the_batch(upscaler: Upscaler, crops: list[Image.Image]) -> None:
    """Batches are filled up, so a picture is the same to the bit beside others and alone."""
    pictures = [from_pil(image) for image in crops]
    together = [e.result for e in enlarge_all(upscaler, enumerate(pictures), 4) if isinstance(e, Enlarged)]
    for picture, beside in zip(pictures, together, strict=True):
        *_, alone = enlarge_all(upscaler, iter([(0, picture)]), 4)
        assert isinstance(alone, Enlarged)
        assert isinstance(alone.result, Picture)
        assert isinstance(beside, Picture)
        assert np.array_equal(alone.result.pixels, beside.pixels)


def test_a_device_too_small_for_batches_does_them_alone(
    upscaler: Upscaler, crops: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a batch does not fit into the device's memory, the pictures come out all the same."""
    engine = upscaler.engine

    def small(x: torch.Tensor) -> torch.Tensor:
        if len(x) > 1:
            raise torch.OutOfMemoryError
        return engine(x)

    expected = [upscaler(from_pil(image)).pixels for image in crops]
    monkeypatch.setattr(upscaler, "engine", small)
    results = enlarge_all(upscaler, iter(enumerate(map(from_pil, crops))), 4)
    for event, pixels in zip((e for e in results if isinstance(e, Enlarged)), expected, strict=True):
        assert isinstance(event.result, Picture)
        assert np.array_equal(event.result.pixels, pixels)
