"""The networks that visitors' browsers can run: which they are, what a browser must know of them, their files."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from sr_model.errors import ConfigError, SRError
from sr_model.exporting.modules import Body, adds_to_bicubic
from sr_model.models import weights
from sr_model.networks.presets import INT8, find

EVERYWHERE = ("nano", "small")  # quick enough by WebAssembly; the others need a graphics processor
RUNTIME = Path(__file__).parent / "runtime"
PROBE_SIDE, PROBE_VALUES = 16, 64
PACKAGES = Path(__file__).parents[3]  # the folder that sr_model is in


def listed(choices: list[tuple[str, int]], address: Callable[[str, int], str]) -> list[dict[str, Any]]:
    """What the page knows of each (preset, scale) that browsers can run: not those in 8 bits, which are slower there.

    `address` gives the path of what `describe` says of it, below the page's.
    """
    return [
        {
            "preset": preset,
            "scale": scale,
            "title": find(preset).title,
            "everywhere": preset in EVERYWHERE,
            "address": address(preset, scale),
        }
        for preset, scale in sorted(choices, key=lambda choice: choice[0] not in EVERYWHERE)
        if not preset.endswith(INT8)
    ]


def describe(preset: str, scale: int, folder: str | os.PathLike, url: str) -> dict[str, Any]:
    """What a browser must know of a network to run it in tiles; `url` is where its file is.

    Lengths are in input pixels. `probe` is what the network makes of `pattern`, to find drivers that compute wrongly.
    """
    network, card = weights.load(preset, scale, folder)
    with torch.inference_mode():
        y = Body(network)(pattern(PROBE_SIDE)).flatten()
    step = y.numel() // PROBE_VALUES
    return {
        "preset": preset,
        "scale": scale,
        "title": find(preset).title,
        "url": url,
        "sha256": card.sha256,
        "stride": network.stride,
        "field": network.receptive_field,
        "features": network.features,
        "addsToBicubic": adds_to_bicubic(network),
        "probe": {"side": PROBE_SIDE, "values": [round(float(v), 6) for v in y[::step][:PROBE_VALUES]]},
    }


def pattern(side: int) -> Tensor:
    """(1, 3, side, side): every level, in no order. `session.js` makes the same."""
    return (torch.arange(3 * side * side) * 37 % 256).reshape(1, 3, side, side) / 255


def runtime_megabytes() -> dict[str, float]:
    """What a browser downloads before its first picture, by backend; networks are a small part of it."""
    return {
        "wasm": _megabytes("ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm.gz"),
        "webgpu": _megabytes("ort.jspi.bundle.min.js", "ort-wasm-simd-threaded.jspi.wasm.gz"),
    }


def _megabytes(*names: str) -> float:
    return round(sum((RUNTIME / name).stat().st_size for name in names) / 1e6, 1)


class NetworkFiles:
    """Exports networks when they are first asked for, and keeps the files in memory: 0.15 MB for `nano`."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the weights."""
        self.folder = folder
        self._lock = Lock()  # one export at a time
        self._made = cache(self._export)

    def get(self, preset: str, scale: int) -> bytes:
        """The .onnx file: the body, weights in 16 bits. Raises SRError where it cannot be made."""
        with self._lock:
            return self._made(preset, scale)

    def _export(self, preset: str, scale: int) -> bytes:
        # In a process of its own: the exporter takes hundreds of megabytes, and would hold up the page meanwhile.
        if preset.endswith(INT8) or (preset, scale) not in weights.available(self.folder):
            raise ConfigError("There is no such network.")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            command = [sys.executable, "-m", "sr_model", "export", preset, "--scale", str(scale), "--out", str(path)]
            options = ["--half", "--body", "--weights", str(self.folder)]
            paths = os.pathsep.join(filter(None, (str(PACKAGES), os.environ.get("PYTHONPATH"))))
            done = subprocess.run(
                [*command, *options], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
            )
            if done.returncode:
                raise SRError(f"{weights.name(preset, scale)} cannot be exported: {done.stderr.strip()[-300:]}")
            return path.read_bytes()
