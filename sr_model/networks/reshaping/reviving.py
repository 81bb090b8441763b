"""Dormant channels, which no picture activates and which therefore never learn, brought back into training."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from sr_model.networks.base import Network
from sr_model.networks.layers import ResidualBlock


def count_dormant(network: Network, pictures: Iterable[Tensor]) -> tuple[int, int]:
    """How many channels between two convolutions are 0 behind their ReLU all over `pictures`, and of how many.

    `pictures` are (1, 3, H, W) in [0, 1] each.
    """
    largest, _ = _observe(network, pictures)
    return _counted(largest)


@torch.no_grad()
def revive(network: Network, pictures: Iterable[Tensor], seed: int = 0) -> tuple[int, int]:
    """Initialise dormant channels anew, in place; return how many those were, and of how many, as `count_dormant` does.

    `pictures` are (1, 3, H, W) in [0, 1] each, on the network's device. No gradient reaches dormant channels. They get
    random weights by `seed`, and a bias with which they are 0 on average before their ReLU, so about half of the time
    behind it. Nothing reads them until training gives them a use, so the network's output stays as it is (Sokar et al.
    2023).
    """
    largest, means = _observe(network, pictures)
    random = torch.Generator().manual_seed(seed)
    for writer, reader in _pairs(network):
        dormant = largest[reader] == 0
        fresh = nn.init.kaiming_uniform_(torch.empty(writer.weight.shape), a=5**0.5, generator=random)
        bias = -(fresh * means[writer].view(1, -1, 1, 1)).sum((1, 2, 3))
        writer.weight[dormant] = fresh[dormant].to(writer.weight)
        writer.get_parameter("bias")[dormant] = bias[dormant].to(writer.weight)
        reader.weight[:, dormant] = 0
    return _counted(largest)


@torch.no_grad()
def _observe(network: Network, pictures: Iterable[Tensor]) -> tuple[dict[nn.Conv2d, Tensor], dict[nn.Conv2d, Tensor]]:
    """(the largest input of each channel by those who read it, the mean input of each channel by those who write)."""
    largest = {reader: torch.zeros(reader.in_channels) for _, reader in _pairs(network)}
    means = {writer: torch.zeros(writer.in_channels) for writer, _ in _pairs(network)}
    count = 0

    def note_largest(reader: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(reader, nn.Conv2d)
        largest[reader] = torch.maximum(largest[reader], inputs[0].amax((0, 2, 3)).float().cpu())

    def note_mean(writer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(writer, nn.Conv2d)
        means[writer] += (inputs[0].mean((0, 2, 3)).float().cpu() - means[writer]) / count

    hooks = [reader.register_forward_pre_hook(note_largest) for reader in largest]
    hooks += [writer.register_forward_pre_hook(note_mean) for writer in means]
    try:
        for picture in pictures:
            count += 1
            network(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return largest, means


def _counted(largest: dict[nn.Conv2d, Tensor]) -> tuple[int, int]:
    return sum(int((most == 0).sum()) for most in largest.values()), sum(map(len, largest.values()))


def _pairs(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.Conv2d]]:
    """Convolutions with nothing but a ReLU between them: the one that writes channels, and the one that reads them."""
    for module in network.modules():
        match module:
            case ResidualBlock():
                yield module.conv1, module.conv2
            case nn.Sequential():
                for writer, between, reader in zip(module, module[1:], module[2:], strict=False):
                    if isinstance(writer, nn.Conv2d) and isinstance(between, nn.ReLU) and isinstance(reader, nn.Conv2d):
                        yield writer, reader
