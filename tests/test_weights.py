import hashlib
import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from sr_model.errors import ConfigError, WeightsError
from sr_model.evaluation.comparison import compare, shrink_picture
from sr_model.imaging import images
from sr_model.imaging.images import from_pil
from sr_model.inference.upscaler import Upscaler, enlarge_bicubic
from sr_model.models import weights
from sr_model.networks import build, presets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights.save(build(presets.config("nano", 2), seed=5), "nano", tmp_path, {"steps": 1}, {"Set5": {"psnr": 30.0}})
    return tmp_path


def test_loaded_equals_saved(folder: Path) -> None:
    """The file and the json rebuild the very network, in evaluation mode."""
    saved = build(presets.config("nano", 2), seed=5)
    loaded, card = weights.load("nano", 2, folder)
    assert all(torch.equal(saved.state_dict()[k], v) for k, v in loaded.state_dict().items())
    assert not loaded.training
    assert (card.training, card.metrics) == ({"steps": 1}, {"Set5": {"psnr": 30.0}})
    assert card.sha256 == hashlib.sha256((folder / "nano-x2.safetensors").read_bytes()).hexdigest()
    assert weights.available(folder) == [("nano", 2)]


def test_a_flipped_bit_is_found(folder: Path) -> None:
    """A damaged file is never loaded."""
    path = folder / "nano-x2.safetensors"
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="sha256"):
        weights.load("nano", 2, folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    """Loading is strict: a config that does not fit the tensors is an error, not a guess."""
    path = folder / "nano-x2.json"
    card = json.loads(path.read_text())
    card["config"]["width"] += 16
    path.write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load("nano", 2, folder)


def test_an_unknown_key_in_the_json_is_an_error(folder: Path) -> None:
    """A json written for another version says so instead of being half understood."""
    path = folder / "nano-x2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"surprise": 1}))
    with pytest.raises(WeightsError, match="surprise"):
        weights.load("nano", 2, folder)


def test_missing_weights_say_how_to_make_them(folder: Path) -> None:
    """The error lists what there is and gives the command that trains the rest."""
    with pytest.raises(WeightsError, match=r"there are: nano-x2.*train.py --preset base --scale 3"):
        weights.load("base", 3, folder)
    with pytest.raises(ConfigError, match="no preset"):
        weights.load("nonsense", 2, folder)


@pytest.mark.parametrize(("preset", "scale"), weights.available())
def test_shipped_weights_are_whole_and_measured(preset: str, scale: int) -> None:
    """Everything in weights/ loads, was made for its preset, and tells its figures and training sets, but no path."""
    model, card = weights.load(preset, scale)
    assert model.config == presets.config(preset, scale)
    assert card.parameters == sum(p.numel() for p in model.parameters())
    assert card.training["sets"]
    assert "val" in card.metrics
    assert '"/' not in json.dumps(card.training)


# The ancestors may lose: what they reach is printed as it is. At x1 there is nothing to enlarge.
@pytest.mark.long
@pytest.mark.parametrize(
    ("preset", "scale"), [w for w in weights.available() if w[0] not in ("classic", "keras") and w[1] > 1]
)
def test_shipped_weights_beat_bicubic_on_a_photo(preset: str, scale: int, photo: Image.Image) -> None:
    """What is shipped has learned something: more PSNR and SSIM than bicubic on a photo that it has not seen."""
    low, high = shrink_picture(from_pil(photo), scale)
    network = compare(Upscaler.from_preset(preset, scale, "cpu")(low), high, scale)
    bicubic = compare(enlarge_bicubic(low, scale), high, scale)
    assert network[0] > bicubic[0] + 0.3
    assert network[1] > bicubic[1]


@pytest.mark.long
def test_photo_repairs_at_a_picture_s_own_size(photo: Image.Image) -> None:
    """A compressed picture comes nearer to what it was, and one that needs nothing is given back as it is."""
    upscaler = Upscaler.from_preset("photo", 1, "cpu")
    clean = from_pil(photo)
    assert (upscaler(clean).pixels == clean.pixels).all()
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=40)
    compressed = images.load(file.getvalue())
    repaired = compare(upscaler(compressed), clean, 1)
    damaged = compare(compressed, clean, 1)
    assert repaired[0] > damaged[0] + 0.5
    assert repaired[1] > damaged[1]


def test_something_is_shipped() -> None:
    """The default preset works right after a clone."""
    assert ("base", 2) in weights.available()
