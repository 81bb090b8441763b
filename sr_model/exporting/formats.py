"""A preset's network as a file for another runtime, its format chosen by the file's ending."""

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from sr_model.errors import ConfigError
from sr_model.exporting.modules import Body, Whole, adds_to_bicubic, with_onnx_rounding
from sr_model.exporting.onnx_graph import EXAMPLE, to_onnx, traced
from sr_model.inference.engines import to_openvino
from sr_model.models import places, weights
from sr_model.models.weights import Card
from sr_model.networks import Network
from sr_model.networks.presets import INT8
from sr_model.system.files import write_atomically

SUFFIXES = (".onnx", ".xml", ".pt2")
LICENCE = "MIT; the licences of the training data are in weights/README.md"


def export(
    preset: str,
    scale: int,
    path: Path,
    half: bool = False,
    int8: bool = False,
    body: bool = False,
    where: str | os.PathLike = weights.SHIPPED,
) -> list[Path]:
    """Write a preset's network as ONNX (.onnx), OpenVINO IR (.xml and .bin) or `torch.export` (.pt2).

    Input and output are float32 RGB in [0, 1], (1, 3, H, W) to (1, 3, scale * H, scale * W), for any size from 1x1;
    the output is not clamped. `half` stores weights in 16 bits, `int8` takes the preset's 8-bit version, and `body`
    leaves out the bicubic enlargement that the network adds to. Returns the files written.

    Raises ConfigError for other endings and for combinations that a format cannot hold, WeightsError and HubError as
    loading does from `where`, which `places.locate` takes.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"Cannot export to {path.name!r}: its ending must be one of {', '.join(SUFFIXES)}.")
    if int8 and not preset.endswith(INT8):
        preset += INT8
    if half and (preset.endswith(INT8) or suffix == ".pt2"):
        what = "a .pt2 file" if suffix == ".pt2" else "an 8-bit network"
        raise ConfigError(f"--half does not apply to {what}; leave it out.")
    place = places.locate(where, [weights.name(preset, scale)])
    network, card = weights.load(preset, scale, place.folder)
    if card.quantized and suffix == ".pt2":
        raise ConfigError("8-bit networks cannot be written as .pt2; choose .onnx or .xml.")
    metadata = describe(network, card, half, body)
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".onnx":
        write_atomically(path, onnx_bytes(network, metadata, half, body))
        return [path]
    module = Body(network) if body else Whole(network)
    if suffix == ".xml":
        return _write_openvino(to_openvino(module, torch.rand(EXAMPLE)), path, half, metadata)
    buffer = io.BytesIO()
    torch.export.save(traced(module), buffer, extra_files={"sr_model.json": json.dumps(metadata)})
    write_atomically(path, buffer.getvalue())
    return [path]


def onnx_bytes(network: Network, metadata: dict[str, str], half: bool = False, body: bool = False) -> bytes:
    """The bytes of an .onnx file, as `export` describes them."""
    exportable = with_onnx_rounding(network)
    module = Body(exportable) if body else Whole(exportable)
    data: bytes = to_onnx(module, half, metadata).SerializeToString()
    return data


def describe(network: Network, card: Card, half: bool, body: bool) -> dict[str, str]:
    """What every exported file says about itself.

    `stride` and `receptive_field` are in input pixels: tiles that begin at multiples of the stride and have margins of
    the receptive field are exact. `bicubic` says who enlarges by bicubic (Keys, a = -0.5): "included", or "to be added"
    to the output, whose outermost pixels are bounded then (imaging/finishing/borders.py).
    """
    return {
        "preset": card.preset,
        "scale": str(card.scale),
        "sha256": card.sha256,
        "stride": str(network.stride),
        "receptive_field": str(network.receptive_field),
        "precision": "int8" if card.quantized else "half" if half else "float",
        "bicubic": "to be added" if body and adds_to_bicubic(network) else "included",
        "licence": LICENCE,
    }


def _write_openvino(model: Any, path: Path, half: bool, metadata: dict[str, str]) -> list[Path]:
    import openvino

    for key, value in metadata.items():
        model.set_rt_info(value, ["sr_model", key])
    written = [path.with_suffix(".bin"), path]
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder) / path.name, compress_to_fp16=half)
        for file in written:
            write_atomically(file, (Path(folder) / path.name).with_suffix(file.suffix).read_bytes())
    return written
