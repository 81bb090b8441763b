"""The optimizers: torch's Adam and, for the convolutions within a network, torch's Muon."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

CHOICES = ("muon", "adam")


class KernelMuon(torch.optim.Muon):
    """torch's Muon (Jordan et al. 2024), which takes only matrices, for kernels: one row per output channel.

    Each step is the gradient's running mean with all singular values set to about 1, so rare directions are learned as
    fast as common ones; its size is that of an Adam step at the same learning rate (Liu et al. 2025). Kernels are
    (O, I, h, w), channels last, and their storage must not be replaced.
    """

    def __init__(self, kernels: Iterable[nn.Parameter], lr: float) -> None:
        self._kernels = list(kernels)
        # Views of the kernels' memory: updating them updates the kernels.
        self._rows = [nn.Parameter(_rows(kernel.detach())) for kernel in self._kernels]
        by_shape: dict[torch.Size, list[int]] = {}
        for i, rows in enumerate(self._rows):
            by_shape.setdefault(rows.shape, []).append(i)
        self._stacks = list(by_shape.values())
        super().__init__(self._rows, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update all kernels of one shape as a stack: one by one, the many small products take four times as long."""
        assert closure is None, "the loss is computed before the step"
        group = self.param_groups[0]
        for members in self._stacks:
            rows: list[Tensor] = [self._rows[i] for i in members]
            gradients = [_gradient(self._kernels[i]) for i in members]
            means = [self.state[row].setdefault("momentum_buffer", torch.zeros_like(row)) for row in rows]
            torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
            updates = torch._foreach_lerp(gradients, means, group["momentum"])  # Nesterov's
            steps = _orthogonal(torch.stack(updates), group["ns_coefficients"], group["ns_steps"], group["eps"])
            torch._foreach_add_(rows, steps.float().unbind(), alpha=-group["lr"] * 0.2 * math.sqrt(max(rows[0].shape)))


def _gradient(kernel: nn.Parameter) -> Tensor:
    assert kernel.grad is not None, "a step follows a backward pass of the whole network"
    return _rows(kernel.grad.contiguous(memory_format=torch.channels_last))


def _orthogonal(matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """(N, O, I) -> the same with all singular values about 1, in bfloat16: torch.optim.Muon's iteration, on a stack."""
    a, b, c = coefficients
    x = matrices.bfloat16()
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _rows(kernel: Tensor) -> Tensor:
    """(O, I, h, w), channels last -> (O, h * w * I), a view of the same memory."""
    return kernel.permute(0, 2, 3, 1).view(len(kernel), -1)


def build(network: nn.Module, name: str, lr: float) -> dict[str, Optimizer]:
    """The optimizers of a channels-last network, by the names of their moments in a checkpoint.

    `name` is one of CHOICES: "adam" is Adam for everything; "muon" is Muon for all kernels except those of the
    first and last convolution, whose channels are colours, and Adam for these and the biases. Each training step steps
    both.
    """
    kernels = [module.get_parameter("weight") for module in network.modules() if isinstance(module, nn.Conv2d)][1:-1]
    inner = {id(kernel) for kernel in kernels} if name == "muon" else set()
    others = [parameter for parameter in network.parameters() if id(parameter) not in inner]
    optimizers: dict[str, Optimizer] = {"optimizer": torch.optim.Adam(others, lr=lr, fused=True)}
    if inner:
        optimizers["muon"] = KernelMuon(kernels, lr)
    return optimizers
