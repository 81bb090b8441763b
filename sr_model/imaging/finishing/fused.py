"""The last steps of an enlargement in one pass over memory: bicubic, its sum with detail, bounds, rounding to bytes.

Step by step, each over a picture of floats, they take torch longer than a small network takes for its convolutions.
Numba compiles them, once a machine. As loading that takes half a second in each process, it is only done for many
pictures. Without it, torch does the steps.
"""

import functools
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from sr_model.imaging.resampling import REACH, bicubic

log = logging.getLogger(__name__)

_expected = False  # whether there will be many pictures


def expect_many() -> None:
    """From now on `fused` works, in this process."""
    global _expected
    _expected = True


def fused(x: Tensor, scale: int, detail: Tensor | None = None) -> Tensor | None:
    """(1, 3, H, W) float32 in [0, 1] -> (1, 3, scale * H, scale * W) uint8: enlarged by bicubic and rounded.

    To it `detail` (1, 3 * scale**2, H or more, W or more) float32, in the same unit, is added, each pixel's channels in
    the places that `F.pixel_shuffle` gives them, and the outermost pixels are bounded as by `borders.bounded`. The same
    as by torch, but for values half-way between two levels. None if it is not done here: not on the CPU, without Numba,
    or before `expect_many`. The first call loads what Numba has compiled, or compiles it.
    """
    if x.device.type != "cpu" or not _expected or (rows := _rows()) is None:
        return None
    h, w = x.shape[-2:]
    planes = x[0].contiguous().numpy()
    details = np.empty((0, 0, 0), np.float32) if detail is None else detail[0].contiguous().numpy()
    large = np.empty((h * scale, w * scale, 3), np.uint8)
    down, across = _taps(h, scale), _taps(w, scale)

    def work(part: int) -> None:
        rows(h * part // parts, h * (part + 1) // parts, planes, details, down, across, large)

    parts = min(torch.get_num_threads(), h)
    futures = [_others(os.getpid()).submit(work, part) for part in range(1, parts)]
    work(0)
    for future in futures:
        future.result()
    return torch.from_numpy(large).permute(2, 0, 1)[None]


@functools.cache
def _rows() -> Callable[..., None] | None:
    try:
        from sr_model.imaging.finishing.compiled import rows
    except Exception as error:  # whatever a compiler may raise: not installed, another NumPy, an unknown processor
        log.info("Without Numba the last steps are done one by one, which is slower: %s", error)
        return None
    return rows


@functools.cache
def _others(_process: int) -> ThreadPoolExecutor:
    """Threads that wait for the next picture: to start new ones takes as long as half of the work.

    A process's own, as a fork does not inherit its parent's threads.
    """
    return ThreadPoolExecutor(os.cpu_count(), "finishing")


def _taps(length: int, scale: int) -> np.ndarray:
    """(scale * length, 2 * REACH + 1): the weights of the pixels around its own for each pixel of an enlarged side."""
    if length <= 2 * REACH:
        return _few_taps(length, scale)
    few = _few_taps(2 * REACH + 1, scale).reshape(2 * REACH + 1, -1)  # all in the middle are the same
    inner = np.repeat(few[REACH : REACH + 1], length - 2 * REACH, axis=0)
    return np.concatenate([few[:REACH], inner, few[-REACH:]]).reshape(scale * length, -1)


@functools.cache
def _few_taps(length: int, scale: int) -> np.ndarray:
    unit = torch.eye(length, dtype=torch.float64)[None, None]
    weights = np.pad(bicubic(unit, (scale * length, length))[0, 0].float().numpy(), ((0, 0), (REACH, REACH)))
    return np.stack([row[i // scale :][: 2 * REACH + 1] for i, row in enumerate(weights)])
