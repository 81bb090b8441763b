"""What takes the steps: torch's Adam and, for the convolutions within a network, torch's Muon."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

CHOICES = ("muon", "adam")


class KernelMuon(torch.optim.Muon):
    """torch's Muon (Jordan et al. 2024), which knows matrices alone, for kernels: a row for each output channel.

    Each step is the gradient's mean over time with all its singular values made about 1, so that rare directions
    are learned as fast as common ones; it is as long as one of Adam's at the same learning rate (Liu et al. 2025).
    Kernels are (O, I, h, w), channels last, and must stay where they lie in memory.
    """

    def __init__(self, kernels: Iterable[nn.Parameter], lr: float) -> None:
        self._kernels = list(kernels)
        # They share the kernels' memory: a step of theirs is one of the kernels'.
        self._rows = [nn.Parameter(_rows(kernel.detach())) for kernel in self._kernels]
        super().__init__(self._rows, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Any = None) -> Any:
        for rows, kernel in zip(self._rows, self._kernels, strict=True):
            assert kernel.grad is not None, "a step follows a backward pass of the whole network"
            rows.grad = _rows(kernel.grad.contiguous(memory_format=torch.channels_last))
        return super().step(closure)


def _rows(kernel: Tensor) -> Tensor:
    """(O, I, h, w), channels last -> (O, h * w * I) of the same memory."""
    return kernel.permute(0, 2, 3, 1).view(len(kernel), -1)


def build(network: nn.Module, name: str, lr: float) -> dict[str, Optimizer]:
    """The optimizers of a network, channels last, by the names that their moments have in a checkpoint.

    `name` is one of CHOICES: "adam" is Adam for everything; "muon" is Muon for all kernels but the first and the last
    convolution's, whose channels are colours, and Adam for those and the biases. A step of the run is one of each.
    """
    kernels = [module.get_parameter("weight") for module in network.modules() if isinstance(module, nn.Conv2d)][1:-1]
    inner = {id(kernel) for kernel in kernels} if name == "muon" else set()
    others = [parameter for parameter in network.parameters() if id(parameter) not in inner]
    optimizers: dict[str, Optimizer] = {"optimizer": torch.optim.Adam(others, lr=lr, fused=True)}
    if inner:
        optimizers["muon"] = KernelMuon(kernels, lr)
    return optimizers
