import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sr_model.errors import ConfigError
from sr_model.figures.diagram import TITLES, arcs_of, draw, main_path, typeset
from sr_model.figures.save import write_architecture
from sr_model.networks import Config, build, presets
from sr_model.networks.architecture import DECODER, ENCODER, WHOLE, facts, latent_index, layers, summary
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.networks.base import SCALES
from sr_model.networks.layers import ResidualBlock, parameter_count
from sr_model.networks.plain import PlainConfig
from sr_model.networks.tutorials import ClassicConfig, KerasConfig
from tests.conftest import randomised

SMALL: list[Config] = [
    AutoencoderConfig(2, width=8, latent_width=12, encoder_blocks=2, latent_blocks=1, decoder_blocks=0),
    PlainConfig(2, width=8, latent_width=12, encoder_layers=2, latent_layers=1, decoder_layers=1),
    ClassicConfig(width=8, latent_width=12),
    ClassicConfig(width=8, latent_width=12, skips=True, residual_blocks=2),
    KerasConfig(width=8),
]
PRESETS = [presets.config(name, presets.default_scale(name)) for name in presets.PRESETS]


def texts(svg: bytes) -> list[str]:
    """What is written in a drawing."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.long
@pytest.mark.parametrize("config", [*SMALL, *PRESETS])
@pytest.mark.parametrize("scale", SCALES)
def test_layers_add_up_to_the_network(config: Config, scale: int) -> None:
    """Parameters are those of the module, multiply-adds those that torch's own counter finds."""
    network = build(dataclasses.replace(config, scale=scale))
    found = layers(network, (24, 32))
    assert sum(layer.parameters for layer in found) == parameter_count(network)
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(torch.empty(1, 3, 24, 32, device="meta"))
    assert 2 * sum(layer.multiply_adds for layer in found) == counter.get_total_flops()


@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("size", [(16, 24), (9, 13), (1, 1)])
def test_shapes_are_those_of_a_real_run(config: Config, size: tuple[int, int]) -> None:
    """Every convolution is a layer, in order, with the output that it has in a real run, in sizes that pad as well."""
    network = randomised(config)
    real: list[tuple[int, ...]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        real.append(tuple(output.shape[1:]))

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    x = torch.rand(1, 3, *size)
    output = network(x)
    expected = list(real)
    found = layers(network, size)
    assert [layer.shape for layer in found if layer.kind.startswith("conv")] == expected
    assert found[-1].shape == output.shape[1:]
    assert found[latent_index(found)].shape == network.latent(x).shape[1:]


def test_parts_are_split_at_the_latent() -> None:
    """The encoder is what the latent comes from; bicubic around the whole belongs to neither half."""
    found = layers(build(presets.config("base", 2)))
    assert {layer.name.split(".")[0] for layer in found if layer.part in (ENCODER, DECODER)} == {ENCODER, DECODER}
    assert [layer.kind for layer in found if layer.part == WHOLE] == ["picture", "bicubic x2", "add"]
    keras = layers(build(presets.config("keras", 2)))
    assert [layer.part for layer in keras if layer.kind == "bicubic x2"] == [ENCODER]


@pytest.mark.parametrize("config", PRESETS)
def test_the_summary_is_a_table_that_fits_a_terminal(config: Config) -> None:
    """At most 100 columns wide, and it ends in the network's numbers."""
    network = build(config)
    text = summary(network)
    assert max(map(len, text.splitlines())) <= 100
    work = sum(layer.multiply_adds for layer in layers(network)) / 128**2 / 1000
    for number in (f"{parameter_count(network):,}", f"{work:,.1f} kMAC", str(2 * network.receptive_field + 1)):
        assert number in text.split("-\n")[-1]


def test_the_summary_folds_residual_blocks() -> None:
    """A series of them is one line, with what all of them have together."""
    network = build(presets.config("large", 2))
    block = parameter_count(ResidualBlock(64))
    line = next(line for line in summary(network).splitlines() if "4 x residual block" in line)
    assert f"{4 * block:,}" in line


def test_skips_are_found_in_the_run() -> None:
    """Options that add ways past the main one show as arcs, and not where they are off."""

    def arcs(config: Config) -> list[tuple[str, str]]:
        found = layers(build(config))
        return [(found[arc.origin].name, arc.shape) for arc in arcs_of(found, main_path(found))]

    assert arcs(ClassicConfig()) == []
    assert arcs(ClassicConfig(skips=True)) == [("encoder2", "64×64×64"), ("encoder1", "32×128×128")]
    assert [origin for origin, _ in arcs(presets.config("large", 2))] == [
        "encoder.blocks.3.add",
        "encoder.stem",
        "picture",
    ]


@pytest.mark.long
@pytest.mark.parametrize("config", [*SMALL, *PRESETS])
def test_every_convolution_is_drawn_with_its_shapes(config: Config) -> None:
    """Each one stands in the drawing of the network, its output's shape on an edge; halves show their own."""
    network = build(config)
    found = layers(network)
    written = texts(draw(network, "network", "name").svg())
    singles = [layer for layer in found if layer.kind.startswith("conv") and not layer.block]
    assert sum(text.startswith("conv") for text in written if "," not in text) >= len(singles)
    for run in {layer.run for layer in found if layer.run}:
        count = len({layer.block for layer in found if layer.run == run})
        assert (f"{count} × residual block" if count > 1 else "residual block") in written
    edges = {typeset("x".join(map(str, layer.shape))) for layer in found if not layer.block}
    assert edges <= set(written) | {text.split(", ")[-1] for text in written}
    latent = typeset("x".join(map(str, found[latent_index(found)].shape)))
    for half in ("encoder", "decoder"):
        assert latent in texts(draw(network, half, "name").svg())


def test_series_too_long_to_draw_are_counted() -> None:
    """The width of a drawing does not grow with the number of residual blocks."""
    few, many = (draw(build(AutoencoderConfig(2, 8, 8, blocks, 1, 1)), "network", "name") for blocks in (4, 40))
    assert few.figure.get_size_inches()[0] == pytest.approx(many.figure.get_size_inches()[0], abs=0.2)
    assert "40 × residual block" in texts(many.svg())


@pytest.mark.long
def test_texts_do_not_overlap() -> None:
    """No label touches another one or is cut off by the page, in every preset and part."""
    for config in [*SMALL, *PRESETS]:
        for part in TITLES:
            page = draw(build(config), part, "name")
            renderer = page.canvas.get_renderer()
            boxes = [text.get_window_extent(renderer) for text in page.axes.texts]
            frame = page.figure.bbox
            for i, box in enumerate(boxes):
                assert frame.x0 <= box.x0
                assert box.x1 <= frame.x1
                assert frame.y0 <= box.y0
                assert box.y1 <= frame.y1
                for other, text in zip(boxes[:i], page.axes.texts, strict=False):
                    assert not box.overlaps(other), (config, part, page.axes.texts[i].get_text(), text.get_text())


@pytest.mark.long
def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    """SVG that parses and PNG that opens, named after preset and scale, byte for byte equal in every run."""
    first = write_architecture("nano", 3, tmp_path / "a")
    again = write_architecture("nano", 3, tmp_path / "new" / "b")
    names = [f"nano-x3-{part}{suffix}" for part in TITLES for suffix in (".svg", ".png")]
    assert [path.name for path in first] == names
    for path, other in zip(first, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
        if path.suffix == ".svg":
            assert "nano ×3" in " ".join(texts(path.read_bytes()))
        else:
            with Image.open(path) as image:
                image.load()
                assert image.width > 600


def test_a_person_s_own_settings_change_nothing() -> None:
    """matplotlib's settings are global; the drawings do not depend on them and leave them alone."""
    import matplotlib

    network = build(presets.config("classic", 1))
    plain = draw(network, "network", "name").svg()
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "path.sketch": (1, 100, 2)}):
        assert draw(network, "network", "name").svg() == plain
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.long
def test_options_are_in_the_title_and_checked(tmp_path: Path) -> None:
    """A drawing says which network it shows; impossible calls are sentences."""
    paths = write_architecture("classic", 1, tmp_path, "skips=true, residual_blocks=2")
    assert "classic ×1 (skips=true, residual_blocks=2): encoder" in texts(paths[0].read_bytes())
    for preset, scale, options in (("none", 2, ""), ("base", 7, ""), ("base", 2, "depth=3")):
        with pytest.raises(ConfigError):
            write_architecture(preset, scale, tmp_path, options)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_architecture("nano", 2, tmp_path / "file")


def test_numbers_of_the_parts_add_up() -> None:
    """Encoder and decoder have what the network has."""
    network = build(presets.config("base", 2))
    found = layers(network)
    halves = [facts(network, found, part)["parameters"].replace(",", "") for part in (ENCODER, DECODER)]
    assert sum(map(int, halves)) == parameter_count(network)
