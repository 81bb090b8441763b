"""Many pictures through one network: one after the other, or in batches of equal windows from several of them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sr_model.errors import MemoryLimitError, SRError
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.imaging.tiles import Region

if TYPE_CHECKING:
    from sr_model.inference.upscaler import Upscaler

PICTURES = 32  # that wait for their windows to be done, at most


@dataclass(frozen=True)
class Tick:
    """A tile is done: so many pixels of the small picture."""

    pixels: int


@dataclass(frozen=True)
class Enlarged:
    """What has become of a picture: its result or the error, and the seconds that the network took for it."""

    key: Any
    result: Picture | SRError
    seconds: float = 0.0


# Pictures with the keys that tell them apart; None says that the next one is not there yet and may take a while.
Stream = Iterator[tuple[Any, Picture] | None]


def enlarge_all(upscaler: "Upscaler", pictures: Stream, batch: int = 1) -> Iterator[Tick | Enlarged]:
    """Enlarge pictures in their order, with a Tick after each tile. Their errors come in their places.

    With a `batch` above 1, windows of equal size are collected from several pictures and go through the network
    together, always `batch` of them: where they run out, the batch is filled up, so what a picture becomes does not
    depend on which ones are beside it. It is within one level of what it becomes alone.
    """
    if batch == 1 or upscaler.is_mixed:  # each picture may have weights of its own
        for item in pictures:
            if item is not None:
                yield from _alone(upscaler, *item)
        return
    yield from _Batches(upscaler, batch).run(pictures)


def _alone(upscaler: "Upscaler", key: Any, picture: Picture) -> Iterator[Tick | Enlarged]:
    w, h = picture.size
    counted, seconds = 0, 0.0
    result: Picture | SRError | None = None
    try:
        for step in upscaler.steps(picture):
            pixels = w * h * step.done // step.total
            if pixels > counted:
                yield Tick(pixels - counted)
            counted, seconds, result = pixels, step.seconds, step.result
    except SRError as error:
        result = error
    except MemoryError:
        result = _too_large(picture)
    assert result is not None, "an enlargement ends with its result"
    yield Enlarged(key, result, seconds)


def _too_large(picture: Picture) -> MemoryLimitError:
    w, h = picture.size
    return MemoryLimitError(f"A picture of {w}x{h} pixels and its result do not fit into the memory.")


def windows(length: int, size: int, margin: int, stride: int) -> list[tuple[int, int, int, int]]:
    """Windows along a side: (begin, end, first and last of what is exact in it, ends excluded).

    All are `size` long, the last one by less than `stride` longer, and what is exact covers the side once. A side that
    is not longer than `size` is one window.
    """
    if length <= size:
        return [(0, length, 0, length)]
    step = size - 2 * margin
    last = (length - size) // stride * stride
    begins = [*range(0, last, step), last]
    cuts = [0, *(begin + margin for begin in begins[1:]), length]
    ends = [begin + size for begin in begins[:-1]] + [length]
    return list(zip(begins, ends, cuts[:-1], cuts[1:], strict=True))


@dataclass
class _Pending:
    """A picture whose windows are not all done."""

    key: Any
    picture: Picture
    source: Tensor  # (3, H, W)
    large: np.ndarray
    missing: int
    seconds: float = 0.0
    error: SRError | None = None


@dataclass(frozen=True)
class _Window:
    owner: _Pending
    region: Region  # that the network sees
    exact: Region  # that is kept


class _Batches:
    def __init__(self, upscaler: "Upscaler", batch: int) -> None:
        model = upscaler.model
        self._upscaler, self._batch = upscaler, batch
        self._margin = model.receptive_field + -model.receptive_field % model.stride
        self._size = upscaler.tile + 2 * self._margin
        self._line: deque[_Pending] = deque()
        self._groups: dict[tuple, list[_Window]] = {}  # by what must be equal in a batch

    def run(self, pictures: Stream) -> Iterator[Tick | Enlarged]:
        for item in pictures:
            if item is not None:
                self._add_or_refuse(*item)
            enough = 1 if item is None or len(self._line) > PICTURES else self._batch
            yield from self._work(enough)
        yield from self._work(1)

    def _add_or_refuse(self, key: Any, picture: Picture) -> None:
        try:
            self._add(key, picture)
        except MemoryError:
            empty = torch.empty(0), np.empty(0, np.uint8)
            self._line.append(_Pending(key, picture, *empty, missing=0, error=_too_large(picture)))

    def _add(self, key: Any, picture: Picture) -> None:
        picture = images.bleed_colours(picture)
        pixels, scale, stride = picture.pixels, self._upscaler.scale, self._upscaler.model.stride
        h, w = pixels.shape[:2]
        source = torch.from_numpy(pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32)).permute(2, 0, 1)
        rows, columns = (windows(side, self._size, self._margin, stride) for side in (h, w))
        large = np.empty((h * scale, w * scale, 3), pixels.dtype)
        owner = _Pending(key, picture, source, large, len(rows) * len(columns))
        self._line.append(owner)
        for top, bottom, first_row, last_row in rows:
            for left, right, first_column, last_column in columns:
                exact = Region(first_row, first_column, last_row, last_column)
                group = bottom - top, right - left, pixels.dtype
                window = _Window(owner, Region(top, left, bottom, right), exact)
                self._groups.setdefault(group, []).append(window)

    def _work(self, enough: int) -> Iterator[Tick | Enlarged]:
        """Run each group for as long as it has `enough` windows; give what is complete, in order."""
        for group in list(self._groups):
            while len(waiting := self._groups.get(group, [])) >= enough:
                part, rest = waiting[: self._batch], waiting[self._batch :]
                self._groups[group] = rest
                if not rest:
                    del self._groups[group]
                self._run(part)
                yield Tick(sum((w.exact.bottom - w.exact.top) * (w.exact.right - w.exact.left) for w in part))
        while self._line and not self._line[0].missing:
            done = self._line.popleft()
            yield Enlarged(done.key, done.error or self._upscaler.completed(done.picture, done.large), done.seconds)

    def _run(self, part: list[_Window]) -> None:
        try:
            results, seconds = self._network(part)
        except torch.OutOfMemoryError:
            results, seconds = None, 0.0
        if results is None:  # outside of the handler, whose traceback keeps the failed work's tensors alive
            torch.cuda.empty_cache()
            self._one_by_one(part)
            return
        for window, y in zip(part, results.split(1), strict=True):
            owner, scale = window.owner, self._upscaler.scale
            r = window.exact * scale
            inner = (window.exact.within(window.region) * scale).of(y)
            images.to_array(inner, owner.large.dtype, out=owner.large[r.top : r.bottom, r.left : r.right])
            owner.missing -= 1
            owner.seconds += seconds / len(part)

    def _network(self, part: list[_Window]) -> tuple[Tensor, float]:
        levels = np.iinfo(part[0].owner.large.dtype).max
        stacked = [window.region.of(window.owner.source) for window in part]
        stacked += [stacked[-1]] * (self._batch - len(part))
        with torch.inference_mode():
            y, seconds = self._upscaler.on_floats(torch.stack(stacked).float() / levels)
        return y[: len(part)], seconds

    def _one_by_one(self, part: list[_Window]) -> None:
        """Batches are too large for the device: from now on each picture goes alone, those that had begun included."""
        self._batch = 1
        for owner in {id(window.owner): window.owner for window in part}.values():
            self._groups = {
                group: kept
                for group, waiting in self._groups.items()
                if (kept := [window for window in waiting if window.owner is not owner])
            }
            *_, last = _alone(self._upscaler, owner.key, owner.picture)
            assert isinstance(last, Enlarged)
            owner.missing = 0
            owner.seconds = last.seconds
            if isinstance(last.result, Picture):
                owner.large = last.result.pixels
            else:
                owner.error = last.result


def default_batch(device: torch.device) -> int:
    """How many windows go through the network at once: a graphics card is full only with several."""
    return 8 if device.type == "cuda" else 1
