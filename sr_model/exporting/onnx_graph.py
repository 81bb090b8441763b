"""A network as an ONNX graph that every runtime has the operations for."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx.experimental import _config

from sr_model.exporting.modules import Whole

SHAPES: Any = _config  # torch has no public name for these settings
OPSET = 18
EXAMPLE = (1, 3, 15, 13)  # odd sizes take every branch


def traced(module: nn.Module) -> ExportedProgram:
    """The module's graph for input (1, 3, H, W) with any height and width from 1."""
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    # Without this setting torch would assume that a side is never 1.
    with SHAPES.patch(backed_size_oblivious=True), torch.no_grad():
        return torch.export.export(module.eval(), (torch.rand(EXAMPLE),), dynamic_shapes=(sides,))


def to_onnx(module: Whole, half: bool, metadata: dict[str, str]) -> Any:  # onnx.ModelProto
    """The graph of a module in float32, its input named `input` and its output `output`.

    `half` stores the convolutions' weights in float16; they are read back as float32, so only their rounding changes
    the result.
    """
    program = torch.onnx.export(
        traced(module),
        dynamo=True,
        opset_version=OPSET,
        input_names=["input"],
        output_names=["output"],
        custom_translation_table={torch.ops.aten._upsample_bicubic2d_aa.default: _resize(module.network.scale)},
        verbose=False,
    )
    assert program is not None, "it has been asked for no file"
    model = program.model_proto
    _tidy(model.graph)
    if half:
        _halve_weights(model.graph)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model


def _resize(scale: int) -> Callable[..., Any]:
    """`resampling.bicubic` for enlarging, where antialiasing changes nothing; weights outside the picture are 0."""

    def translate(x: Any, *_: Any) -> Any:
        from onnxscript import opset18

        scales: Any = opset18.Constant(value_floats=[1.0, 1.0, float(scale), float(scale)])
        return opset18.Resize(x, None, scales, None, mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)

    return translate


def _tidy(graph: Any) -> None:
    """Drop the exporter's notes on where each operation comes from, and name the sides."""
    del graph.value_info[:]
    graph.name, graph.doc_string = "sr_model", ""
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
    for values, prefix in ((graph.input, ""), (graph.output, "large_")):
        for dimension, name in zip(values[0].type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
            dimension.dim_param = prefix + name


def _halve_weights(graph: Any) -> None:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    casts = []
    for tensor in graph.initializer:
        if tensor.name in weights and tensor.data_type == TensorProto.FLOAT:
            name, stored = tensor.name, f"{tensor.name}_half"
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), stored))
            casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for cast in casts:
        graph.node.insert(0, cast)
