"""The shapes of published networks, with random weights: time does not depend on them.

Each is written anew from its paper and its authors' code, as it is run, not as it is trained: branches that fold into
one convolution are one. Its number of parameters is the published one (tests/test_frontier.py).
"""

from collections.abc import Callable

from torch import nn

from benchmarks.shapes import attending, classic, distilling, kernels, modulating, plain, stacks, swift, windows

# By the name in benchmarks/published.csv, what builds a network for a scale: (N, 3, H, W) -> (N, 3, s * H, s * W)
SHAPES: dict[str, Callable[[int], nn.Module]] = {
    **stacks.SHAPES,
    **plain.SHAPES,
    **classic.SHAPES,
    **swift.SHAPES,
    **modulating.SHAPES,
    **distilling.SHAPES,
    **kernels.SHAPES,
    **attending.SHAPES,
    **windows.SHAPES,
}
