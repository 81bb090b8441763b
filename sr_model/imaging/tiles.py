"""Process a picture in tiles with margins, so that the joined results equal the whole.

Independent of any model: `tiled` takes any function from (N, C, h, w) to (N, C, scale * h, scale * w) whose operations
are local.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sr_model.errors import MemoryLimitError

SMALLEST = 32  # pixels a side: if even such tiles do not fit, nothing does


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels: rows top to bottom and columns left to right, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    def grow(self, margin: int, h: int, w: int) -> "Region":
        """The region with `margin` more on each side, clipped to an h x w picture."""
        return Region(
            max(0, self.top - margin),
            max(0, self.left - margin),
            min(h, self.bottom + margin),
            min(w, self.right + margin),
        )

    def within(self, outer: "Region") -> "Region":
        """The same region, counted from the top left corner of `outer`."""
        return Region(self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left)

    def __mul__(self, scale: int) -> "Region":
        return Region(self.top * scale, self.left * scale, self.bottom * scale, self.right * scale)

    def of(self, x: Tensor) -> Tensor:
        """The region's pixels of (..., H, W), as a view."""
        return x[..., self.top : self.bottom, self.left : self.right]


def tiles(h: int, w: int, size: int, stride: int = 1) -> list[Region]:
    """Regions of at most size x size that cover an h x w picture once, nearly equal, with origins on the stride."""
    rows, columns = _starts(h, size, stride), _starts(w, size, stride)
    return [
        Region(top, left, bottom, right)
        for top, bottom in zip(rows, [*rows[1:], h], strict=True)
        for left, right in zip(columns, [*columns[1:], w], strict=True)
    ]


def tiled(
    function: Callable[[Tensor], Tensor], x: Tensor, size: int, margin: int, stride: int
) -> Iterator[tuple[Region, Tensor, int]]:
    """Yield each tile's region of `x` (N, C, H, W), `function`'s result for that region, and how many tiles are left.

    `margin` must be at least the function's receptive field, measured in pixels of `x`, and `stride` its total stride:
    each result then equals the same region of `function(x)`. The margin is cropped, never blended. If CUDA runs out of
    memory, tiles are halved until they fit. Raises MemoryLimitError if tiles of SMALLEST do not.
    """
    if size < 1 or size % stride:
        raise ValueError(f"the tile size is {size}; it must be a positive multiple of the stride {stride}")
    margin += -margin % stride  # windows begin on the stride's grid too
    h, w = x.shape[-2:]
    todo = tiles(h, w, size, stride)[::-1]
    while todo:
        region = todo.pop()
        window = region.grow(margin, h, w)
        try:
            y = function(window.of(x))
        except torch.OutOfMemoryError:
            y = None
        if y is None:  # outside the handler, whose traceback keeps the tensors of the failed attempt alive
            size = _smaller(size, stride)
            torch.cuda.empty_cache()
            todo = [part for old in [*todo, region] for part in _split(old, size, stride)]
            continue
        scale = y.shape[-1] // (window.right - window.left)
        yield region, (region.within(window) * scale).of(y), len(todo)


def _starts(length: int, size: int, stride: int) -> list[int]:
    """Where the parts of a side begin: as few as possible, nearly equal, as a thin last one has the same margins."""
    count = -(-length // size)
    step = -(-length // (count * stride)) * stride
    return list(range(0, length, step))


def _split(region: Region, size: int, stride: int) -> list[Region]:
    """The region in tiles of `size`, the last one first."""
    parts = tiles(region.bottom - region.top, region.right - region.left, size, stride)[::-1]
    return [
        Region(p.top + region.top, p.left + region.left, p.bottom + region.top, p.right + region.left) for p in parts
    ]


def _smaller(size: int, stride: int) -> int:
    if size <= SMALLEST:
        raise MemoryLimitError(
            f"The device runs out of memory even with tiles of {size} pixels. "
            "Close other programs that use it, or work on the CPU (--device cpu)."
        )
    half = size // 2
    return max(half - half % stride, stride)
