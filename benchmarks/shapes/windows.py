"""Networks whose pixels attend to each other in windows: HARN."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.shapes.distilling import Cascade, ContrastAttention, Distilled, Fused, Mixed, Variance
from benchmarks.shapes.parts import Added, Centred, PixelNorm, bilinear, blueprint, conv, depthwise, enlarging


class Windows(nn.Module):
    """Attention in windows of `size`, which may be `shifted` by half of it, with positions from a convolution."""

    def __init__(self, width: int, size: tuple[int, int], shifted: bool) -> None:
        super().__init__()
        self.queries_keys, self.values = conv(width, 2 * width), conv(width, width)
        self.queries, self.keys, self.positions = (depthwise(width, 5) for _ in range(3))
        self.size = size
        self.shift = (size[0] // 2, size[1] // 2) if shifted else (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        height, width = (int(n) for n in x.shape[-2:])
        x = F.pad(x, (0, -width % self.size[1], 0, -height % self.size[0]))
        if any(self.shift):
            x = torch.roll(x, (-self.shift[0], -self.shift[1]), (2, 3))
        q, k = self.queries_keys(x).chunk(2, 1)
        v = self.values(x)
        positions = self.positions(v)
        q, k, v = (self.split(part) for part in (self.queries(q) + positions, self.keys(k) + positions, v))
        x = self.join(F.scaled_dot_product_attention(q, k, v), x) + positions
        if any(self.shift):
            x = torch.roll(x, self.shift, (2, 3))
        return x[:, :, :height, :width]

    def split(self, x: Tensor) -> Tensor:
        """(1, C, H, W) -> (windows, 1, pixels, C)."""
        a, b = self.size
        c, h, w = (int(n) for n in x.shape[1:])
        return x.view(c, h // a, a, w // b, b).permute(1, 3, 2, 4, 0).reshape(-1, 1, a * b, c)

    def join(self, x: Tensor, like: Tensor) -> Tensor:
        """(windows, 1, pixels, C) -> (1, C, H, W), as `like` is: undoes `split`."""
        a, b = self.size
        c, h, w = (int(n) for n in like.shape[1:])
        return x.view(h // a, w // b, a, b, c).permute(4, 0, 2, 1, 3).reshape(1, c, h, w)


class Recurrent(nn.Module):
    """HARN: a gated recurrent unit that mixes a part of the channels with the attention to the previous one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reset, self.update, self.new = (conv(2 * width, width) for _ in range(3))

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        both = torch.cat([x, before], 1)
        update = torch.sigmoid(self.update(both))
        new = torch.tanh(self.new(torch.cat([x, before * torch.sigmoid(self.reset(both))], 1)))
        return (1 - update) * before + update * new


class FourWindows(nn.Module):
    """HARN: attention in each quarter of the channels in turn, in windows of different sides."""

    def __init__(self, width: int, shifted: bool) -> None:
        super().__init__()
        half = width // 2
        self.enter, self.leave = conv(width, 2 * width), conv(2 * width, width)
        sizes = ((32, 32), (8, 32), (32, 8), (8, 32))
        self.attentions = nn.ModuleList(Windows(half, size, shifted) for size in sizes)
        self.gate = Recurrent(half)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.enter(x).chunk(4, 1)
        results = [self.attentions[0](first)]
        for part, attention in zip(others, list(self.attentions)[1:], strict=True):
            results.append(attention(self.gate(part, results[-1])))
        return self.leave(torch.cat(results, 1))


class ThreeScales(nn.Module):
    """HARN's spatial gate: local maxima at three sizes and variances at one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        few = width // 4
        self.squeeze, self.fine, self.expand = conv(width, few), conv(few, few), conv(few, width)
        pools = (nn.MaxPool2d(3, 3, 1), nn.MaxPool2d(5, 3), nn.MaxPool2d(7, 3, 1), Variance(7))
        self.coarse = nn.ModuleList(nn.Sequential(blueprint(few, few, 2, reflect=True), pool) for pool in pools)
        self.refine = nn.ModuleList(
            nn.Sequential(blueprint(few, few, reflect=True), nn.GELU(), blueprint(few, few, reflect=True))
            for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.squeeze(x)
        one, two, three, variance = (coarse(y) for coarse in self.coarse)
        gate = self.fine(y)
        for refine, part in zip(self.refine, (one, two, three + variance), strict=True):
            gate = gate + bilinear(refine(part), x)
        return x * torch.sigmoid(self.expand(gate))


def harn(scale: int, width: int = 20) -> nn.Module:
    """Ren et al. 2024, the NTIRE report: team 41's network, whose attention is in windows of three shapes."""

    def windows(shifted: bool) -> nn.Module:
        mixed = nn.Sequential(conv(width, 2 * width), Added(Cascade(2 * width, 4)), nn.GELU(), conv(2 * width, width))
        attended = Added(PixelNorm(width, 1e-6), FourWindows(width, shifted))
        return nn.Sequential(attended, Added(PixelNorm(width, 1e-6), mixed))

    def block(spatial: nn.Module) -> nn.Module:
        stages = [nn.Sequential(Added(Mixed(width, 4)), nn.GELU()) for _ in range(3)]
        near = Distilled(width, width // 2, stages, blueprint(width, width // 2, reflect=True))
        channels = Added(conv(width, width), nn.GELU(), ContrastAttention(width), depthwise(width))
        return Added(near, Added(nn.GELU(), spatial, depthwise(width)), channels)

    blocks = [block(spatial) for spatial in (windows(False), windows(True), windows(False), ThreeScales(width))]
    cascade = Cascade(width, 4, activated=False)
    fuse = nn.Sequential(conv(4 * width, width), conv(width, width), cascade, nn.GELU(), conv(width, width))
    return Centred(Fused(conv(3, width, 3), blocks, fuse, enlarging(width, scale)))


SHAPES: dict[str, Callable[[int], nn.Module]] = {"ntire24_harn": harn}
