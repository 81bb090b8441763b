"""Networks in files for other runtimes compute what they do here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_model.commands.main import main
from sr_model.exporting.formats import LICENCE, export
from sr_model.imaging.finishing.borders import bounded
from sr_model.imaging.images import to_tensor
from sr_model.imaging.resampling import bicubic
from sr_model.imaging.tiles import tiled
from sr_model.models import weights
from sr_model.networks import Config, Network
from sr_model.networks.plain import PlainConfig
from sr_model.networks.quantization import quantize
from sr_model.networks.tutorials import ClassicConfig, KerasConfig
from tests.conftest import randomised, tiny_model

pytestmark = pytest.mark.long

SIZES = ((1, 1), (1, 9), (6, 1), (3, 5), (17, 22), (40, 37))
Function = Callable[[Tensor], Tensor]


def onnx_function(path: Path, as_written: bool = False) -> Function:
    """ONNX Runtime; `as_written` without its own 8-bit kernels, which round differently."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["output"], {"input": x.numpy()})[0])


def levels(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round()


def furthest(function: Function, network: Network, photo: Image.Image) -> float:
    """The largest difference, in levels of 8 bits, over crops of a photo in all SIZES."""
    worst = 0.0
    for h, w in SIZES:
        x = to_tensor(np.asarray(photo.crop((120, 60, 120 + w, 60 + h))))
        with torch.inference_mode():
            expected, got = network(x), function(x.contiguous())
        assert got.shape == expected.shape
        worst = max(worst, float((levels(got) - levels(expected)).abs().max()))
    return worst


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[Network], Path]:
    """Saves a network as nano's weights at its scale."""

    def save(network: Network) -> Path:
        weights.save(network, "nano", tmp_path / "weights", {}, {})
        return tmp_path / "weights"

    return save


@pytest.mark.parametrize(
    "config",
    [
        PlainConfig(3, width=8, latent_width=8, encoder_layers=1, latent_layers=1, decoder_layers=1),
        ClassicConfig(width=8, latent_width=8),
        KerasConfig(width=8),
    ],
)
def test_onnx_runtime_agrees_within_a_level(
    config: Config, stored: Callable[[Network], Path], tmp_path: Path, photo: Image.Image
) -> None:
    """Every kind of network, from 1x1 and odd sizes up, bicubic included."""
    network = randomised(config)
    (path,) = export("nano", network.scale, tmp_path / "network.onnx", where=stored(network))
    assert furthest(onnx_function(path), network, photo) <= 1


def test_a_shipped_network_in_half_precision_agrees_within_a_level(tmp_path: Path, photo: Image.Image) -> None:
    """Weights in 16 bits take half of the bytes; the command writes the file and what it says about itself."""
    path = tmp_path / "new" / "nano.onnx"
    assert main(["export", "nano", "--scale", "2", "--out", str(path), "--half"]) == 0
    network, card = weights.load("nano", 2)
    assert furthest(onnx_function(path), network, photo) <= 1
    assert path.stat().st_size < 2.2 * card.parameters
    import onnx

    said = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert said == {
        "preset": "nano",
        "scale": "2",
        "sha256": card.sha256,
        "stride": str(network.stride),
        "receptive_field": str(network.receptive_field),
        "precision": "half",
        "bicubic": "included",
        "licence": LICENCE,
    }


def test_the_body_in_exact_tiles_added_to_bicubic_and_bounded_is_the_whole(
    stored: Callable[[Network], Path], tmp_path: Path, photo: Image.Image
) -> None:
    """The stride and receptive field in the file suffice to tile it."""
    import onnx

    network = tiny_model()
    (path,) = export("nano", 2, tmp_path / "body.onnx", body=True, where=stored(network))
    said = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert said["bicubic"] == "to be added"
    body = onnx_function(path)
    x = to_tensor(np.asarray(photo.crop((0, 0, 75, 61)))).contiguous()
    whole = torch.empty(1, 3, 122, 150)

    def enlarge(part: Tensor) -> Tensor:
        h, w = part.shape[-2:]
        return body(part.contiguous()) + bicubic(part, (2 * h, 2 * w))

    for region, part, _ in tiled(enlarge, x, 32, max(4, int(said["receptive_field"])), int(said["stride"])):
        (region * 2).of(whole).copy_(part)
    with torch.inference_mode():
        assert float((levels(bounded(whole, x)) - levels(network(x))).abs().max()) <= 1


def test_eight_bits_stay_bytes_and_agree(stored: Callable[[Network], Path], tmp_path: Path, photo: Image.Image) -> None:
    """The weights are bytes in the file; values between two levels may be rounded either way, so a few differ."""
    config = PlainConfig(2, width=16, latent_width=16, encoder_layers=2, latent_layers=2, decoder_layers=2)
    network = quantize(randomised(config), [to_tensor(np.asarray(photo))])
    weights.save(network, "nano-int8", tmp_path, {}, {})
    (path,) = export("nano", 2, tmp_path / "network.onnx", int8=True, where=tmp_path)
    assert path.stat().st_size < 2.5 * weights.read_card("nano-int8", 2, tmp_path).parameters
    assert furthest(onnx_function(path), network, photo) <= 3


@pytest.mark.parametrize("half", [False, True])
def test_openvino_and_torch_read_their_own_formats(
    half: bool, stored: Callable[[Network], Path], tmp_path: Path, photo: Image.Image
) -> None:
    """IR of OpenVINO and programs of torch.export agree too, and say what they are."""
    network = tiny_model()
    folder = stored(network)
    files = export("nano", 2, tmp_path / "network.xml", half=half, where=folder)
    assert [file.suffix for file in files] == [".bin", ".xml"]
    model = openvino.Core().read_model(files[1])
    assert model.get_rt_info(["sr_model", "receptive_field"]).astype(str) == str(network.receptive_field)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert furthest(lambda x: torch.from_numpy(compiled([x.numpy()])[0]), network, photo) <= 1
    if not half:
        (path,) = export("nano", 2, tmp_path / "network.pt2", where=folder)
        extra = {"sr_model.json": ""}
        program = torch.export.load(path, extra_files=extra)
        assert '"preset": "nano"' in extra["sr_model.json"]
        assert furthest(program.module(), network, photo) <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nano --out network.tflite", ".onnx, .xml, .pt2"),
        ("nano --out network.pt2 --half", "--half"),
        ("nano --out network.onnx --half --int8", "--half"),
        ("nano --out network.pt2 --int8", ".onnx or .xml"),
        ("giant --out network.onnx", "nano, "),
        ("nano --out network.onnx --scale 0", "1, 2, 3, 4"),
    ],
)
def test_what_no_format_holds_is_refused(
    arguments: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, a sentence, and no file."""
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments.split()]) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "scale"), weights.available())
def test_every_shipped_preset_is_exported(preset: str, scale: int, tmp_path: Path, photo: Image.Image) -> None:
    """The shipped weights in ONNX agree within a level, 8-bit ones, taken as written, within three.

    ONNX Runtime's own 8-bit kernels are hardly ever more than a level further off, and no worse a picture.
    """
    (path,) = export(preset, scale, tmp_path / "network.onnx")
    network, card = weights.load(preset, scale)
    assert furthest(onnx_function(path, as_written=True), network, photo) <= (3 if card.quantized else 1)
    x = to_tensor(np.asarray(photo)).contiguous()
    with torch.inference_mode():
        difference = (levels(onnx_function(path)(x)) - levels(network(x))).abs()
    assert (difference > (3 if card.quantized else 1)).double().mean() < 1e-4
