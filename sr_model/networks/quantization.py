"""Networks in 8-bit arithmetic: the weights and inputs of convolutions have 256 levels, all else stays float32.

OpenVINO runs them by the processor's 8-bit instructions; torch works out the same numbers in float32, and no faster.
Weights are scaled for each output channel, inputs for each layer by what it sees of real photos. The sums of the
residual blocks and bicubic stay in float, so that no error is carried on.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.networks import Network

LAST = "tail"  # in the names of last layers, which stay in float: their levels would be seen as bands
PART = 512  # pixels
SIGNED, UNSIGNED = -128, 0  # the lowest of an input's 256 levels


class QuantizedConv2d(nn.Module):
    """A convolution (N, C, H, W) -> (N, C', H', W') with 8-bit weights, of an input rounded to 256 levels."""

    weight_scale: Tensor
    input_scale: Tensor
    input_lowest: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        """As `conv` in shape; the numbers come by `take` or `load_state_dict`."""
        super().__init__()
        self.stride, self.padding = conv.stride, conv.padding
        self.weight = nn.Parameter(torch.zeros_like(conv.weight, dtype=torch.int8), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(conv.out_channels))
        self.register_buffer("weight_scale", torch.ones(conv.out_channels))
        self.register_buffer("input_scale", torch.ones(()))
        self.register_buffer("input_lowest", torch.tensor(SIGNED))

    @torch.no_grad()
    def take(self, conv: nn.Conv2d, low: float, high: float) -> None:
        """Take over the weights of a convolution whose input lies between `low` and `high`."""
        assert conv.bias is not None, "all convolutions here have one"
        scale = (conv.weight.abs().amax((1, 2, 3)) / 127).clamp_min(1e-12)
        self.weight.copy_((conv.weight / scale.view(-1, 1, 1, 1)).round().to(torch.int8))
        self.weight_scale.copy_(scale)
        self.bias.copy_(conv.bias)
        self.input_lowest.fill_(SIGNED if low < 0 else UNSIGNED)
        self.input_scale.fill_(max(max(-low, high) / 127 if low < 0 else high / 255, 1e-12))

    def forward(self, x: Tensor) -> Tensor:
        lowest = int(self.input_lowest)
        x = torch.fake_quantize_per_tensor_affine(x.float(), float(self.input_scale), 0, lowest, lowest + 255)
        weight = self.weight.float() * self.weight_scale.view(-1, 1, 1, 1)
        # This changes nothing, but by it OpenVINO knows weights of 8 bits.
        zero = torch.zeros_like(self.weight_scale, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(weight, self.weight_scale, zero, 0, -127, 127)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


def quantize(network: Network, pictures: Iterable[Tensor]) -> Network:
    """A copy in 8 bits, its ranges chosen on pictures (1, 3, H, W) in [0, 1] such as it will be given.

    Raises ValueError where there is no picture.
    """
    quantized = prepared(network)
    seen = _ranges(network, pictures)
    if not seen:
        raise ValueError("there is no picture to choose the ranges on")
    for name, (low, high) in seen.items():
        layer, conv = quantized.get_submodule(name), network.get_submodule(name)
        if isinstance(layer, QuantizedConv2d) and isinstance(conv, nn.Conv2d):
            layer.take(conv, low, high)
    return quantized


def prepared(network: Network) -> Network:
    """A copy whose convolutions, but for the last, are `QuantizedConv2d` that wait for their numbers."""
    changed = copy.deepcopy(network).eval()
    for name, conv in _convolutions(network):
        owner, _, leaf = name.rpartition(".")
        if LAST not in name.split("."):
            setattr(changed.get_submodule(owner), leaf, QuantizedConv2d(conv))
    return changed


def is_quantized(network: nn.Module) -> bool:
    """Whether any of its convolutions has 8-bit weights."""
    return any(isinstance(module, QuantizedConv2d) for module in network.modules())


def _convolutions(network: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]


def _ranges(network: Network, pictures: Iterable[Tensor]) -> dict[str, tuple[float, float]]:
    """(least, largest) input of each convolution over all pictures, and 0, by its name.

    Only these two numbers are kept of each input, and large pictures are seen in parts of PART pixels a side.
    """
    seen: dict[str, tuple[float, float]] = {}

    def watch(name: str, conv: nn.Conv2d) -> torch.utils.hooks.RemovableHandle:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = seen.get(name, (0.0, 0.0))
            seen[name] = min(low, float(inputs[0].min())), max(high, float(inputs[0].max()))

        return conv.register_forward_pre_hook(note)

    hooks = [watch(name, conv) for name, conv in _convolutions(network)]
    try:
        with torch.inference_mode():
            for picture in pictures:
                for rows in picture.split(PART, dim=2):
                    for part in rows.split(PART, dim=3):
                        network(part)
    finally:
        for hook in hooks:
            hook.remove()
    return seen
