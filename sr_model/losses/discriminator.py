"""The discriminator, which tells predictions from photos, and the two losses of adversarial training."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

MIN_SIDE = 16  # of a picture in pixels; the coarsest features are then 4 x 4


class Discriminator(nn.Module):
    """Input (N, 3, H, W), RGB, [0, 1], any H and W from 16; output (N, 1, H, W), logits: above 0 says "photo".

    A U-Net that judges every pixel (Schönfeld et al. 2020) in the form of Real-ESRGAN (Wang et al. 2021): skips are
    added, and all layers but the first and the last are spectrally normalised (Miyato et al. 2018). It is smaller, and
    on the way up it convolves before it enlarges, not after, which takes half the time and learns as well.

    In training mode every forward pass takes a step of the power iteration that estimates the spectral norms. Its
    vectors are buffers of the state dict, which therefore holds everything that a run needs to resume bit for bit; in
    evaluation mode nothing changes.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        steps = list(pairwise((width, 2 * width, 4 * width)))
        self.head = nn.Conv2d(3, width, kernel_size=3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(fine, coarse, kernel_size=4, stride=2, padding=1, bias=False))
            for fine, coarse in steps
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(coarse, fine, kernel_size=3, padding=1, bias=False))
            for fine, coarse in reversed(steps)
        )
        self.tail = nn.Conv2d(width, 1, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) * 4  # about mean 0 and deviation 1: spectral normalisation keeps small inputs small
        x = _activate(self.head(x))  # (N, width, H, W)
        skips = []
        for down in self.down:
            skips.append(x)
            x = _activate(down(x))  # twice the channels, half the size
        for up in self.up:
            skip = skips.pop()
            x = _activate(up(x))
            # To the skip's size, not by 2: odd sizes were rounded down. Nearest has a deterministic gradient on CUDA.
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest") + skip
        return self.tail(x)


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, negative_slope=0.2)


def build(seed: int = 0) -> Discriminator:
    """A new discriminator whose weights depend only on `seed`; the global random state is left untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Discriminator()


def generator_loss(fake: Tensor) -> Tensor:
    """How well the discriminator recognised predictions, from their logits (N, 1, H, W): 0.69 if it cannot tell.

    -log D(fake), the non-saturating loss of Goodfellow et al. 2014: strong gradients when the predictions are bad.
    """
    return F.softplus(-fake.float()).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of the logits of photos and of predictions (detached): 1.39 if it cannot tell, 0 if it can.

    -log D(real) - log(1 - D(fake)), Goodfellow et al. 2014. Unlike a hinge loss it has no edge where gradients vanish,
    and its values are easy to read: 2 log 2 is guessing.
    """
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()
