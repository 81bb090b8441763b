"""Networks in 8-bit arithmetic: convolutions with weights of 255 levels and inputs of 256 levels.

OpenVINO runs them with the processor's 8-bit instructions; torch computes the same numbers in float32, no faster.
Weights are scaled per output channel, inputs per layer by their range on real photos. Tensors that a network enlarges
or shuffles are rounded first, so that bytes are moved. Sums stay in float32: rounded from block to block, they would
lose as much again as all else, for a twentieth of the time. So does bicubic.
"""

import copy
import re
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.networks import Network
from sr_model.networks.layers import Doubled

PART = 512  # pixels
SIGNED, UNSIGNED = -128, 0  # the lowest of an input's 256 levels


class RoundedInput(nn.Module):
    """Rounds its input to 256 levels: -128 to 127 steps where it can be negative, else 0 to 255."""

    input_scale: Tensor
    input_lowest: Tensor

    def __init__(self) -> None:
        """The range is set later, by `take_range` or `load_state_dict`."""
        super().__init__()
        self.register_buffer("input_scale", torch.ones(()))
        self.register_buffer("input_lowest", torch.tensor(SIGNED))

    @torch.no_grad()
    def take_range(self, low: float, high: float) -> None:
        """Choose the levels for an input that lies between `low` and `high`."""
        self.input_lowest.fill_(SIGNED if low < 0 else UNSIGNED)
        self.input_scale.fill_(max(max(-low, high) / 127 if low < 0 else high / 255, 1e-12))

    def rounded(self, x: Tensor) -> Tensor:
        lowest = int(self.input_lowest)
        return torch.fake_quantize_per_tensor_affine(x.float(), float(self.input_scale), 0, lowest, lowest + 255)


class QuantizedConv2d(RoundedInput):
    """A convolution (N, C, H, W) -> (N, C', H', W') with 8-bit weights, of an input rounded to 256 levels."""

    weight_scale: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        """Shaped like `conv`; the numbers are set later, by `take` or `load_state_dict`."""
        super().__init__()
        self.stride, self.padding = conv.stride, conv.padding
        self.weight = nn.Parameter(torch.zeros_like(conv.weight, dtype=torch.int8), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(conv.out_channels))
        self.register_buffer("weight_scale", torch.ones(conv.out_channels))

    @torch.no_grad()
    def take(self, conv: nn.Conv2d, low: float, high: float) -> None:
        """Take over the weights of a convolution whose input lies between `low` and `high`."""
        self.take_weights(conv)
        self.take_range(low, high)

    @torch.no_grad()
    def take_weights(self, conv: nn.Conv2d) -> None:
        """Take over the weights of a convolution; the input's range stays."""
        assert conv.bias is not None, "all convolutions here have one"
        scale = _weight_scale(conv.weight)
        self.weight.copy_((conv.weight / scale.view(-1, 1, 1, 1)).round().to(torch.int8))
        self.weight_scale.copy_(scale)
        self.bias.copy_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.float() * self.weight_scale.view(-1, 1, 1, 1)
        # Rounding changes no value here; it is how OpenVINO recognises 8-bit weights.
        return self._convolved(self.rounded(x), weight, self.weight_scale, self.bias)

    def of_rounded(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """What this layer would give for rounded `x`, had it the weights of `conv`. Gradients pass their rounding."""
        assert conv.bias is not None, "all convolutions here have one"
        return self._convolved(x, conv.weight, _weight_scale(conv.weight.detach()), conv.bias)

    def _convolved(self, x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        zero = torch.zeros_like(scale, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)
        return F.conv2d(x, weight, bias, self.stride, self.padding)


class QuantizedMove(RoundedInput):
    """Rounds its input to 256 levels, then applies a module that only moves values, such as a pixel shuffle."""

    def __init__(self, move: nn.Module) -> None:
        super().__init__()
        self.move = move

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.move(self.rounded(x))
        return y


def quantize(network: Network, pictures: Iterable[Tensor]) -> Network:
    """An 8-bit copy, with ranges chosen on `pictures` (1, 3, H, W) in [0, 1] like those it will be given.

    Raises ValueError if there is no picture.
    """
    quantized = prepared(network)
    ranges = _ranges(network, pictures)
    if not ranges:
        raise ValueError("there is no picture to choose the ranges on")
    for name, layer in quantized.named_modules():
        if isinstance(layer, QuantizedConv2d):
            conv = network.get_submodule(name)
            assert isinstance(conv, nn.Conv2d), "a layer takes the place of its like"
            layer.take(conv, *ranges[name])
        elif isinstance(layer, RoundedInput):
            layer.take_range(*ranges[name])
    return quantized


def prepared(network: Network) -> Network:
    """A copy with 8-bit layers, whose numbers are still to be set."""
    changed = copy.deepcopy(network).eval()
    for name, module in network.named_modules():
        if not any(f"{name}.".startswith(f"{kept}.") for kept in network.float_modules):
            if isinstance(module, nn.Conv2d):
                changed.set_submodule(name, QuantizedConv2d(module))
            elif isinstance(module, nn.PixelShuffle | Doubled):
                changed.set_submodule(name, QuantizedMove(copy.deepcopy(module)))
    return changed


def without_sums(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without the ranges of the sums between blocks, which files from before 2026-11-27 hold.

    Those were rounded then; the convolutions that read them have the same ranges of their own.
    """
    retired = re.compile(r"(shared_stem|shared_skip|blocks\.\d+\.input)\.input_(scale|lowest)$")
    return {name: tensor for name, tensor in tensors.items() if not retired.search(name)}


def mixed(below: dict[str, Tensor], above: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The 8-bit state dict between two of the same network: exactly one of them where `share` is 0 or 1.

    Weights are mixed as the numbers they stand for and rounded anew; inputs get the wider range of both.
    """
    if share in (0, 1):
        return above if share else below
    state = {}
    for key, value in below.items():
        layer, _, kind = key.rpartition(".")
        if kind == "weight" and value.dtype == torch.int8:
            low, high = (end[key] * end[f"{layer}.weight_scale"].view(-1, 1, 1, 1) for end in (below, above))
            weight = torch.lerp(low, high, share)
            scale = _weight_scale(weight)
            state[key] = (weight / scale.view(-1, 1, 1, 1)).round().to(torch.int8)
            state[f"{layer}.weight_scale"] = scale
        elif kind == "input_scale":
            state[key], state[f"{layer}.input_lowest"] = _wider(below, above, layer)
        elif kind not in ("weight_scale", "input_lowest"):
            state[key] = torch.lerp(value, above[key], share)
    return state


def _weight_scale(weight: Tensor) -> Tensor:
    return (weight.abs().amax((1, 2, 3)) / 127).clamp_min(1e-12)


def _wider(below: dict[str, Tensor], above: dict[str, Tensor], layer: str) -> tuple[Tensor, Tensor]:
    """(scale, lowest level) of the range that holds both."""
    lowest = torch.minimum(below[f"{layer}.input_lowest"], above[f"{layer}.input_lowest"])
    scales = []
    for end in (below, above):
        levels = 255 if end[f"{layer}.input_lowest"] == UNSIGNED else 127
        scales.append(end[f"{layer}.input_scale"] * levels / (255 if lowest == UNSIGNED else 127))
    return torch.maximum(*scales), lowest


def is_quantized(network: nn.Module) -> bool:
    """Whether any of its convolutions has 8-bit weights."""
    return any(isinstance(module, QuantizedConv2d) for module in network.modules())


def _ranges(network: Network, pictures: Iterable[Tensor]) -> dict[str, tuple[float, float]]:
    """The lowest and highest input of each module over all pictures, by its name; 0 is always between them.

    Only these two numbers of each input are kept, and large pictures are processed in parts of PART pixels a side.
    Narrower ranges, which clip rare values for finer steps, were tried: they lose far more than they gain, unless
    they are learned, as in `fine_tuning`.
    """
    ranges: dict[str, tuple[float, float]] = {}

    def widen(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = min(low, float(inputs[0].min())), max(high, float(inputs[0].max()))

    leaves = [(name, module) for name, module in network.named_modules() if not any(module.children())]
    hooks = [module.register_forward_pre_hook(partial(widen, name)) for name, module in leaves]
    try:
        with torch.inference_mode():
            for picture in pictures:
                for rows in picture.split(PART, dim=2):
                    for part in rows.split(PART, dim=3):
                        network(part)
    finally:
        for hook in hooks:
            hook.remove()
    return ranges
