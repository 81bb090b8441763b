"""Bicubic, up and down, and rounding to 8 bits. Pure functions on (N, C, H, W) tensors in [0, 1]."""

from torch import Tensor
from torch.nn import functional as F


def bicubic(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, H, W) to (N, C, *size) by the antialiased bicubic of Keys with a = -0.5, as Pillow and MATLAB do.

    The result may lie slightly outside of the input's range.
    """
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)


def bicubic_times(x: Tensor, scale: int) -> Tensor:
    """(N, C, H, W) -> (N, C, scale * H, scale * W) by `bicubic`."""
    h, w = x.shape[-2:]
    return bicubic(x, (h * scale, w * scale))


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
