"""The contract of every network: enlarge a picture, exactly the same in tiles as in one piece."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.imaging.finishing.borders import bounded
from sr_model.imaging.finishing.fused import fused
from sr_model.imaging.resampling import bicubic_times, is_traced

SCALES = (1, 2, 3, 4)  # 1 restores a picture at its own size


class Network(nn.Module, ABC):
    """A network that enlarges pictures `scale` times per side.

    Input (N, 3, H, W), RGB, float, [0, 1], any H and W from 1. Output (N, 3, scale * H, scale * W), not clamped.

    `forward(x)` is `finish(body(prepare(x)), x, enlarged)`, where `enlarged` is `x` by bicubic. Everything slow is in
    `body`, which is what engines run. All spatial operations are local, so a picture that is cut into tiles at
    multiples of `stride`, with margins of at least `receptive_field`, gives the same result as the whole.
    """

    float_modules: tuple[str, ...] = ()  # names; the 8-bit version leaves them and their children in float32

    def __init__(self, config: Any) -> None:
        """`config` is the dataclass that rebuilds the network; it has `scale` and is saved beside the weights."""
        super().__init__()
        self.config = config

    @property
    def scale(self) -> int:
        """How many times larger the output is, per side: one of SCALES."""
        return int(self.config.scale)

    @property
    @abstractmethod
    def stride(self) -> int:
        """Total stride in input pixels: tiles begin at multiples of it."""

    @property
    @abstractmethod
    def receptive_field(self) -> int:
        """Radius in input pixels: how far away an input pixel can still change an output pixel."""

    @property
    @abstractmethod
    def features(self) -> int:
        """The largest number of values that a layer outputs per input pixel; memory grows with it."""

    @abstractmethod
    def latent(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> the latent (N, C, h, w), its sides rounded up."""

    @abstractmethod
    def prepare(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> the input of `body`, whose sides are multiples of the network's strides."""

    @abstractmethod
    def body(self, x: Tensor) -> Tensor:
        """What `prepare` returned -> what `finish` takes, the learned part."""

    @abstractmethod
    def finish(self, y: Tensor, x: Tensor, enlarged: Tensor) -> Tensor:
        """The output, from what `body` returned, the input (N, 3, H, W), and the input enlarged by bicubic."""

    def finish_in_bytes(self, y: Tensor, x: Tensor) -> Tensor | None:
        """What `finish` returns, as (1, 3, scale * H, scale * W) uint8, if there is a faster way to it; else None."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(self.body(self.prepare(x)), x, bicubic_times(x, self.scale))


class BicubicPlus(Network):
    """Bicubic enlargement plus what an encoder and a decoder add to it.

    The encoder makes several tensors of (N, 3, H, W), the last one the latent at half resolution; the decoder makes
    (N, 3 * scale**2, H, W) of them, which its pixel `shuffle` turns into the detail that bicubic misses. `config` has
    the `width` of both at full resolution. Odd sides are padded by repeating the last row or column, and the result is
    cropped.
    """

    stride = 2

    def __init__(self, config: Any, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__(config)
        self.encoder, self.decoder = encoder, decoder

    @property
    def features(self) -> int:
        return max(self.config.width, 3 * self.scale**2)

    def latent(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, latent_width, H/2, W/2), rounded up."""
        latent: Tensor = self.encoder(self.prepare(x))[-1]
        return latent

    def prepare(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        padding = (0, w % self.stride, 0, h % self.stride)
        return F.pad(x, padding, mode="replicate") if is_traced() or any(padding) else x  # it would copy for nothing

    def body(self, x: Tensor) -> Tensor:
        return self.decoder(*self.encoder(x))

    def detail(self, y: Tensor, x: Tensor) -> Tensor:
        """(N, 3, scale * H, scale * W): what `body` returned for `x` (N, 3, H, W), in the places of its pixels."""
        detail: Tensor = self.decoder.get_submodule("shuffle")(_cropped(y, x))
        return detail

    def finish(self, y: Tensor, x: Tensor, enlarged: Tensor) -> Tensor:
        """Their sum; the picture's outermost pixels are bounded, except in training, which sees its own mistakes."""
        if x.device.type != "cpu" or y.requires_grad or is_traced():
            y = enlarged + self.detail(y, x)
        else:
            y = _sum_with_shuffled(enlarged, _cropped(y, x), self.scale)
        return y if self.training else bounded(y, x)

    def finish_in_bytes(self, y: Tensor, x: Tensor) -> Tensor | None:
        return None if self.training else fused(x, self.scale, y)


def _cropped(y: Tensor, x: Tensor) -> Tensor:
    """`y` without what `prepare` has padded."""
    h, w = x.shape[-2:]
    return y[..., :h, :w]


def _sum_with_shuffled(enlarged: Tensor, y: Tensor, scale: int) -> Tensor:
    """`enlarged + F.pixel_shuffle(y, scale)` in one pass over memory, in half of the time."""
    total = torch.empty_like(enlarged)
    cells = y.unflatten(1, (3, scale, scale)).permute(0, 1, 4, 2, 5, 3)
    torch.add(_in_cells(enlarged, scale), cells, out=_in_cells(total, scale))
    return total


def _in_cells(x: Tensor, scale: int) -> Tensor:
    """(N, C, scale * H, scale * W) -> (N, C, H, scale, W, scale), the same memory."""
    return x.unflatten(-1, (-1, scale)).unflatten(-3, (-1, scale))


def check_scale(scale: int) -> None:
    """Raise ValueError for an unsupported scale."""
    if scale not in SCALES:
        raise ValueError(f"scale is {scale}; it must be one of {', '.join(map(str, SCALES))}")
