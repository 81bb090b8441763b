"""ZeroGPU of Hugging Face Spaces: a GPU for the seconds of one job. On all other machines this changes nothing.

The package `spaces` is on every Gradio Space and has to be imported before torch.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

try:
    import spaces
except ImportError:
    spaces = None

P = ParamSpec("P")
T = TypeVar("T")

ACTIVE = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def on_gpu(work: Callable[P, Iterator[T]], seconds: Callable[..., int]) -> Callable[P, Iterator[T]]:
    """`work`, a generator function, run in a process that has a GPU for `seconds(*its arguments)`.

    Its arguments and what it yields are pickled on ZeroGPU; elsewhere it is `work` itself.
    """
    if spaces is None:
        return work
    decorate: Any = spaces.GPU(duration=seconds)
    return decorate(work)
