import shutil
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models import vgg

from sr_model.errors import ConfigError, WeightsError
from sr_model.imaging.images import open_image, to_tensor
from sr_model.imaging.resampling import bicubic
from sr_model.losses import features
from sr_model.losses.features import SQUEEZENET_MIN_SIDE, Features, feature_distance, squeezenet, vgg_distance
from sr_model.models.weights import SHIPPED
from tests.conftest import EXAMPLES

TABBY, EGYPTIAN_CAT, ESPRESSO, CUP = 281, 285, 967, 968


@pytest.fixture(scope="module")
def network() -> Features:
    return squeezenet()


def pixels(name: str, side: int) -> Tensor:
    """The square in the middle of an example, (1, 3, side, side)."""
    image = open_image(EXAMPLES / name).convert("RGB")
    cut = min(image.size)
    left, top = (image.width - cut) // 2, (image.height - cut) // 2
    return to_tensor(np.asarray(image.resize((side, side), box=(left, top, left + cut, top + cut))))


@pytest.fixture(scope="module")
def cat() -> Tensor:
    return pixels("chelsea.png", 128)


def blurred(x: Tensor, scale: int) -> Tensor:
    h, w = x.shape[-2:]
    return bicubic(bicubic(x, (h // scale, w // scale)), (h, w))


@pytest.mark.parametrize(
    ("name", "first", "last"), [("chelsea.png", TABBY, EGYPTIAN_CAT), ("coffee.png", ESPRESSO, CUP)]
)
def test_the_network_knows_a_cat_and_a_cup(name: str, first: int, last: int) -> None:
    """Layers, weights and preprocessing fit: the coffee is not known where red and blue are exchanged."""
    picture, classify = pixels(name, 227), features.squeezenet_classifier()
    assert first <= classify(features.as_caffe(picture)).argmax().item() <= last
    if name == "coffee.png":
        assert not first <= classify(features.as_caffe(picture.flip(1))).argmax().item() <= last


def test_features_have_three_sizes(network: Features, cat: Tensor) -> None:
    """Half, quarter and eighth, the last before each pool; some respond and some do not."""
    found = network(cat)
    assert [tuple(f.shape) for f in found] == [(1, 96, 61, 61), (1, 256, 30, 30), (1, 512, 15, 15)]
    assert all(0.1 < (f > 0).float().mean() < 0.9 for f in found)


def test_the_smallest_side_is_the_smallest(network: Features) -> None:
    """One pixel less leaves nothing to compare."""
    side = SQUEEZENET_MIN_SIDE
    small = torch.rand(2, 3, side, side)
    assert feature_distance(network, small, 1 - small) > 0
    with pytest.raises(RuntimeError):
        network(small[..., 1:])


def test_equal_pictures_have_no_distance(network: Features, cat: Tensor) -> None:
    """Exactly, and it does not matter which picture comes first."""
    assert feature_distance(network, cat, cat) == 0
    other = blurred(cat, 2)
    assert torch.isclose(feature_distance(network, cat, other), feature_distance(network, other, cat))


def test_distance_grows_with_damage(network: Features, cat: Tensor) -> None:
    """With blur, with noise; and another photo is further away than either."""
    noise = torch.randn(cat.shape, generator=torch.Generator().manual_seed(0))
    blur = [feature_distance(network, blurred(cat, scale), cat).item() for scale in (2, 3, 4)]
    noisy = [feature_distance(network, cat + sigma * noise, cat).item() for sigma in (0.01, 0.02, 0.05)]
    other = feature_distance(network, pixels("coffee.png", 128), cat).item()
    assert sorted(blur) == blur
    assert sorted(noisy) == noisy
    assert 0.05 < blur[0] < 0.5  # of the order that the docstring states
    assert max(*blur, *noisy) < other < 2


def test_contrast_is_hardly_seen(network: Features, cat: Tensor) -> None:
    """Why `perceptual` needs a pixel loss beside it: what is plain to the squared error is next to nothing here."""
    grey, blur = 0.5 + 0.7 * (cat - 0.5), blurred(cat, 2)
    assert F.mse_loss(grey, cat) > 2 * F.mse_loss(blur, cat)
    assert feature_distance(network, grey, cat) < feature_distance(network, blur, cat) / 5


def test_gradients_lead_towards_the_target(network: Features, cat: Tensor) -> None:
    """They are finite, also for black and for equal pictures, touch no weight, and a step along them helps."""
    start = blurred(cat, 2).requires_grad_()
    distance = feature_distance(network, start, cat)
    (gradient,) = torch.autograd.grad(distance, start)
    assert feature_distance(network, start - 0.02 * gradient / gradient.abs().max(), cat) < distance
    assert not any(p.requires_grad for p in network.parameters())
    for x in (torch.zeros(1, 3, 32, 32), cat):
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(feature_distance(network, x, x.detach()), x)
        assert torch.isfinite(gradient).all()


def test_bfloat16_changes_little(network: Features, cat: Tensor) -> None:
    """Under autocast the distance is float32 and close to what it is without."""
    exact = feature_distance(network, blurred(cat, 2), cat)
    with torch.autocast("cpu", torch.bfloat16):
        rough = feature_distance(network, blurred(cat, 2), cat)
    assert rough.dtype == torch.float32
    assert torch.isclose(exact, rough, rtol=0.03)


def test_loading_leaves_the_random_state_alone() -> None:
    """A run with features draws the same patches as one without."""
    state = torch.get_rng_state()
    squeezenet()
    assert torch.equal(torch.get_rng_state(), state)


def test_damaged_or_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flipped bit is found by its checksum, and a missing file is a sentence."""
    shutil.copytree(SHIPPED / "features", tmp_path / "features")
    monkeypatch.setattr(features, "SHIPPED", tmp_path)
    path = tmp_path / "features" / "squeezenet-v1.0.safetensors"
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="sha256"):
        squeezenet()
    path.unlink()
    with pytest.raises(WeightsError, match="missing"):
        squeezenet()


def vgg_layers(divisor: int) -> nn.Sequential:
    """The layers of VGG19's features (Simonyan and Zisserman 2015, E) as torchvision has them, with fewer channels."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (64, 64, 0, 128, 128, 0, *4 * (256,), 0, *4 * (512,), 0, *4 * (512,), 0):
        if width:
            layers += [nn.Conv2d(channels, width // divisor, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            channels = width // divisor
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def test_vgg_features_are_taken_before_activation(cat: Tensor) -> None:
    """Five of them, at five sizes, with values below 0: torchvision's ReLUs would have cut them off in place."""
    network = features.vgg_features(vgg_layers(16))
    found = network(cat)
    assert [tuple(f.shape[1:]) for f in found] == [(4, 128, 128), (8, 64, 64), (16, 32, 32), (32, 16, 16), (32, 8, 8)]
    assert all((f < 0).any() for f in found)
    assert vgg_distance(network, cat, cat) == 0
    moved = vgg_distance(network, blurred(cat, 2), cat)
    parts = [F.l1_loss(a, b) for a, b in zip(network(blurred(cat, 2)), found, strict=True)]
    assert torch.isclose(moved, 0.1 * parts[0] + 0.1 * parts[1] + parts[2] + parts[3] + parts[4])


def test_torchvision_has_these_layers() -> None:
    """Kinds and channels, one by one."""
    theirs, ours = vgg.make_layers(vgg.cfgs["E"]), vgg_layers(1)
    assert [str(layer) for layer in theirs] == [str(layer) for layer in ours]


def test_without_torchvision_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both losses of features name the command that installs it."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    for load in (features.vgg19, features.squeezenet):
        with pytest.raises(ConfigError, match=r"pip install torchvision"):
            load()


@pytest.mark.parametrize("failure", [urllib.error.URLError("no network"), RuntimeError("invalid hash value")])
def test_a_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """Put the file where it is looked for, or use `perceptual`."""

    def vgg19(weights: object) -> None:
        raise failure

    monkeypatch.setattr(models, "vgg19", vgg19)
    with pytest.raises(ConfigError, match=r"TORCH_HOME .* or use perceptual"):
        features.vgg19()
