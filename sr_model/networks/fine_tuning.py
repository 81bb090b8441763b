"""Fine-tuning in 8 bits: a quantized network learns to give what the float32 one does (Jacob et al. 2018)."""

import copy
import math
import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sr_model.networks import Network
from sr_model.networks.quantization import QuantizedConv2d

STEPS = 600
PATCHES, SIDE = 8, 64  # of a step
LEARNING_RATE = 1e-4
STEP_RATE = 1e-3  # of the logarithms of the inputs' steps
WARMUP = 0.1  # of the steps


class _Learning(nn.Module):
    """What a QuantizedConv2d will compute, of float32 weights; gradients pass as if nothing were rounded."""

    def __init__(self, layer: QuantizedConv2d, conv: nn.Conv2d, learns_step: bool) -> None:
        super().__init__()
        self.layer, self.conv = layer, copy.deepcopy(conv)
        self.log_step = nn.Parameter(layer.input_scale.log(), requires_grad=learns_step)  # of the input's levels

    def forward(self, x: Tensor) -> Tensor:
        step, lowest = self.log_step.exp(), int(self.layer.input_lowest)
        level = (x / step).clamp(lowest, lowest + 255)
        level = level + (level.round() - level).detach()
        return self.layer.of_rounded(level * step, self.conv)

    @torch.no_grad()
    def learned(self) -> QuantizedConv2d:
        """The layer, with what was learned in bytes."""
        self.layer.take_weights(self.conv)
        if self.log_step.requires_grad:
            self.layer.input_scale.copy_(self.log_step.exp())
        return self.layer


def fine_tune(quantized: Network, network: Network, pictures: Sequence[Tensor], steps: int = STEPS) -> Network:
    """A copy of `quantized`, the 8-bit version of `network`, that has learned to give what `network` does.

    What is learned are weights, biases and how far apart the levels of an input are (Esser et al. 2020), but for those
    of the first layer: a picture's values are on them as they are. The error is the mean square over random patches of
    `pictures` (1, 3, H, W) in [0, 1], so no truth is needed, and what rounding of one layer does, others make good.
    The same every time. Raises ValueError if there is no picture.
    """
    if not pictures:
        raise ValueError("there is no picture to learn from")
    network = copy.deepcopy(network).eval()
    learner = copy.deepcopy(quantized).eval()
    learning: dict[str, _Learning] = {}
    for name, layer in quantized.named_modules():
        if isinstance(layer, QuantizedConv2d):
            conv = network.get_submodule(name)
            assert isinstance(conv, nn.Conv2d), "a layer takes the place of its like"
            learning[name] = _Learning(copy.deepcopy(layer), conv, learns_step=bool(learning))
            learner.set_submodule(name, learning[name])
    convs = [value for module in learning.values() for value in module.conv.parameters()]
    steps_of_levels = [module.log_step for module in learning.values() if module.log_step.requires_grad]
    groups = [{"params": convs, "lr": LEARNING_RATE}, {"params": steps_of_levels, "lr": STEP_RATE}]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps))
    draw = random.Random(0)
    with torch.enable_grad():
        for _ in range(steps):
            x = torch.cat([_patch(draw.choice(pictures), draw) for _ in range(PATCHES)])
            x = x.contiguous(memory_format=torch.channels_last)
            with torch.no_grad():
                wanted = network.body(network.prepare(x))
            # In levels of 255.
            error = (255 * (learner.body(learner.prepare(x)) - wanted)).square().mean()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            schedule.step()
    for name, module in learning.items():
        learner.set_submodule(name, module.learned())
    return learner


def _rate(progress: float) -> float:
    """Share of the learning rate: a linear warm-up, then a cosine to 0."""
    return min(1.0, progress / WARMUP) * 0.5 * (1 + math.cos(math.pi * progress))


def _patch(picture: Tensor, draw: random.Random) -> Tensor:
    """(1, 3, SIDE, SIDE) from anywhere in a picture; one that is smaller is continued by repeating it."""
    h, w = picture.shape[-2:]
    picture = picture.tile(1, 1, -(-SIDE // h), -(-SIDE // w))
    h, w = picture.shape[-2:]
    top, left = draw.randint(0, h - SIDE), draw.randint(0, w - SIDE)
    return picture[..., top : top + SIDE, left : left + SIDE]
