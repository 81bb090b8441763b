"""The layers of a network, with shapes, parameters and multiply-adds, recorded by running it on meta tensors."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sr_model.networks import Network, build
from sr_model.networks.layers import ResidualBlock

ENCODER, DECODER, WHOLE = "encoder", "decoder", "whole picture"

_ACTIVATIONS = {"relu": "ReLU", "sigmoid": "sigmoid"}
_NAMES = {"pad": "pad", "max_pool2d": "pool", "pixel_shuffle": "shuffle", "__getitem__": "crop"}
# Omitted where they do not change the size, such as padding that is not needed or bicubic to the same size.
_RESIZING = ("pad", "__getitem__", "interpolate", "pixel_shuffle")


@dataclass(frozen=True)
class Layer:
    """One operation, together with the activation after it. The first layer of a network is the picture itself."""

    name: str  # of its module, or of the operation within its module
    part: str  # ENCODER: everything the latent depends on; DECODER; WHOLE: paths around both
    kind: str  # such as "conv 3x3, stride 2, ReLU", "max pool 2x2", "pixel shuffle x2", "add"
    shape: tuple[int, int, int]  # (C, H, W) of its output
    parameters: int
    multiply_adds: int  # of convolutions; other operations have hardly any
    inputs: tuple[int, ...]  # indices of the layers whose outputs it takes
    block: str  # name of the residual block that it belongs to, or ""

    @property
    def run(self) -> str:
        """Name of the series of residual blocks that it belongs to, or ""."""
        return self.block.rpartition(".")[0]


def layers(network: Network, size: tuple[int, int] = (128, 128)) -> list[Layer]:
    """All layers that a picture of size (H, W) passes through, in execution order."""
    # Built from the config, so it lacks the extra modules of an 8-bit version.
    ghost = build(network.config).to("meta")
    with torch.inference_mode():
        picture = torch.empty(1, 3, *size, device="meta")
        encoder = _Recorder(ghost, picture).run(ghost.latent)
        whole = _Recorder(ghost, picture).run(ghost)
    count = len(encoder)
    assert whole[:count] == encoder, "forward begins with what latent does"
    return _numbered(_with_parts(whole, count))


def latent_index(all_layers: list[Layer]) -> int:
    """The index of the layer whose output is the latent."""
    return max(i for i, layer in enumerate(all_layers) if layer.part == ENCODER)


def facts(network: Network, all_layers: list[Layer], part: str | None = None) -> dict[str, str]:
    """Key numbers of the network or of one part of it, by name."""
    h, w = all_layers[0].shape[1:]
    chosen = [layer for layer in all_layers if part in (None, layer.part)]
    work = sum(layer.multiply_adds for layer in chosen) / (h * w * 1000)
    numbers = {
        "parameters": f"{sum(layer.parameters for layer in chosen):,}",
        "multiply-adds per input pixel": f"{work:,.1f} kMAC",
    }
    if part is None:
        side = 2 * network.receptive_field + 1
        numbers["receptive field"] = f"{side}x{side} input pixels"
    return {**numbers, "latent": shape_text(all_layers[latent_index(all_layers)].shape)}


def shape_text(shape: Iterable[int]) -> str:
    """CxHxW."""
    return "x".join(map(str, shape))


def summary(network: Network, size: tuple[int, int] = (128, 128)) -> str:
    """A table of the layers for a picture of size (H, W), residual blocks folded, and the network's numbers."""
    all_layers = layers(network, size)
    pixels = size[0] * size[1]
    rows = [("name", "layer", "output CxHxW", "parameters", "kMAC/pixel")]
    part = WHOLE
    for folded in _folded(all_layers):
        if folded.part != part:
            part = folded.part
            rows.append((part, "", "", "", ""))
        work = f"{folded.multiply_adds / pixels / 1000:,.1f}" if folded.multiply_adds else ""
        parameters = f"{folded.parameters:,}" if folded.parameters else ""
        name = "  " + folded.name.removeprefix(f"{part}.") if part != WHOLE or folded.inputs else folded.name
        rows.append((name, folded.kind, shape_text(folded.shape), parameters, work))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        "  ".join(c.ljust(n) if i < 3 else c.rjust(n) for i, (c, n) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    numbers = facts(network, all_layers)
    label = max(map(len, numbers))
    ending = [f"{name.ljust(label)}  {value}" for name, value in numbers.items()]
    return "\n".join(line.rstrip() for line in (lines[0], rule, *lines[1:], rule, *ending))


def _folded(all_layers: list[Layer]) -> list[Layer]:
    """The layers, with each series of residual blocks merged into one."""
    rows = []
    for (run, _), group in groupby(enumerate(all_layers), key=lambda item: (item[1].run, item[1].run or item[0])):
        members = [layer for _, layer in group]
        row = members[-1]
        if run:
            count = len({layer.block for layer in members})
            row = replace(
                row,
                name=run,
                kind=f"{count} x residual block" if count > 1 else "residual block",
                parameters=sum(layer.parameters for layer in members),
                multiply_adds=sum(layer.multiply_adds for layer in members),
            )
        elif len(row.inputs) > 1:
            names = (all_layers[i].run or all_layers[i].name for i in row.inputs)
            row = replace(row, kind=f"{row.kind} " + " and ".join(n.removeprefix(f"{row.part}.") for n in names))
        rows.append(row)
    return rows


class _Recorder(TorchFunctionMode):
    """Records every tensor operation and which layers its inputs come from."""

    def __init__(self, network: nn.Module, picture: Tensor) -> None:
        super().__init__()
        self.network = network
        self.picture = picture
        self.layers = [Layer("picture", "", "picture", _shape(picture), 0, 0, (), "")]
        self.sources = {id(picture): 0}
        self.alive = [picture]  # so no id is reused
        self.modules = [("", network)]  # being called, outermost first; `latent` does not call the whole network

    def run(self, function: Callable[[Tensor], Tensor]) -> list[Layer]:
        hooks = []
        for name, module in self.network.named_modules():
            entry = (name, module)
            hooks.append(module.register_forward_pre_hook(lambda *_, entry=entry: self.modules.append(entry)))
            hooks.append(module.register_forward_hook(lambda *_: self.modules.pop() and None))
        try:
            with self:
                function(self.picture)
        finally:
            for hook in hooks:
                hook.remove()
        return self.layers

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            self._record(func.__name__, args, kwargs, result)
        return result

    def _record(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        learned = [tensor for tensor in tensors if isinstance(tensor, nn.Parameter)]
        inputs = tuple(self.sources[id(tensor)] for tensor in tensors if not isinstance(tensor, nn.Parameter))
        self.alive.append(result)
        if operation in _RESIZING and result.shape == args[0].shape:
            self.sources[id(result)] = inputs[0]
        elif operation in _ACTIVATIONS:
            before = self.layers[inputs[0]]
            self.layers[inputs[0]] = replace(before, kind=f"{before.kind}, {_ACTIVATIONS[operation]}")
            self.sources[id(result)] = inputs[0]
            del self.sources[id(args[0])]  # a later use of it must fail here rather than give a wrong figure
        else:
            path, module = self.modules[-1]
            if any(module.children()):  # an operation outside any leaf module
                path = ".".join(filter(None, (path, _NAMES.get(operation, kwargs.get("mode", operation)))))
            self.sources[id(result)] = len(self.layers)
            self.layers.append(
                Layer(
                    name=path,
                    part="",
                    kind=_kind(operation, args, kwargs, result),
                    shape=_shape(result),
                    parameters=sum(tensor.numel() for tensor in learned),
                    multiply_adds=result.numel() * args[1][0].numel() if operation == "conv2d" else 0,
                    inputs=inputs,
                    block=next((name for name, module in self.modules if isinstance(module, ResidualBlock)), ""),
                )
            )


def _shape(x: Tensor) -> tuple[int, int, int]:
    _, c, h, w = x.shape
    return c, h, w


def _kind(operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> str:
    if operation == "conv2d":
        h, w = args[1].shape[-2:]
        step = args[3][0]
        return f"conv {h}x{w}" + (f", stride {step}" if step > 1 else "")
    if operation == "max_pool2d":
        return f"max pool {args[1]}x{args[1]}"
    if operation == "interpolate":
        return f"{kwargs['mode']} x{result.shape[-1] / args[0].shape[-1]:g}"
    if operation == "pixel_shuffle":
        return f"pixel shuffle x{args[1]}"
    return _NAMES.get(operation, operation)


def _with_parts(raw: list[Layer], encoder: int) -> list[Layer]:
    """Assign parts: the first `encoder` layers lead to the latent; layers that do not depend on it are WHOLE.

    So is a layer that joins a WHOLE one, and everything after it.
    """
    parts = [WHOLE] + [ENCODER] * (encoder - 1)
    for layer in raw[encoder:]:
        before = {parts[i] for i in layer.inputs}
        parts.append(WHOLE if WHOLE in before else DECODER)
    return [replace(layer, part=part) for layer, part in zip(raw, parts, strict=True)]


def _numbered(all_layers: list[Layer]) -> list[Layer]:
    """Number the names that occur more than once."""
    total, seen = Counter(layer.name for layer in all_layers), Counter[str]()
    result = []
    for layer in all_layers:
        seen[layer.name] += 1
        result.append(replace(layer, name=f"{layer.name}{seen[layer.name]}") if total[layer.name] > 1 else layer)
    return result
