"""Write the figures of a preset to files."""

import os
from pathlib import Path

from sr_model import networks
from sr_model.errors import ConfigError
from sr_model.figures.diagram import TITLES, draw
from sr_model.figures.sheets import five_panels
from sr_model.imaging import images
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.networks import presets
from sr_model.system.files import write_atomically


def write_architecture(preset: str, scale: int, folder: str | os.PathLike, options: str = "") -> list[Path]:
    """Draw the encoder, the decoder and the complete network of a preset, with `options` as in `presets.config`.

    Returns <preset>-x<scale>-encoder|decoder|network .svg and .png in `folder`, which is created if missing. Raises
    ConfigError for unknown names, invalid options, and a folder that cannot be written.
    """
    network = networks.build(presets.config(preset, scale, options))
    changed = ", ".join(part.strip() for part in options.split(",") if part.strip())
    title = f"{preset} ×{scale}" + (f" ({changed})" if changed else "")
    paths = []
    for part in TITLES:
        page = draw(network, part, title)
        for suffix, data in ((".svg", page.svg()), (".png", page.png())):
            path = Path(folder) / f"{weights.name(preset, scale)}-{part}{suffix}"
            _write(path, data)
            paths.append(path)
    return paths


def write_panels(
    preset: str,
    scale: int,
    image_path: str | os.PathLike,
    folder: str | os.PathLike,
    weights_folder: str | os.PathLike = weights.SHIPPED,
    device: str = "auto",
) -> Path:
    """Write the five panels of a picture for the weights of a preset, as <preset>-x<scale>-<picture's name>.png.

    Raises WeightsError if there are no such weights, ImageError for pictures that cannot be read or are too small,
    ConfigError for unknown names and a folder that cannot be written.
    """
    upscaler = Upscaler.from_preset(preset, scale, device, weights_folder)
    sheet = five_panels(upscaler, images.load(image_path), f"{preset} x{scale}")
    path = Path(folder) / f"{weights.name(preset, scale)}-{Path(image_path).stem}.png"
    _write(path, images.encode(sheet))
    return path


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from None
