"""What a run may begin with: the weights of another one."""

from pathlib import Path

from torch import Tensor, nn

from sr_model import presets, weights
from sr_model.errors import ConfigError, WeightsError
from sr_model.networks import Network
from sr_model.quantization import is_quantized
from sr_model.weights import Card


def find(source: str, preset: str, scale: int) -> tuple[Network, Card]:
    """The network that --init names: a preset ("base", "base-x2"), a folder of weights, or a .safetensors file.

    Of a preset or folder the weights of `scale` are taken or, where there are none, the nearest scale's. Raises
    WeightsError and ConfigError.
    """
    path = Path(source)
    if path.suffix == ".safetensors":
        name, _, number = path.stem.rpartition("-x")
        if not number.isdecimal():
            raise ConfigError(f"--init {source}: a file of weights is named <preset>-x<scale>.safetensors.")
        return weights.load(name, int(number), path.parent)
    if path.is_dir():
        return _nearest(source, preset, scale, path)
    name, _, number = source.rpartition("-x")
    if name in presets.PRESETS and number.isdecimal():
        return weights.load(name, int(number))
    if source in presets.PRESETS:
        return _nearest(source, source, scale, weights.SHIPPED)
    raise ConfigError(
        f"--init {source}: there is no such folder, .safetensors file or preset. Presets: {', '.join(presets.PRESETS)}."
    )


def _nearest(source: str, preset: str, scale: int, folder: Path) -> tuple[Network, Card]:
    scales = [s for name, s in weights.available(folder) if name == preset]
    if not scales:
        have = ", ".join(weights.name(*entry) for entry in weights.available(folder)) or "none"
        raise WeightsError(f"--init {source}: there are no weights of {preset}; there are: {have}.")
    return weights.load(preset, min(scales, key=lambda s: abs(s - scale)), folder)


def transfer(source: nn.Module, target: nn.Module) -> tuple[list[str], list[str]]:
    """Copy every tensor that both have in one shape; return the names (taken, left as they were).

    Raises ConfigError where nothing fits, and for 8-bit weights.
    """
    if is_quantized(source):
        raise ConfigError("--init: 8-bit weights cannot be trained on; begin with those that they were made of.")
    given: dict[str, Tensor] = source.state_dict()
    wanted: dict[str, Tensor] = target.state_dict()
    taken = [name for name, value in wanted.items() if name in given and given[name].shape == value.shape]
    left = [name for name in wanted if name not in taken]
    if not taken:
        raise ConfigError("--init: these weights are of another network; none of them fits.")
    target.load_state_dict({name: given[name] for name in taken}, strict=False)
    return taken, left
