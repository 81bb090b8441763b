"""What is exported of a network, as modules of plain tensors in and out that exporters can trace."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.networks import Network
from sr_model.networks.base import BicubicPlus
from sr_model.networks.quantization import QuantizedConv2d, QuantizedMove, RoundedInput


class Whole(nn.Module):
    """RGB in [0, 1] (1, 3, H, W) -> (1, 3, scale * H, scale * W), not clamped: bicubic is inside."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network(x)
        return y


class Body(Whole):
    """The same in and out, without what `Network.finish` does: for networks that add to bicubic, only their part."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.network.body(self.network.prepare(x))
        if isinstance(self.network, BicubicPlus):
            return self.network.detail(y, x)
        h, w = x.shape[-2:]
        return y[..., : h * self.network.scale, : w * self.network.scale]


def adds_to_bicubic(network: Network) -> bool:
    """Whether the body's output is what bicubic misses; if not, it is the whole picture already."""
    return isinstance(network, BicubicPlus)


def with_onnx_rounding(network: Network) -> Network:
    """The network; of one in 8 bits, a copy that rounds by ONNX's own operations and keeps its weights as bytes.

    The copy is there to be exported: run by torch, it computes nothing.
    """
    changed = copy.deepcopy(network)
    for name, module in network.named_modules():
        if isinstance(module, QuantizedConv2d):
            changed.set_submodule(name, _OnnxConv2d(module))
        elif isinstance(module, QuantizedMove):
            changed.set_submodule(name, nn.Sequential(_OnnxRounding(module), module.move))
    return changed


class _OnnxRounding(nn.Module):
    """`RoundedInput.rounded` as QuantizeLinear and DequantizeLinear."""

    scale: Tensor
    zero: Tensor

    def __init__(self, layer: RoundedInput) -> None:
        super().__init__()
        signed = int(layer.input_lowest) < 0
        self.levels = torch.int8 if signed else torch.uint8
        self.register_buffer("scale", layer.input_scale.clone())
        self.register_buffer("zero", torch.zeros((), dtype=self.levels))

    def forward(self, x: Tensor) -> Tensor:
        ends = (self.scale, self.zero)
        levels = torch.onnx.ops.symbolic("QuantizeLinear", (x, *ends), dtype=self.levels, shape=x.shape)
        return torch.onnx.ops.symbolic("DequantizeLinear", (levels, *ends), dtype=torch.float32, shape=x.shape)


class _OnnxConv2d(nn.Module):
    """`QuantizedConv2d` with weights that DequantizeLinear reads."""

    weight_scale: Tensor
    weight_zero: Tensor

    def __init__(self, layer: QuantizedConv2d) -> None:
        super().__init__()
        self.rounding = _OnnxRounding(layer)
        self.stride, self.padding = layer.stride, layer.padding
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer("weight_scale", layer.weight_scale.clone())
        self.register_buffer("weight_zero", torch.zeros_like(layer.weight_scale, dtype=torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.onnx.ops.symbolic(
            "DequantizeLinear",
            (self.weight, self.weight_scale, self.weight_zero),
            {"axis": 0},
            dtype=torch.float32,
            shape=self.weight.shape,
        )
        return F.conv2d(self.rounding(x), weight, self.bias, self.stride, self.padding)
