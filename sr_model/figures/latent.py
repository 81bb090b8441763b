"""Make a network's latent visible: its first three principal components as colours."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging import images
from sr_model.imaging.tiles import Region
from sr_model.networks import Network

GAP = 2  # pixels between the channels of a sheet
TILE = 256  # input pixels; the layers before a latent take much memory


@dataclass(frozen=True)
class Latent:
    """The latent of a picture, or of a part of it."""

    values: Tensor  # (C, h, w)
    shape: tuple[int, int, int]  # (C, H, W) in the network
    reduced: int = 1  # the factor by which the values were shrunk, rounding up


def latent_of(network: Network, pixels: np.ndarray, region: Region | None = None, reduce: int = 1) -> Latent:
    """The latent of the input (H, W, 3) uint8, or of a `region` of it that begins and ends on the network's stride.

    It is computed in tiles with margins, so large pictures take little memory, and then shrunk by averaging blocks of
    `reduce` x `reduce` pixels.
    """
    h, w = pixels.shape[:2]
    region = region or Region(0, 0, h, w)
    stride, per_stride = network.stride, _per_stride(network)
    margin = network.receptive_field + -network.receptive_field % stride
    tile = max(1, TILE // (stride * reduce)) * stride * reduce
    device = next(network.parameters()).device

    def part(tile_region: Region) -> Tensor:
        window = tile_region.grow(margin, h, w)
        inner = tile_region.within(window)
        x = images.to_tensor(pixels[window.top : window.bottom, window.left : window.right])
        with torch.inference_mode():
            y = network.latent(x.to(device))[0].cpu()
        top, left = inner.top // stride * per_stride, inner.left // stride * per_stride
        # Rounded up, and clipped where the latent ends at the border of the picture.
        bottom, right = (-(-end // stride) * per_stride for end in (inner.bottom, inner.right))
        return y[:, top:bottom, left:right]

    height = width = 0
    rows = []
    for top in range(region.top, region.bottom, tile):
        row = []
        for left in range(region.left, region.right, tile):
            y = part(Region(top, left, min(region.bottom, top + tile), min(region.right, left + tile)))
            height += y.shape[1] if left == region.left else 0
            width += y.shape[2] if top == region.top else 0
            row.append(F.avg_pool2d(y, reduce, ceil_mode=True, count_include_pad=False))
        rows.append(torch.cat(row, dim=2))
    values = torch.cat(rows, dim=1)
    return Latent(values, (len(values), height, width), reduce)


def latent_step(network: Network) -> int:
    """How many output pixels wide a pixel of the latent is."""
    return network.stride * network.scale // _per_stride(network)


def channel_sheet(network: Network, pixels: np.ndarray, side: int = 1024) -> tuple[np.ndarray, tuple[int, int, int]]:
    """(`channels` of the latent of (H, W, 3) uint8, the latent's shape in the network)."""
    smallest = _smallest(network)
    longest = max(pixels.shape[:2]) * smallest.shape[-1] // network.stride
    reduce = max(1, round(longest * math.sqrt(smallest.shape[1]) / side))
    latent = latent_of(network, pixels, reduce=reduce)
    return channels(latent.values, side), latent.shape


def _per_stride(network: Network) -> int:
    return _smallest(network).shape[-1]


def _smallest(network: Network) -> Tensor:
    """The latent of the smallest picture, (1, C, h, w)."""
    side = network.stride
    with torch.inference_mode():
        return network.latent(torch.zeros(1, 3, side, side, device=next(network.parameters()).device))


def channels(values: Tensor, side: int = 1024) -> np.ndarray:
    """All channels of (C, h, w) beside one another in rows, (H, W) uint8, about `side` pixels a side.

    Each is shown from its own darkest to its own brightest, the range of 98 % of its pixels; one that does not vary is
    medium grey, and so are the lines between them.
    """
    count, h, w = values.shape
    rows, columns = _grid(count, math.sqrt(count * h / w))
    times = max(1, side // max(columns * w, rows * h))
    x = values.flatten(1).float()
    low, high = x.quantile(torch.tensor([0.01, 0.99]), dim=1)[..., None]
    span = high - low
    x = torch.where(span > 1e-6 * span.max().clamp(min=1e-6), (x - low) / span.clamp(min=1e-12), 0.5)
    shown = np.atleast_3d(images.to_array(x.view(1, count, h, w)))
    shown = shown.transpose(2, 0, 1).repeat(times, axis=1).repeat(times, axis=2)
    _, h, w = shown.shape
    sheet = np.full((rows * (h + GAP) - GAP, columns * (w + GAP) - GAP), 128, np.uint8)
    for i, channel in enumerate(shown):
        top, left = i // columns * (h + GAP), i % columns * (w + GAP)
        sheet[top : top + h, left : left + w] = channel
    return sheet


def _grid(count: int, ideal: float) -> tuple[int, int]:
    """(rows, columns) for `count` channels: near the ideal number of columns, and with few places left empty."""

    def cost(columns: int) -> float:
        return abs(math.log(columns / ideal)) + -count % columns / columns

    columns = min(range(1, count + 1), key=cost)
    return -(-count // columns), columns


@dataclass(frozen=True)
class Colours:
    """Three directions in the space of a latent, and the range of values that each shows from dark to bright."""

    mean: Tensor  # (C,)
    directions: Tensor  # (C, 3)
    low: Tensor  # (3,)
    high: Tensor  # (3,)

    @classmethod
    def of(cls, values: Tensor) -> "Colours":
        """The first three principal components of (C, h, w), and the range of 98 % of the pixels.

        Signs are chosen so that the largest weight is positive: the same latent always gets the same colours.
        """
        x = values.flatten(1).double()
        mean = x.mean(dim=1)
        centred = x - mean[:, None]
        _, vectors = torch.linalg.eigh(centred @ centred.T / centred.shape[1])
        directions = F.pad(vectors.flip(1), (0, 3))[:, :3]  # narrow latents are padded to three channels
        largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
        directions = directions * torch.where(largest < 0, -1.0, 1.0)
        low, high = (directions.T @ centred).quantile(torch.tensor([0.01, 0.99], dtype=torch.float64), dim=1)
        return cls(mean, directions, low, high)

    def paint(self, values: Tensor) -> np.ndarray:
        """(C, h, w) -> (h, w, 3) uint8; a component that does not vary is medium grey."""
        x = self.directions.T @ (values.flatten(1).double() - self.mean[:, None])  # (3, h * w)
        span = (self.high - self.low)[:, None]
        flat = span <= 1e-6 * span.max().clamp(min=1e-6)
        x = torch.where(flat, 0.5, (x - self.low[:, None]) / torch.where(flat, 1.0, span))
        return images.to_array(x.view(1, 3, *values.shape[1:]))
