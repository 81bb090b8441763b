"""Residual blocks that do nothing, left out: the same pictures in less time, by a smaller network."""

import copy
import dataclasses
from collections.abc import Collection, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from sr_model.networks.autoencoder import Autoencoder
from sr_model.networks.layers import ResidualBlock

# The stacks of residual blocks, and which field of the config says how many there are.
STACKS = {
    "encoder.blocks": "encoder_blocks",
    "encoder.latent_blocks": "latent_blocks",
    "decoder.blocks": "decoder_blocks",
}
IDLE = 1e-5  # the mean activation of a block that does nothing; those that do something have 3e-4 and more


def idle_blocks(network: Autoencoder, pictures: Iterable[Tensor]) -> set[str]:
    """The names of residual blocks whose ReLU lets next to nothing through, on the mean of `pictures`.

    `pictures` are (1, 3, H, W) in [0, 1] each. The first block of a stack always counts as busy.
    """
    means: dict[str, list[float]] = {
        f"{stack}.{name}": []
        for stack in STACKS
        for name, _ in network.get_submodule(stack).named_children()
        if name != "0"
    }

    def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        means[name].append(float(inputs[0].mean()))

    hooks = [network.get_submodule(f"{name}.conv2").register_forward_pre_hook(partial(note, name)) for name in means]
    try:
        with torch.inference_mode():
            for picture in pictures:
                network(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return {name for name, values in means.items() if values and sum(values) <= IDLE * len(values)}


@torch.no_grad()
def without(network: Autoencoder, blocks: Collection[str]) -> Autoencoder:
    """A copy without some blocks. What such a block adds everywhere, its last bias, the block before it adds instead.

    Raises ValueError for the first block of a stack.
    """
    kept = copy.deepcopy(network)
    counts = {}
    for stack, count in STACKS.items():
        left: list[ResidualBlock] = []
        for name, block in kept.get_submodule(stack).named_children():
            assert isinstance(block, ResidualBlock)
            if f"{stack}.{name}" not in blocks:
                left.append(block)
            elif left:
                left[-1].conv2.get_parameter("bias").add_(block.conv2.get_parameter("bias"))
            else:
                raise ValueError(f"{stack}.{name} is the first of its stack, which has to stay")
        kept.set_submodule(stack, nn.Sequential(*left))
        counts[count] = len(left)
    smaller = Autoencoder(dataclasses.replace(network.config, **counts))
    smaller.load_state_dict(kept.state_dict())
    return smaller.train(network.training)
