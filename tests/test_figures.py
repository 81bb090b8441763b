import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model.data import Photo
from sr_model.errors import ConfigError, ImageError, WeightsError
from sr_model.evaluation.comparison import compare, shrink_picture
from sr_model.figures import five_panels, sample_sheet, sheets
from sr_model.figures.latent import TILE, Colours, latent_of, latent_step
from sr_model.figures.panels import Panel, grid
from sr_model.figures.save import write_panels
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.imaging.tiles import Region
from sr_model.inference.upscaler import Upscaler, enlarge_bicubic
from sr_model.models import weights
from sr_model.networks import Config, presets
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.networks.base import SCALES
from sr_model.networks.tutorials import ClassicConfig, KerasConfig
from tests.conftest import randomised, tiny_model

SMALL: list[Config] = [
    AutoencoderConfig(2, width=4, latent_width=8, encoder_blocks=1, latent_blocks=0, decoder_blocks=0),
    ClassicConfig(width=4, latent_width=4),
    KerasConfig(width=4),
]
TITLES = ["input", "bicubic", "latent", "autoencoder output", "ground truth"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[Panel]]:
    """The panels that figures were made of."""
    rows: list[list[Panel]] = []

    def note(panels: list[list[Panel]], *args: Any, **kwargs: Any) -> Image.Image:
        rows.extend(panels)
        return grid(panels, *args, **kwargs)

    monkeypatch.setattr(sheets, "grid", note)
    return rows


def numbers(panel: Panel) -> tuple[float, float]:
    """(PSNR, SSIM) as printed."""
    found = re.search(r"Y-PSNR ([\d.]+|inf) dB, SSIM ([\d.]+)", panel.detail)
    assert found
    return float(found[1]), float(found[2])


@pytest.mark.long
@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("scale", SCALES)
def test_printed_numbers_are_those_of_compare(
    config: Config, scale: int, photo: Image.Image, drawn: list[list[Panel]]
) -> None:
    """Whole and part: what stands below bicubic and output is what evaluation measures, and the sizes are theirs."""
    upscaler = Upscaler(randomised(dataclasses.replace(config, scale=scale)), device="cpu")
    picture = images.from_pil(photo.crop((100, 40, 350, 150)))
    five_panels(upscaler, picture)
    shrunk = max(scale, 2)
    low, truth = shrink_picture(picture, shrunk)
    bicubic = enlarge_bicubic(low, shrunk)
    output = upscaler(low if scale > 1 else bicubic)
    whole, part = drawn
    for panel, result in ((whole[1], bicubic), (whole[3], output)):
        psnr, ssim = compare(result, truth, scale)
        assert numbers(panel) == pytest.approx((psnr, ssim), abs=0.0051)
        assert numbers(panel)[1] == pytest.approx(ssim, abs=0.000051)
        assert panel.detail.startswith("{}x{}\n".format(*truth.size))
    assert whole[0].detail == "{}x{}".format(*low.size)
    latent = upscaler.model.latent(images.to_tensor((low if scale > 1 else bicubic).pixels))
    assert whole[2].detail.startswith("x".join(map(str, latent.shape[1:])) + "\n")
    # The part is cut from the same pictures: found by its truth.
    size = tuple(side // 4 for side in part[4].image.size)
    shown = np.asarray(part[4].image)[::4, ::4]
    places = [
        (x, y)
        for y in range(truth.size[1] - size[1] + 1)
        for x in range(truth.size[0] - size[0] + 1)
        if (truth.pixels[y, x] == shown[0, 0]).all() and (truth.pixels[y : y + size[1], x : x + size[0]] == shown).all()
    ]
    (x, y) = places[0]
    cut = [Picture(p.pixels[y : y + size[1], x : x + size[0]]) for p in (bicubic, output, truth)]
    for panel, result in ((part[1], cut[0]), (part[3], cut[1])):
        psnr, ssim = compare(result, cut[2], scale)
        assert numbers(panel) == pytest.approx((psnr, ssim), abs=0.0051)
        assert numbers(panel)[1] == pytest.approx(ssim, abs=0.000051)
        assert (np.asarray(panel.image)[::4, ::4] == result.pixels).all()


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (20, 20), (2, 700), (1200, 3), (97, 211)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_pictures_of_any_shape_and_mode_are_shown(size: tuple[int, int], mode: str, drawn: list[list[Panel]]) -> None:
    """Five panels of one size, none larger than the box, no caption wider than its column."""
    rng = np.random.default_rng(0)
    w, h = size
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65535, (h, w), dtype=np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 255, (h, w, 4), dtype=np.uint8), "RGBA").convert(mode)
    sheet = five_panels(tiny_model(), images.from_pil(image), box=200)
    assert [panel.title for panel in drawn[0]] == TITLES
    for row in drawn:
        assert len({panel.image.size for panel in row}) == 1
        assert max(row[0].image.size) <= 200
    widths = [max(row[i].image.width for row in drawn) for i in range(5)]
    assert sheet.width > sum(widths)
    border = np.asarray(sheet)[:, -8:]
    assert (border == border[0, 0]).all()  # nothing is written over the right end


def test_a_picture_that_cannot_be_shrunk_is_refused() -> None:
    """A sentence says how large it must be."""
    with pytest.raises(ImageError, match="at least 2x2"):
        five_panels(tiny_model(), Picture(np.zeros((1, 5, 3), np.uint8)))


def test_the_same_picture_gives_the_same_bytes(photo: Image.Image) -> None:
    """Colours of the latent included, whose components have no sign of their own."""
    sheets = [images.encode(five_panels(tiny_model(), images.from_pil(photo))) for _ in range(2)]
    assert sheets[0] == sheets[1]


def test_grey_pictures_are_shown_grey(photo: Image.Image, drawn: list[list[Panel]]) -> None:
    """The network may return channels that differ; a file has only one, and so has the panel."""
    five_panels(tiny_model(), images.from_pil(photo.convert("L")))
    for row in drawn:
        for panel in (row[0], row[1], row[3], row[4]):
            assert (np.asarray(panel.image) == np.asarray(panel.image.convert("L"))[..., None]).all()


def test_the_part_is_where_bicubic_errs_most(drawn: list[list[Panel]]) -> None:
    """In a flat picture with one textured corner, that corner is magnified."""
    pixels = np.full((600, 600, 3), 90, np.uint8)
    pixels[400:460, 500:560] = np.random.default_rng(0).integers(0, 255, (60, 60, 3))
    five_panels(tiny_model(), Picture(pixels))
    assert np.asarray(drawn[1][4].image)[..., 1].std() > 20


@pytest.mark.long
@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("h", "w"), [(1, 1), (37, 50), (TILE + 21, TILE + 1)])
def test_the_latent_is_the_same_in_tiles(config: Config, scale: int, h: int, w: int, rng: np.random.Generator) -> None:
    """Worked out in tiles, in parts or at once: the same, and the step says how large its pixels are."""
    network = randomised(dataclasses.replace(config, scale=scale))
    pixels = rng.integers(0, 255, (h, w, 3), dtype=np.uint8)
    with torch.inference_mode():
        whole = network.latent(images.to_tensor(pixels))[0]
    latent = latent_of(network, pixels)
    assert latent.shape == whole.shape
    assert (latent.values - whole).abs().max() < 1e-4
    assert latent.shape[2] == -(-w * scale // latent_step(network)) or w % network.stride
    side = 2 * network.stride
    if h > side * 2:
        region = Region(side, side, side * 2, side * 2)
        per = side * scale // latent_step(network)
        part = latent_of(network, pixels, region)
        assert (part.values - whole[:, per : 2 * per, per : 2 * per]).abs().max() < 1e-4
    reduced = latent_of(network, pixels, reduce=3).values
    assert reduced.shape[1:] == (-(-whole.shape[1] // 3), -(-whole.shape[2] // 3))
    assert torch.allclose(reduced[:, 0, 0], whole[:, :3, :3].mean(dim=(1, 2)), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_colours_are_the_principal_components(channels: int) -> None:
    """The first shows the direction of most variance, brighter where its largest weight is; flat ones are grey."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(channels, 40, 50, generator=generator)
    x[0] = x[0] * 9 + torch.linspace(0, 100, 50)
    painted = Colours.of(x).paint(x)
    assert painted.shape == (40, 50, 3)
    first = painted[..., 0].astype(float)
    assert np.corrcoef(first.ravel(), x[0].numpy().ravel())[0, 1] > 0.99
    assert (Colours.of(x[:, :1, :1]).paint(x[:, :1, :1]) == 128).all()


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_sample_sheet_has_a_row_for_each_photo(scale: int, photo: Image.Image, drawn: list[list[Panel]]) -> None:
    """Five panels, at scale 1 three; measured on the part that is shown."""
    photos = []
    for box in ((0, 0, 360, 240), (50, 30, 146, 282)):
        high = np.array(photo.crop(box))
        low = np.array(photo.crop(box).resize((high.shape[1] // scale, high.shape[0] // scale)))
        photos.append(Photo("set", high, low))
    model = tiny_model(scale)
    sheet = sample_sheet(model, photos, side=120)
    assert len(drawn) == 2
    assert sheet.height > sum(row[0].image.height for row in drawn)
    titles = ["low", "original", "prediction"] if scale == 1 else TITLES
    for row in drawn:
        assert [panel.title for panel in row] == titles
        truth = row[1 if scale == 1 else 4].image
        assert max(truth.size) <= 120
        result = row[2 if scale == 1 else 3]
        psnr, ssim = compare(images.from_pil(result.image), images.from_pil(truth), scale)
        assert numbers(result) == pytest.approx((psnr, ssim), abs=0.0051)
        assert numbers(result)[1] == pytest.approx(ssim, abs=0.000051)


def test_panels_are_written_by_shipped_weights(tmp_path: Path, photo: Image.Image) -> None:
    """A PNG named after preset, scale and picture; what is missing is a sentence."""
    picture = tmp_path / "cat.png"
    photo.crop((0, 0, 61, 43)).save(picture)
    weights.save(randomised(presets.config("nano", 2)), "nano", tmp_path / "weights", {}, {})
    path = write_panels("nano", 2, picture, tmp_path / "out", tmp_path / "weights")
    assert path == tmp_path / "out" / "nano-x2-cat.png"
    with Image.open(path) as image:
        image.load()
        assert image.width > 5 * 60
    with pytest.raises(WeightsError, match="nano-x3"):
        write_panels("nano", 3, picture, tmp_path, tmp_path / "weights")
    with pytest.raises(ImageError):
        write_panels("nano", 2, tmp_path / "none.png", tmp_path, tmp_path / "weights")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_panels("nano", 2, picture, picture, tmp_path / "weights")
