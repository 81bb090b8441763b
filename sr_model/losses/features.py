"""Perceptual distances between pictures: distances between the features of networks trained on ImageNet.

Pictures are (N, 3, H, W), RGB, float32, [0, 1]; values a little outside, as a network predicts them, do no harm. All
distances are differentiable scalars, 0 for equal pictures. Under autocast the features are computed in its type, which
is twice as fast; the distances are always computed in float32.
"""

import hashlib
import http.client
import json
from collections.abc import Callable, Collection
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.errors import ConfigError, WeightsError
from sr_model.models.weights import SHIPPED

SQUEEZENET_MIN_SIDE = 13  # smaller ones vanish at the second max pool
VGG19_MIN_SIDE = 16  # four max pools by 2


class Features(nn.Module):
    """The first layers of one of torchvision's networks: a picture -> the outputs of some of these layers."""

    def __init__(self, layers: nn.Sequential, taken: Collection[int], prepare: Callable[[Tensor], Tensor]) -> None:
        """`taken` are the layers, by index, whose outputs are given; `prepare` makes of a picture what they expect."""
        super().__init__()
        self.layers = layers[: max(taken) + 1]
        for module in self.layers.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # it would overwrite the features that are taken before it
        self.taken = taken
        self.prepare = prepare

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.prepare(x)
        features = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taken:
                features.append(x)
        return features


# Of SqueezeNet v1.0 (Iandola et al. 2016), the last before each max pool: 96, 256 and 512 channels at a half, a quarter
# and an eighth of the picture's size, after ReLU.
_SQUEEZENET_LAYERS = (1, 5, 10)
# Of ESRGAN and Real-ESRGAN (Wang et al. 2018, 2021): conv1_2, 2_2, 3_4, 4_4, 5_4, before ReLU, and their weights.
_VGG19_LAYERS = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}


def as_caffe(x: Tensor) -> Tensor:
    """A picture as SqueezeNet's weights expect it."""
    return x.flip(1) * 255 - x.new_tensor([104, 117, 123]).view(1, 3, 1, 1)  # BGR, 0 to 255


def _as_torchvision(x: Tensor) -> Tensor:
    mean, std = x.new_tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
    return (x - mean) / std


def squeezenet_classifier() -> nn.Module:
    """torchvision's network with the shipped weights, on the CPU: `as_caffe` of a picture -> ImageNet scores.

    Raises WeightsError if they are missing or damaged, and ConfigError without torchvision.
    """
    models = _torchvision_models("perceptual")
    path = SHIPPED / "features" / "squeezenet-v1.0.safetensors"
    try:
        data = path.read_bytes()
        sha256 = json.loads(path.with_suffix(".json").read_text())["sha256"]
    except (OSError, ValueError, KeyError):
        raise WeightsError(f"{path.name} or the json beside it is missing or unreadable in {path.parent}.") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path.name} does not match its sha256 in {path.stem}.json: it is damaged or was replaced.")
    with torch.random.fork_rng(devices=[]):  # drawing unused weights must not advance the global state
        network: nn.Module = models.squeezenet1_0(weights=None)
    try:
        network.load_state_dict(load_tensors(data), strict=True)  # float16 on disk, float32 from here
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path.name} does not fit the network: {error}") from None
    return network.eval()


def squeezenet(device: torch.device | str = "cpu") -> Features:
    """The features of the classifier above, frozen."""
    layers = squeezenet_classifier().get_submodule("features")
    assert isinstance(layers, nn.Sequential), "as torchvision has it"
    return _frozen(Features(layers, _SQUEEZENET_LAYERS, as_caffe), device)


def feature_distance(network: Features, x: Tensor, y: Tensor) -> Tensor:
    """Mean over three sizes of the squared distance between features of unit length, from 0 to 2.

    This has the form of LPIPS (Zhang et al. 2018), but is NOT LPIPS: it lacks the learned weights, which do not fit
    this network, and its values do not compare with published ones. On photos, bicubic x2 is about 0.14 from the truth,
    x4 about 0.36, another photo about 1.3. Unit length makes it almost blind to contrast and brightness, so it needs a
    pixel loss beside it.
    """
    distances = []
    for a, b in zip(network(x), network(y), strict=True):
        distances.append((_unit(a) - _unit(b)).square().sum(dim=1).mean())
    return torch.stack(distances).mean()


def _unit(features: Tensor) -> Tensor:
    """Scale to unit length along the channels; vectors near zero stay near zero."""
    return features.float() * torch.rsqrt(features.float().square().sum(dim=1, keepdim=True) + 1)


def vgg19(device: torch.device | str = "cpu") -> Features:
    """The features of torchvision's VGG19, frozen; its weights are downloaded once.

    Raises ConfigError if that fails.
    """
    models = _torchvision_models("vgg")
    try:
        with torch.random.fork_rng(devices=[]):
            layers = models.vgg19(weights=models.VGG19_Weights.IMAGENET1K_V1).features
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise ConfigError(
            f"--loss vgg cannot get the weights of VGG19 ({error}). Download vgg19-dcbb9e9d.pth from "
            "download.pytorch.org/models on another machine and put it into the folder hub/checkpoints of TORCH_HOME "
            "(by default ~/.cache/torch); or use perceptual, which needs no download."
        ) from None
    return vgg_features(layers, device)


def vgg_features(layers: nn.Sequential, device: torch.device | str = "cpu") -> Features:
    """What `vgg_distance` compares, of VGG19's layers."""
    return _frozen(Features(layers, _VGG19_LAYERS, _as_torchvision), device)


def vgg_distance(network: Features, x: Tensor, y: Tensor) -> Tensor:
    """Weighted sum over five layers of the mean absolute difference, as Real-ESRGAN has it."""
    pairs = zip(_VGG19_LAYERS.values(), network(x), network(y), strict=True)
    return torch.stack([weight * F.l1_loss(a.float(), b.float()) for weight, a, b in pairs]).sum()


def _torchvision_models(term: str) -> Any:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # RuntimeError: made for another release of torch
        raise ConfigError(
            f"--loss {term} needs torchvision, which cannot be imported ({error}). Install the one that fits "
            "this torch with: pip install torchvision"
        ) from None
    return models


def _frozen(network: Features, device: torch.device | str) -> Features:
    # Channels last is nearly twice as fast on a CPU.
    return network.requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)
