"""A training step of one network that CUDA replays as a graph: a launch for each of its kernels would take longer.

The same as sr_model/training does, Muon and Adam and the average of the weights, but with every number that changes
from step to step in a tensor.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.family.pixels import Cuts
from sr_model.imaging.metrics import LUMA_RANGE, LUMA_WEIGHTS
from sr_model.losses.structure import ms_ssim_loss
from sr_model.networks import Network

BETAS, EPS = (0.9, 0.999), 1e-8  # Adam's
MOMENTUM, COEFFICIENTS, ITERATIONS = 0.95, (3.4445, -4.7750, 2.0315), 5  # Muon's
CLIP = 0.05  # norm of the gradient
DECAY = 0.999  # of the average
WARMUP = 200  # steps
DRAWN = 128  # steps whose patches are drawn at once
LAST = 0.15  # part of a run on clean pictures, at its end, whose loss is the squared error: PSNR measures that
LUMA = tuple(weight / LUMA_RANGE for weight in LUMA_WEIGHTS)


class Optimizer:
    """Muon for the kernels between the first and the last convolution and Adam for the rest, at a rate in a tensor."""

    def __init__(self, network: nn.Module, rate: Tensor) -> None:
        self.rate = rate
        self.parameters = list(network.parameters())
        kernels = [m.get_parameter("weight") for m in network.modules() if isinstance(m, nn.Conv2d)][1:-1]
        inner = {id(kernel) for kernel in kernels}
        self.others = [p for p in self.parameters if id(p) not in inner]
        self.means = [torch.zeros_like(p) for p in self.others]
        self.squares = [torch.zeros_like(p) for p in self.others]
        self.count = torch.zeros((), device=rate.device)
        by_shape: dict[torch.Size, list[nn.Parameter]] = {}
        for kernel in kernels:
            by_shape.setdefault(kernel.shape, []).append(kernel)
        self.stacks = list(by_shape.values())
        self.momenta = [[torch.zeros_like(_rows(kernel.detach())) for kernel in stack] for stack in self.stacks]

    @property
    def state(self) -> list[Tensor]:
        return [self.count, *self.means, *self.squares, *(m for stack in self.momenta for m in stack)]

    @torch.no_grad()
    def step(self) -> None:
        gradients = [_gradient(p) for p in self.parameters]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, (CLIP / (norm + 1e-6)).clamp(max=1.0))
        self._adam()
        for kernels, means in zip(self.stacks, self.momenta, strict=True):
            rows = [_rows(_gradient(k).contiguous(memory_format=torch.channels_last)) for k in kernels]
            torch._foreach_lerp_(means, rows, 1 - MOMENTUM)
            steps = _orthogonal(torch.stack(torch._foreach_lerp(rows, means, MOMENTUM))).float()
            steps = steps * (self.rate * (0.2 * math.sqrt(max(rows[0].shape))))
            torch._foreach_add_([_rows(kernel) for kernel in kernels], steps.unbind(), alpha=-1)

    def _adam(self) -> None:
        gradients = [_gradient(p) for p in self.others]
        self.count += 1
        torch._foreach_lerp_(self.means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(self.squares, BETAS[1])
        torch._foreach_addcmul_(self.squares, gradients, gradients, 1 - BETAS[1])
        sizes = torch._foreach_mul(self.squares, 1 / (1 - BETAS[1] ** self.count))
        torch._foreach_sqrt_(sizes)
        torch._foreach_add_(sizes, EPS)
        steps = torch._foreach_div(self.means, sizes)
        torch._foreach_mul_(steps, self.rate / (1 - BETAS[0] ** self.count))
        torch._foreach_add_(list[Tensor](self.others), steps, alpha=-1)


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "a step follows a backward pass of the whole network"
    return parameter.grad


def _rows(kernel: Tensor) -> Tensor:
    """(O, I, h, w), channels last -> (O, h * w * I), a view of the same memory."""
    return kernel.permute(0, 2, 3, 1).view(len(kernel), -1)


def _orthogonal(matrices: Tensor) -> Tensor:
    """(N, O, I) -> the same with all singular values about 1, in bfloat16."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Trainer:
    """A network in training, on patches of its own."""

    def __init__(self, network: Network, cuts: Cuts, batch: int, lr: float, loss: dict[str, float], last: bool) -> None:
        """`loss` has weights of l1, luma and ms_ssim; `last` trains by squared error for the LAST part of the run."""
        self.network = network.to(memory_format=torch.channels_last)
        self.cuts, self.batch, self.lr, self.loss, self.last = cuts, batch, lr, loss, last
        device = next(network.parameters()).device
        self.rate, self.squared = torch.zeros((), device=device), torch.zeros((), device=device)
        self.optimizer = Optimizer(self.network, self.rate)
        self.average = [p.detach().clone() for p in network.parameters()]
        self.forget = torch.ones((), device=device)
        self.drawn = torch.zeros((DRAWN, batch, 5), dtype=torch.long, device=device)
        self.row = torch.zeros(1, dtype=torch.long, device=device)  # of `drawn`, which is next
        self.mean_loss = torch.zeros((), device=device)
        self.enlarging = _enlarging(cuts.side, network.scale).to(device)
        self.luma = torch.tensor(LUMA, device=device).view(1, 3, 1, 1)
        self.steps = 0
        self.milliseconds = 1.0  # of a step
        self._graph: torch.cuda.CUDAGraph | None = None

    def prepare(self) -> None:
        """On a GPU capture a step as a graph, and measure how long it takes; the weights stay what they are."""
        before = [p.detach().clone() for p in self.optimizer.parameters]
        self._draw()
        if self.rate.is_cuda:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self._step()
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._step()
            self.milliseconds = self._measured()
        with torch.no_grad():
            for parameter, average, start in zip(self.optimizer.parameters, self.average, before, strict=True):
                parameter.copy_(start)
                average.copy_(start)
            for tensor in (*self.optimizer.state, self.mean_loss):
                tensor.zero_()

    def _measured(self, repeats: int = 8) -> float:
        assert self._graph
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(repeats):
            self._graph.replay()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / repeats

    def step(self, progress: float) -> None:
        """One step at a place from 0 to 1 of the run."""
        if self.steps % DRAWN == 0:
            self._draw()
        rise = min(1.0, (self.steps + 1) / (WARMUP + 1))
        self.rate.fill_(self.lr * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
        self.forget.fill_(1 - min(DECAY, (1 + self.steps) / (10 + self.steps)))
        self.squared.fill_(float(self.last and progress > 1 - LAST))
        if self._graph:
            self._graph.replay()
        else:
            self._step()
        self.steps += 1

    def finish(self) -> Network:
        """The network with its average weights; the trainer is used up."""
        self._graph = None
        with torch.no_grad():
            for parameter, average in zip(self.optimizer.parameters, self.average, strict=True):
                parameter.copy_(average)
        return self.network

    def _draw(self) -> None:
        self.row.zero_()
        self.drawn.copy_(self.cuts.draw(DRAWN * self.batch).view(DRAWN, self.batch, 5))

    def _step(self) -> None:
        low, high = self.cuts.batch(self.drawn.index_select(0, self.row)[0])
        for parameter in self.optimizer.parameters:
            parameter.grad = None
        with torch.autocast(low.device.type, torch.bfloat16, cache_enabled=False):
            added = F.pixel_shuffle(self.network.body(low), self.network.scale)
        loss = self._loss(self.enlarging @ low @ self.enlarging.T + added.float(), high)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            ahead = torch._foreach_sub([p.detach() for p in self.optimizer.parameters], self.average)
            torch._foreach_mul_(ahead, self.forget)
            torch._foreach_add_(self.average, ahead)
            self.mean_loss.lerp_(loss.detach(), 0.01)
            self.row.add_(1).remainder_(DRAWN)

    def _loss(self, result: Tensor, high: Tensor) -> Tensor:
        difference = result - high
        bright = (difference * self.luma).sum(1)
        terms = {"l1": difference.abs().mean(), "luma": bright.abs().mean()}
        if "ms_ssim" in self.loss:
            terms["ms_ssim"] = ms_ssim_loss(result, high)
        total = torch.stack([weight * terms[name] for name, weight in self.loss.items()]).sum()
        if self.last:
            # Times 30, of about the size of the others; gradients are clipped, so it does not matter more.
            squares = 30 * (bright.square().mean() + 0.2 * difference.square().mean())
            total = total.lerp(squares, self.squared)
        return total


def _enlarging(side: int, scale: int) -> Tensor:
    """(scale * side, side): bicubic enlargement of a column, as a matrix."""
    eye = torch.eye(side)[None, None]
    return F.interpolate(eye, (scale * side, side), mode="bicubic", align_corners=False, antialias=True)[0, 0]
