"""Cut a picture into tiles, work on each with a margin, and put the results together without a seam.

Knows no model: `tiled` takes any function from (N, C, h, w) to (N, C, scale * h, scale * w) whose operations are local.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels: rows top to bottom and columns left to right, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    def grow(self, margin: int, h: int, w: int) -> "Region":
        """The region with `margin` more on each side, cut at the borders of an h x w picture."""
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


def tiles(h: int, w: int, size: int) -> list[Region]:
    """Regions of at most size x size that cover an h x w picture once; their origins are multiples of size."""
    return [
        Region(top, left, min(h, top + size), min(w, left + size))
        for top in range(0, h, size)
        for left in range(0, w, size)
    ]


def tiled(
    function: Callable[[Tensor], Tensor], x: Tensor, size: int, margin: int, stride: int
) -> Iterator[tuple[Region, Tensor]]:
    """Yield each tile's region of `x` (N, C, H, W) and `function`'s result for it, cut to the region.

    `margin` must be at least the function's receptive field, measured in pixels of `x`, and `stride` its total stride:
    then what is yielded equals the same region of `function(x)`. The margin is cut off, never blended.
    """
    if size < 1 or size % stride:
        raise ValueError(f"the tile size is {size}; it must be a positive multiple of the stride {stride}")
    margin += -margin % stride  # windows begin on the stride's grid too
    h, w = x.shape[-2:]
    for region in tiles(h, w, size):
        window = region.grow(margin, h, w)
        y = function(window.of(x))
        scale = y.shape[-1] // (window.right - window.left)
        yield region, (region.within(window) * scale).of(y)
