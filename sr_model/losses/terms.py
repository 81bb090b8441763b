"""What training minimises: a weighted sum of losses by name, such as "l1=1,perceptual=0.1,adversarial=0.005"."""

import functools
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_model.errors import ConfigError
from sr_model.imaging.metrics import LUMA_RANGE, LUMA_WEIGHTS
from sr_model.losses import discriminator, features, structure


def luma_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the luma Y, as a fraction of its range, of (N, 3, H, W) in [0, 1].

    The eye, and PSNR as the field reports it, judge by brightness; this loss ignores colour.
    """
    weights = prediction.new_tensor(LUMA_WEIGHTS) / LUMA_RANGE
    with torch.autocast(prediction.device.type, enabled=False):  # it would round the products to bfloat16
        return F.l1_loss(weights @ prediction.flatten(2), weights @ target.flatten(2))


# Functions of (prediction, target), (N, 3, H, W) in [0, 1], that give a scalar and tie each pixel to the truth.
LOSSES = {
    "l1": F.l1_loss,  # sharper than mse and better in PSNR too (Zhao et al. 2017)
    "mse": F.mse_loss,
}
# Terms that may be added to them, and the smallest side in pixels that each works on.
_ADDED = {
    "luma": 1,
    "ms_ssim": structure.MIN_SIDE,
    "perceptual": features.SQUEEZENET_MIN_SIDE,
    "vgg": features.VGG19_MIN_SIDE,
    "adversarial": discriminator.MIN_SIDE,
}
NAMES = (*LOSSES, *_ADDED)
OF_PIXELS = {*LOSSES, "luma", "ms_ssim"}  # if the loss has no other terms, PSNR says which weights are best


def parse(text: str) -> dict[str, float]:
    """Terms and their weights: {"l1": 1.0, "perceptual": 0.1} for "l1=1,perceptual=0.1"; a bare name has the weight 1.

    Raises ConfigError for unknown names, names given twice, weights that are not positive numbers, `perceptual` and
    `vgg` together, and sums without `l1` or `mse`: a discriminator does not know which picture was meant, and features
    hardly respond to contrast and brightness. For `perceptual`, a photo at 7/10 of its contrast is 20 times nearer
    than one enlarged by bicubic, although its squared error is 4 times as large.
    """
    terms: dict[str, float] = {}
    for entry in text.split(","):
        name, given, value = (part.strip() for part in entry.partition("="))
        if not name:
            raise ConfigError(f"--loss {text!r} has an entry without a name; write for example: l1=1,perceptual=0.1.")
        if name not in NAMES:
            raise ConfigError(f"--loss knows no {name!r}; choose from: {', '.join(NAMES)}.")
        if name in terms:
            raise ConfigError(f"--loss names {name} twice.")
        terms[name] = _weight(name, value) if given else 1.0
    if "perceptual" in terms and "vgg" in terms:
        raise ConfigError("--loss has both perceptual and vgg, two networks for the same purpose; choose one.")
    if not terms.keys() & LOSSES.keys():
        raise ConfigError(
            f"--loss {text} does not tie the colours to the truth; add {' or '.join(LOSSES)}, "
            f"for example: l1=1,{next(iter(terms))}=0.1."
        )
    return terms


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise ConfigError(f"--loss gives {name} the weight {text!r}; it must be a number above 0.")
    return weight


def min_output_side(terms: Mapping[str, float]) -> int:
    """The smallest side of a training patch, in output pixels, that all of `terms` can be computed on."""
    return max(_ADDED.get(name, 1) for name in terms)


class Loss:
    """The weighted sum of `terms`, as `parse` gives them, on `device`.

    Raises WeightsError or ConfigError if the weights of a feature network are not available.
    """

    def __init__(self, terms: Mapping[str, float], device: torch.device | str = "cpu") -> None:
        self.terms = dict(terms)
        self._functions = {name: _function(name, device) for name in terms if name != "adversarial"}

    def parts(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Each term, unweighted, except the adversarial one, of two (N, 3, H, W), float32, [0, 1]."""
        return {name: function(prediction, target) for name, function in self._functions.items()}

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of `parts`, to which the caller may have added the adversarial one."""
        return torch.stack([self.terms[name] * value for name, value in parts.items()]).sum()

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.total(self.parts(prediction, target))


def _function(name: str, device: torch.device | str) -> Callable[[Tensor, Tensor], Tensor]:
    if name == "perceptual":
        return functools.partial(features.feature_distance, features.squeezenet(device))
    if name == "luma":
        return luma_l1
    if name == "ms_ssim":
        return structure.ms_ssim_loss
    if name == "vgg":
        return functools.partial(features.vgg_distance, features.vgg19(device))
    return LOSSES[name]
