import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_model import Upscaler
from sr_model.commands.main import main
from sr_model.errors import ConfigError, DataError, WeightsError
from sr_model.evaluation import promotion
from sr_model.evaluation.comparison import compare, shrink_picture
from sr_model.imaging import images
from sr_model.inference.engines import OpenVinoEngine
from sr_model.models import weights
from sr_model.networks import Network, build, presets, quantization
from sr_model.networks.quantization import QuantizedConv2d, is_quantized, quantize
from sr_model.training import run
from tests.conftest import randomised, save_mixed, tiny_model

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
SHIPPED = [(preset, scale) for preset, scale in weights.available() if preset.endswith(presets.INT8)]


@pytest.fixture
def pictures(photo: Image.Image) -> list[Tensor]:
    return [images.to_tensor(np.asarray(photo.crop((x, 60, x + 64, 108)))) for x in (0, 100, 200)]


def ramps() -> dict[str, np.ndarray]:
    """Smooth areas as skies and walls have them, where steps of more than a level would be seen: (128, 256, 3) each."""
    y, x = np.mgrid[0:128, 0:256]
    grey = np.repeat((80 + x / 12)[..., None], 3, axis=2)
    sky = np.stack([100 + x / 25 + y / 50, 120 + y / 40, 200 - x / 30], axis=2)
    dark = np.stack([x / 30, y / 20, (x + y) / 60], axis=2)
    return {name: ramp.round().astype(np.uint8) for name, ramp in (("grey", grey), ("sky", sky), ("dark", dark))}


class Versions(NamedTuple):
    """Shipped weights in float32 and in 8 bits, on OpenVINO."""

    preset: str
    scale: int
    exact: Upscaler
    rounded: Upscaler


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda pair: f"{pair[0]}-x{pair[1]}")
def versions(request: pytest.FixtureRequest) -> Versions:
    """Compiled once for all tests of the same weights."""
    preset, scale = request.param
    exact, rounded = (
        Upscaler.from_preset(name, scale, "cpu", engine="openvino")
        for name in (preset.removesuffix(presets.INT8), preset)
    )
    return Versions(preset, scale, exact, rounded)


def test_there_are_shipped_ones() -> None:
    """The tests below have something to look at."""
    assert ("base-int8", 2) in SHIPPED


def test_8_bits_lose_at_most_a_tenth_of_a_decibel(versions: Versions, photo: Image.Image) -> None:
    """On a photo that no range was chosen on."""
    low, high = shrink_picture(images.from_pil(photo), versions.scale)
    exact, rounded = (compare(each(low), high, versions.scale)[0] for each in (versions.exact, versions.rounded))
    assert rounded > exact - 0.1


def longest_run(pixels: np.ndarray) -> int:
    """The longest row of equal values from left to right."""
    edges = np.pad(np.diff(pixels, axis=1) != 0, ((0, 0), (1, 1), (0, 0)), constant_values=True)
    places = np.moveaxis(edges, 1, -1)
    return max(int(np.diff(np.flatnonzero(row)).max()) for row in places.reshape(-1, places.shape[-1]))


def test_a_smooth_gradient_shows_no_bands(versions: Versions) -> None:
    """At most 2 levels from what float32 gives, hardly ever more than 1, and no flat run where float32 has a slope."""
    for name, ramp in ramps().items():
        exact, rounded = (each(ramp).astype(int) for each in (versions.exact, versions.rounded))
        difference = np.abs(rounded - exact)
        assert difference.max() <= 2, name
        assert (difference > 1).mean() <= 0.001, name
        assert longest_run(rounded) <= 1.5 * longest_run(exact), name


def test_coarser_steps_would_show() -> None:
    """The law above can fail: with steps eight times as coarse, a gradient is more than a level off."""
    exact, _ = weights.load("base", 2)
    coarse, _ = weights.load("base-int8", 2)
    for module in coarse.modules():
        if isinstance(module, QuantizedConv2d):
            module.input_scale.mul_(8)
    a, b = (Upscaler(network, "cpu")(ramps()["sky"]).astype(int) for network in (exact, coarse))
    assert np.abs(a - b).max() > 1


def test_engines_agree_on_8_bits(versions: Versions, photo: Image.Image) -> None:
    """But for values on the edge between two of the 256 levels, which fall to either side, again in each layer.

    A value within the network is part of the more pixels the larger the scale is, and the more layers follow it.
    """
    by_torch = Upscaler.from_preset(versions.preset, versions.scale, "cpu", engine="torch")
    first, second = (np.asarray(each(photo)).astype(int) for each in (by_torch, versions.rounded))
    difference = np.abs(first - second)
    assert (difference > 3).mean() < 3e-6
    assert (difference > 1).mean() < versions.scale * 1e-3


@pytest.mark.parametrize(("preset", "scale"), SHIPPED)
def test_openvino_runs_8_bits_by_8_bit_instructions(preset: str, scale: int) -> None:
    """Every 8-bit convolution, else it would be no faster; and shuffles take no detour."""
    network, _ = weights.load(preset, scale)
    engine = exact_in_bytes(network)
    convolutions = [kind for layer, kind in compiled_layers(engine) if layer == "Convolution"]
    count = sum(isinstance(module, QuantizedConv2d) for module in network.modules())
    assert sum(kind.lower().endswith("i8") for kind in convolutions) == count
    assert "Transpose" not in dict(compiled_layers(engine))


def test_a_plain_network_rounds_within_its_convolutions(pictures: list[Tensor]) -> None:
    """Between the picture's own rounding and the result nothing is rounded, added or activated by itself."""
    network = quantize(build(presets.config("nano", 2)), pictures)
    layers = [layer for layer, _ in compiled_layers(exact_in_bytes(network))]
    assert layers.count("FakeQuantize") == 1
    assert not {"Add", "Eltwise", "Relu", "Transpose", "Subgraph"} & set(layers)


def exact_in_bytes(network: Network) -> OpenVinoEngine:
    """The engine; a processor whose 8-bit instructions overflow does not use them, and the test is skipped."""
    engine = OpenVinoEngine(network)
    if not engine.in_bytes:
        pytest.skip("this processor's 8-bit instructions overflow")
    return engine


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_8_bits_are_right_on_every_processor(instructions: str) -> None:
    """Where 8-bit instructions overflow, as AVX2's do, they are not used: full-contrast noise comes out as by torch."""
    code = (
        "import torch\n"
        "from sr_model.inference.engines import OpenVinoEngine, full_contrast_noise\n"
        "from sr_model.models import weights\n"
        "network, _ = weights.load('nano-int8', 2)\n"
        "x = network.prepare(full_contrast_noise())\n"
        "with torch.inference_mode():\n"
        "    print(float((OpenVinoEngine(network)(x) - network.body(x)).abs().max()) * 255)\n"
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": instructions}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert float(done.stdout) <= 3, done.stderr


def compiled_layers(engine: OpenVinoEngine) -> list[tuple[str, str]]:
    """(type, kernel) of each layer that OpenVINO runs."""
    infos = [op.get_rt_info() for op in engine.compiled.get_runtime_model().get_ordered_ops()]
    return [(str(i["layerType"].astype(str)), str(i["primitiveType"].astype(str))) for i in infos]


def test_values_on_the_grid_are_exact() -> None:
    """Weights and inputs that are multiples of their steps come through without a loss."""
    conv = torch.nn.Conv2d(2, 3, 3, padding=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        conv.weight.copy_(torch.randint(-127, 128, conv.weight.shape, generator=generator) / 127)
        conv.weight[:, 0, 0, 0] = 1
    for low in (0, -127):
        x = torch.randint(low, 128, (1, 2, 9, 7), generator=generator) / 127
        layer = QuantizedConv2d(conv)
        layer.take(conv, low / 127, 1 if low else 255 / 127)
        assert torch.allclose(layer(x), conv(x), atol=1e-5)


def test_more_of_a_range_than_was_seen_is_cut_off() -> None:
    """An input beyond the range that was chosen counts as its end."""
    conv = torch.nn.Conv2d(1, 1, 1)
    layer = QuantizedConv2d(conv)
    layer.take(conv, 0, 1)
    assert torch.equal(layer(torch.full((1, 1, 1, 1), 7.0)), layer(torch.ones(1, 1, 1, 1)))


def test_the_float_network_stays_as_it_was(pictures: list[Tensor]) -> None:
    """Quantizing gives a copy, near the original; no picture at all is refused."""
    network = tiny_model()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    quantized = quantize(network, pictures)
    assert is_quantized(quantized)
    assert not is_quantized(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.inference_mode():
        exact, rounded = network(pictures[0]), quantized(pictures[0])
    assert 0 < (rounded - exact).abs().mean() < 0.02 * exact.abs().mean()
    with pytest.raises(ValueError, match="no picture"):
        quantize(network, [])


def test_saved_equals_loaded(pictures: list[Tensor], tmp_path: Path) -> None:
    """An 8-bit network comes back bit for bit from a file a quarter as large."""
    network = randomised(presets.config("nano", 2))
    quantized = quantize(network, pictures)
    weights.save(network, "nano", tmp_path, {}, {})
    card = weights.save(quantized, "nano-int8", tmp_path, {}, {})
    again, _ = weights.load("nano-int8", 2, tmp_path)
    assert card.quantized
    with torch.inference_mode():
        assert torch.equal(again(pictures[0]), quantized(pictures[0]))
    sizes = [(tmp_path / f"{name}-x2.safetensors").stat().st_size for name in ("nano", "nano-int8")]
    assert sizes[1] < sizes[0] / 3


def test_files_that_hold_ranges_of_sums_still_load(pictures: list[Tensor]) -> None:
    """Those of older versions, which rounded the sums between blocks too; in mixed weights as well."""
    state = quantize(tiny_model(), pictures).state_dict()
    sums = ["encoder.shared_stem", "encoder.shared_skip", "encoder.blocks.0.input", "decoder.blocks.0.input"]
    older = state | {f"{name}.input_{kind}": torch.ones(()) for name in sums for kind in ("scale", "lowest")}
    assert quantization.without_sums(older).keys() == state.keys()
    mixed = {f"heavy.{name}": tensor for name, tensor in older.items()}
    assert quantization.without_sums(mixed).keys() == {f"heavy.{name}" for name in state}


def test_8_bits_cannot_be_trained_on(pictures: list[Tensor]) -> None:
    """`--init` says to begin with the float weights."""
    with pytest.raises(ConfigError, match="8-bit weights"):
        run.transfer(quantize(tiny_model(), pictures), tiny_model())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights.save(randomised(presets.config("nano", 2)), "nano", tmp_path / "weights", {"hours": 1.0}, {})
    return tmp_path / "weights"


def test_the_command_makes_a_pair_of_files(
    folder: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it was trained on, and what it measured."""
    monkeypatch.setattr(promotion, "ALLOWED_LOSS", 10.0)  # random weights lose more than trained ones
    data = ["--data", str(photo_folder), "--val-data", str(photo_folder), "--test", str(photo_folder / "more")]
    assert main(["quantize", "nano", "--weights", str(folder), "--steps", "2", *data]) == 0
    card = weights.read_card("nano-int8", 2, folder)
    assert card.training["hours"] == 1.0
    assert card.training["fine_tuned"] == 2
    assert set(card.metrics) == {"photos", "more"}
    assert "Installed nano-int8-x2" in capsys.readouterr().out
    assert "nano-int8-x2" in (folder / "README.md").read_text()


def test_mixed_weights_have_an_8_bit_version_of_each_set(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared on JPEGs too; at a set's strength it is that set in 8 bits, and a strength between can be had."""
    monkeypatch.setattr(promotion, "ALLOWED_LOSS", 10.0)
    save_mixed("photo", tmp_path)
    card = promotion.quantize_preset("photo", 2, photo_folder, photo_folder, [], tmp_path, print, steps=1)
    assert card.quantized
    assert card.strengths == {"parent": 0.0, "heavy": 1.0}
    assert set(card.metrics) == {"photos", "photos jpeg75", "photos jpeg50"}
    states = [weights.load("photo-int8", 2, tmp_path, strength)[0].state_dict() for strength in (0.0, 0.5, 1.0)]
    assert all(len(state) == len(states[0]) for state in states)
    assert not torch.equal(states[1]["encoder.stem.weight"], states[2]["encoder.stem.weight"])
    upscaler = Upscaler.from_preset("photo-int8", 2, "cpu", tmp_path, strength=0.3)
    assert upscaler(np.zeros((5, 7, 3), np.uint8)).shape == (10, 14, 3)


def test_8_bit_weights_are_mixed_as_the_numbers_they_stand_for(pictures: list[Tensor]) -> None:
    """Halfway between two ends lies, but for rounding, what 8 bits make of the mean; the ends are themselves."""
    ends = [randomised(presets.config("nano", 2), seed) for seed in (0, 1)]
    between = randomised(presets.config("nano", 2))
    mean = {key: (value + ends[1].state_dict()[key]) / 2 for key, value in ends[0].state_dict().items()}
    between.load_state_dict(mean)
    low, high = (quantize(end, pictures).state_dict() for end in ends)
    assert quantization.mixed(low, high, 0) is low
    assert quantization.mixed(low, high, 1) is high
    found = quantization.prepared(between)
    found.load_state_dict(quantization.mixed(low, high, 0.5), strict=True)
    for name, layer in quantize(between, pictures).named_modules():
        if isinstance(layer, QuantizedConv2d):
            mixed = found.get_submodule(name)
            assert isinstance(mixed, QuantizedConv2d)
            values = [each.weight * each.weight_scale.view(-1, 1, 1, 1) for each in (layer, mixed)]
            steps = torch.stack([end[f"{name}.weight_scale"] for end in (low, high)]).amax(0).view(-1, 1, 1, 1)
            assert ((values[0] - values[1]).abs() <= 1.6 * steps).all()


def test_what_loses_too_much_is_not_installed(
    folder: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes, and the limit is said."""
    monkeypatch.setattr(promotion, "ALLOWED_LOSS", -10.0)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(DataError, match="nothing is changed"):
        promotion.quantize_preset("nano", 2, photo_folder, photo_folder, [], folder, print, steps=0)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_less_than_no_fine_tuning_is_refused(folder: Path, photo_folder: Path) -> None:
    """Before anything is read or made."""
    with pytest.raises(ConfigError, match="0 leaves fine-tuning out"):
        promotion.quantize_preset("nano", 2, photo_folder, photo_folder, [], folder, print, steps=-1)


def test_missing_ones_say_how_to_make_them(folder: Path) -> None:
    """Not by training."""
    with pytest.raises(WeightsError, match="sr_model quantize nano --scale 2"):
        weights.load("nano-int8", 2, folder)


def test_a_preset_in_8_bits_has_its_own_name_and_the_same_network() -> None:
    """What the page shows, and what is built."""
    plain, int8 = presets.find("base"), presets.find("base-int8")
    assert int8.title != plain.title
    assert int8.about != plain.about
    assert presets.config("base-int8", 2) == presets.config("base", 2)
    with pytest.raises(ConfigError, match="nano, small, base"):
        presets.find("huge-int8")


def test_ranges_are_those_of_the_whole_picture(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen in parts, a large picture gives the least and largest input of its first layer, wherever they are."""
    monkeypatch.setattr(quantization, "PART", 16)
    picture = torch.from_numpy(rng.random((1, 3, 40, 56), np.float32)) * 0.5
    picture[..., 37, 3] = 0.9
    layers = quantize(tiny_model(), [picture]).modules()
    first = next(layer for layer in layers if isinstance(layer, QuantizedConv2d))
    assert float(first.input_scale) == pytest.approx(0.9 / 255)


def test_no_input_of_a_layer_is_kept() -> None:
    """Only two numbers stay of each: when a layer is at work, the inputs of those before it are gone."""
    network = tiny_model()
    seen: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def note(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        alive.append(sum(reference() is not None for reference in seen))
        seen.append(weakref.ref(inputs[0]))

    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    for layer in convolutions:
        layer.register_forward_pre_hook(note)
    quantize(network, [torch.rand(1, 3, 16, 16)])
    # The picture, the skips, the latent and the residual of a block are alive by right.
    assert max(alive) <= 5 < len(convolutions) - 1


def test_a_stale_version_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An 8-bit version whose weights have been replaced is named when it is loaded, with what to do."""
    network = tiny_model()
    parent = weights.save(network, "nano", tmp_path, {}, {})
    weights.save(quantize(network, [torch.rand(1, 3, 16, 16)]), "nano-int8", tmp_path, {}, {}, parent.sha256)
    weights.load("nano-int8", 2, tmp_path)
    assert not caplog.messages
    weights.save(tiny_model(seed=1), "nano", tmp_path, {}, {})
    weights.load("nano-int8", 2, tmp_path)
    assert "python -m sr_model quantize nano --scale 2" in caplog.text


@pytest.mark.parametrize(("preset", "scale"), [e for e in weights.available() if e[0].endswith(presets.INT8)])
def test_shipped_versions_are_of_the_shipped_weights(preset: str, scale: int) -> None:
    """Each says which weights it was made of, they are those beside it, and its own numbers agree.

    They are theirs, rounded; fine-tuning moves them by a few hundredths.
    """
    parent, card = weights.load(preset.removesuffix(presets.INT8), scale)
    network, own = weights.load(preset, scale)
    assert own.made_of == card.sha256
    for name, layer in network.named_modules():
        if isinstance(layer, QuantizedConv2d):
            step = layer.weight_scale.view(-1, 1, 1, 1)
            exact = parent.get_submodule(name).get_parameter("weight")
            difference = layer.weight * step - exact
            if own.training.get("fine_tuned"):
                assert difference.norm() < 0.05 * exact.norm(), name
            else:
                assert (difference.abs() <= 0.5001 * step).all(), name
