"""Bicubic, up and down, and rounding to 8 bits. Pure functions on (N, C, H, W) tensors in [0, 1]."""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 16  # pixels of a side that one matrix enlarges: more would multiply more zeros, fewer are slower products
REACH = 2  # pixels on either side that an enlarged one depends on
SEEN = BLOCK + 2 * REACH


def bicubic(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, H, W) to (N, C, *size) by the antialiased bicubic of Keys with a = -0.5, as Pillow and MATLAB do.

    The result may lie slightly outside of the input's range.
    """
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)


def bicubic_times(x: Tensor, scale: int) -> Tensor:
    """(N, C, H, W) -> (N, C, scale * H, scale * W) by `bicubic`.

    On the CPU by products with small matrices, in a third of the time and equal to within rounding, unless it has to be
    traced or differentiated.
    """
    if x.device.type != "cpu" or x.requires_grad or is_traced():
        h, w = x.shape[-2:]
        return bicubic(x, (h * scale, w * scale))
    with torch.autocast("cpu", enabled=False):
        return _by_matrices(x, scale)


def _by_matrices(x: Tensor, scale: int) -> Tensor:
    """Few and large products, across and then down, since each one wakes all threads."""
    n, c, h, w = x.shape
    across, down = _matrices(w, scale, x.dtype), _matrices(h, scale, x.dtype)
    rows = x.new_zeros(h, n * c, len(across) * BLOCK + 2 * REACH)
    rows[..., REACH : REACH + w] = x.permute(2, 0, 1, 3).flatten(1, 2)
    seen = rows.unfold(-1, SEEN, BLOCK)  # (H, N * C, blocks, SEEN)
    padded = x.new_zeros(len(down) * BLOCK + 2 * REACH, n * c, len(across), scale * BLOCK)
    wide = padded[REACH : REACH + h]
    torch.mm(seen.reshape(-1, SEEN), across[min(1, len(across) - 1)].T, out=wide.view(-1, scale * BLOCK))
    for i in {0, max(0, len(across) - 2), len(across) - 1}:  # those that the picture's sides reach
        wide[:, :, i] = seen[:, :, i] @ across[i].T
    large = torch.bmm(down, padded.flatten(1).unfold(0, SEEN, BLOCK).mT)  # (blocks, scale * BLOCK, the rest)
    return large.view(-1, n, c, len(across) * scale * BLOCK)[: scale * h, ..., : scale * w].permute(1, 2, 0, 3)


def _matrices(length: int, scale: int, dtype: torch.dtype) -> Tensor:
    """(blocks, scale * BLOCK, SEEN): how each block of a side is enlarged, from the pixels in and around it.

    All but the first and the last two, which the side's ends may reach, are the same.
    """
    blocks = -(-length // BLOCK)
    if blocks <= 4:
        return _few_matrices(length, scale, dtype)
    few = _few_matrices(length - (blocks - 4) * BLOCK, scale, dtype)
    return few[[0, *[1] * (blocks - 3), 2, 3]]


@functools.cache
def _few_matrices(length: int, scale: int, dtype: torch.dtype) -> Tensor:
    blocks = -(-length // BLOCK)
    weights = torch.zeros(blocks * scale * BLOCK, blocks * BLOCK + 2 * REACH, dtype=torch.float64)
    unit = torch.eye(length, dtype=torch.float64)[None, None]
    weights[: scale * length, REACH : REACH + length] = bicubic(unit, (scale * length, length))[0, 0]
    parts = weights.unflatten(0, (blocks, -1))
    return torch.stack([part[:, i * BLOCK :][:, :SEEN] for i, part in enumerate(parts)]).to(dtype)


def is_traced() -> bool:
    """Whether operations are being recorded, for all sizes and shapes, and not just done."""
    by_jit = torch.jit.is_tracing()  # type: ignore[attr-defined]  # torch does not list it
    return bool(by_jit or torch.compiler.is_compiling() or torch.compiler.is_exporting())


def to_8bit(x: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to the 256 levels that a file can hold; still float."""
    return x.clamp(0, 1).mul(255).round().div(255)


def crop_to_multiple(x: Tensor, scale: int) -> Tensor:
    """Crop (..., H, W) at the bottom and right to the largest multiples of `scale`."""
    h, w = x.shape[-2:]
    return x[..., : h - h % scale, : w - w % scale]


def shrink(x: Tensor, scale: int) -> Tensor:
    """Antialiased bicubic (a = -0.5), rounded to 8 bits: the field's standard low resolution.

    (N, C, H, W) -> (N, C, H / scale, W / scale); `scale` must divide H and W.
    """
    h, w = x.shape[-2:]
    if h % scale or w % scale:
        raise ValueError(f"{w}x{h} is not a multiple of {scale}; call crop_to_multiple first")
    return to_8bit(bicubic(x, (h // scale, w // scale)))


def enlarge(x: Tensor, scale: int) -> Tensor:
    """Bicubic (a = -0.5), rounded to 8 bits: the baseline of every comparison here.

    (N, C, H, W) -> (N, C, scale * H, scale * W).
    """
    return to_8bit(bicubic_times(x, scale))


def soften(x: Tensor, factor: int) -> Tensor:
    """Shrink the picture `factor` times and enlarge it back, both by bicubic: the input that x1 restores."""
    h, w = x.shape[-2:]
    small = to_8bit(bicubic(x, (max(1, h // factor), max(1, w // factor))))
    return to_8bit(bicubic(small, (h, w)))
