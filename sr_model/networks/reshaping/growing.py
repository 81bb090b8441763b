"""A larger plain network that computes what a smaller one does, to train it further from there (Net2Net)."""

import torch
from torch import nn

from sr_model.networks.plain import PlainAutoencoder, PlainConfig


def can_grow(small: PlainConfig, large: PlainConfig) -> bool:
    """Whether `large` has at least as many channels and layers as `small` everywhere, and more somewhere."""
    pairs = [
        (small.width, large.width),
        (small.latent_width, large.latent_width),
        (small.encoder_layers, large.encoder_layers),
        (small.latent_layers, large.latent_layers),
        (small.decoder_layers, large.decoder_layers),
    ]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@torch.no_grad()
def grow(small: PlainAutoencoder, large: PlainAutoencoder) -> list[str]:
    """Make `large`, just initialised, compute the function of `small`; return the names of tensors that stay new.

    The first channels of each layer become those of `small` and ignore the others, which start at random and are read
    only by one another. Additional layers pass the first channels on (Chen et al. 2016). At another scale the tail
    stays new. Raises ValueError where `large` has fewer channels or layers somewhere.
    """
    if not can_grow(small.config, large.config):
        raise ValueError(f"{large.config} is not larger than {small.config}")
    new = []
    sources = {name: module for name, module in small.named_modules() if isinstance(module, nn.Conv2d)}
    for name, conv in large.named_modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        source = sources.get(name)
        if source is None:
            width = small.config.latent_width if "latent_layers" in name else small.config.width
            conv.weight[:width] = nn.init.dirac_(torch.empty_like(conv.weight))[:width]
        elif small.scale != large.scale and name == "decoder.tail.0":
            new += [f"{name}.weight", f"{name}.bias"]
        else:
            outputs, inputs = source.weight.shape[:2]
            conv.weight[:outputs] = 0
            conv.weight[:outputs, :inputs] = source.weight
            conv.get_parameter("bias")[:outputs] = source.get_parameter("bias")
    return new
