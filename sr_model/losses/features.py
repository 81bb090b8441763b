"""How different two pictures look: distances between what networks that have learned ImageNet see in them.

Pictures are (N, 3, H, W), RGB, float32, [0, 1]; values a little outside, as a network predicts them, do no harm. All
distances are differentiable scalars, 0 for equal pictures. Under autocast the features are computed in its type, which
is twice as fast, and the distances in float32 all the same.
"""

import hashlib
import http.client
import json
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn import functional as F

from sr_model.errors import ConfigError, WeightsError
from sr_model.models.weights import SHIPPED

Network = TypeVar("Network", bound=nn.Module)

SQUEEZENET_MIN_SIDE = 13  # below it nothing is left after the second max pool
VGG19_MIN_SIDE = 16  # four max pools by 2


class Fire(nn.Module):
    """Few channels, then many again by 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeezed: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, kernel_size=1)
        self.expand1 = nn.Conv2d(squeezed, outputs // 2, kernel_size=1)
        self.expand3 = nn.Conv2d(squeezed, outputs // 2, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1(x), self.expand3(x)], dim=1))


class SqueezeNet(nn.Module):
    """SqueezeNet v1.0 (Iandola et al. 2016): a picture -> its features at a half, a quarter and an eighth of its size.

    They are the last ones before each max pool, after ReLU: 96, 256 and 512 channels.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, kernel_size=7, stride=2)
        self.fire2 = Fire(96, 16, 128)
        self.fire3 = Fire(128, 16, 128)
        self.fire4 = Fire(128, 32, 256)
        self.fire5 = Fire(256, 32, 256)
        self.fire6 = Fire(256, 48, 384)
        self.fire7 = Fire(384, 48, 384)
        self.fire8 = Fire(384, 64, 512)
        self.fire9 = Fire(512, 64, 512)
        self.conv10 = nn.Conv2d(512, 1000, kernel_size=1)
        mean = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = x.flip(1) * 255 - self.mean  # as Caffe had it: BGR, 0 to 255
        half = F.relu(self.conv1(x))  # (N, 96, H/2, W/2), rounded down further as nothing is padded
        quarter = self.fire4(self.fire3(self.fire2(_pool(half))))  # (N, 256, H/4, W/4)
        eighth = self.fire8(self.fire7(self.fire6(self.fire5(_pool(quarter)))))  # (N, 512, H/8, W/8)
        return [half, quarter, eighth]

    def classify(self, x: Tensor) -> Tensor:
        """(N, 1000) scores of the classes of ImageNet; it shows that weights, layers and preprocessing fit."""
        return F.relu(self.conv10(self.fire9(_pool(self(x)[-1])))).mean((2, 3))


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, kernel_size=3, stride=2, ceil_mode=True)


def squeezenet(device: torch.device | str = "cpu") -> SqueezeNet:
    """The network with the weights that are shipped, frozen. Raises WeightsError where they are missing or damaged."""
    path = SHIPPED / "features" / "squeezenet-v1.0.safetensors"
    try:
        data = path.read_bytes()
        sha256 = json.loads(path.with_suffix(".json").read_text())["sha256"]
    except (OSError, ValueError, KeyError):
        raise WeightsError(f"{path.name} or the json beside it is missing or unreadable in {path.parent}.") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path.name} does not match its sha256 in {path.stem}.json: it is damaged or replaced.")
    with torch.random.fork_rng(devices=[]):  # first weights are drawn in vain: nobody's random numbers depend on it
        network = SqueezeNet()
    try:
        network.load_state_dict(load_tensors(data), strict=True)  # float16 on disk, float32 from here
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path.name} does not fit the network: {error}") from None
    return _frozen(network, device)


def feature_distance(network: SqueezeNet, x: Tensor, y: Tensor) -> Tensor:
    """Mean over three sizes of the squared distance between features of unit length, from 0 to 2.

    This is the form of LPIPS (Zhang et al. 2018), but NOT LPIPS: it has none of its learned weights, which do not fit
    this network, and its values compare with no published ones. On photos, bicubic x2 lies about 0.14 from the truth,
    x4 about 0.36, another photo about 1.3. Unit length makes it all but blind to contrast and brightness: it needs a
    pixel loss beside it.
    """
    distances = []
    for a, b in zip(network(x), network(y), strict=True):
        distances.append((_unit(a) - _unit(b)).square().sum(dim=1).mean())
    return torch.stack(distances).mean()


def _unit(features: Tensor) -> Tensor:
    """Of length 1 along the channels; what is close to nothing stays close to nothing."""
    return features.float() * torch.rsqrt(features.float().square().sum(dim=1, keepdim=True) + 1)


# Of ESRGAN and Real-ESRGAN (Wang et al. 2018, 2021): torchvision's index of conv1_2, 2_2, 3_4, 4_4, 5_4, and weights.
_VGG19_LAYERS = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}


class VGG19(nn.Module):
    """The layers of torchvision's VGG19 up to conv5_4: a picture -> five tensors of features before activation."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers[: max(_VGG19_LAYERS) + 1]
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = (x - self.mean) / self.std
        features = []
        for index, layer in enumerate(self.layers):
            # torchvision's ReLUs work in place: they would overwrite the features that are taken before them.
            x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if index in _VGG19_LAYERS:
                features.append(x)
        return features


def vgg19(device: torch.device | str = "cpu") -> VGG19:
    """torchvision's VGG19, frozen; its weights are downloaded once. Raises ConfigError where they cannot be had."""
    try:
        from torchvision.models import VGG19_Weights
        from torchvision.models import vgg19 as build
    except (ImportError, RuntimeError) as error:  # RuntimeError: made for another release of torch
        raise ConfigError(
            f"--loss vgg needs torchvision, which cannot be imported ({error}). "
            "Install it with: pip install torchvision; or use perceptual, which needs nothing."
        ) from None
    try:
        with torch.random.fork_rng(devices=[]):
            layers = build(weights=VGG19_Weights.IMAGENET1K_V1).features
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise ConfigError(
            f"--loss vgg cannot get the weights of VGG19 ({error}). Download vgg19-dcbb9e9d.pth from "
            "download.pytorch.org/models on another machine and put it into the folder hub/checkpoints of TORCH_HOME "
            "(by default ~/.cache/torch); or use perceptual, which needs nothing."
        ) from None
    return _frozen(VGG19(layers), device)


def vgg_distance(network: VGG19, x: Tensor, y: Tensor) -> Tensor:
    """Weighted sum over five layers of the mean absolute difference, as Real-ESRGAN has it."""
    pairs = zip(_VGG19_LAYERS.values(), network(x), network(y), strict=True)
    return torch.stack([weight * F.l1_loss(a.float(), b.float()) for weight, a, b in pairs]).sum()


def _frozen(network: Network, device: torch.device | str) -> Network:
    # Channels last is nearly twice as fast on a CPU.
    return network.requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)
