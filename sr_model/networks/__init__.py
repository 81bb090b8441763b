"""All networks. Each implements `base.Network`: tensors in, tensors out, no files."""

from sr_model.networks.base import SCALES, Network
from sr_model.networks.by_name import ARCHITECTURES, Config, build, name_of, read_config, with_options

__all__ = ["ARCHITECTURES", "SCALES", "Config", "Network", "build", "name_of", "read_config", "with_options"]
