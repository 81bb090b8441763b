"""What goes on inside a network: its five panels of a picture, the channels of its latent, and its drawing."""

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from sr_model import networks
from sr_model.errors import ConfigError
from sr_model.evaluation.comparison import shrink_picture
from sr_model.figures.latent import channel_sheet
from sr_model.figures.sheets import panel_rows
from sr_model.imaging import fitting, images
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.networks.architecture import shape_text
from sr_model.networks.presets import find
from sr_model.ui.cache import Store, file_data
from sr_model.ui.jobs import planning, sizing
from sr_model.ui.jobs.planning import Settings
from sr_model.ui.limits import MAX_PIXELS
from sr_model.ui.upscalers import Upscalers

PANELS, LATENT = "panels", "latent"
MOST = 1_000_000  # pixels of the picture; of a larger one a smaller copy is looked at
_drawing = threading.Lock()  # matplotlib's settings are global


@dataclass(frozen=True)
class Subject:
    """A network, and the picture that is its truth: shrunk and enlarged again by it."""

    upscaler: Upscaler
    truth: Picture
    name: str


def look(kind: Any, path: Path, settings: Settings, upscalers: Upscalers, store: Store) -> dict[str, Any]:
    """What the page shows of PANELS or LATENT. Raises ConfigError and ImageError with sentences for the visitor."""
    if kind not in (PANELS, LATENT):
        raise ConfigError("Please choose the five panels or the latent.")
    subject = _subject(path, settings, upscalers)
    folder = store.new_folder()
    if kind == PANELS:
        return {"kind": kind, "name": subject.name, "rows": _panels(subject, store, folder)}
    return {"kind": kind, "name": subject.name, **_latent(subject, store, folder)}


def network_of(preset: Any, scale: Any, upscalers: Upscalers) -> tuple[str, int]:
    """(preset, scale) of the weights that work for a choice; those of the largest scale for a size in pixels.

    Raises ConfigError for what is not offered.
    """
    scales = upscalers.scales(preset) if isinstance(preset, str) else []
    if not scales:
        raise ConfigError("There is no such network.")
    times = max(scales) if scale == planning.OTHER_SIZE else planning.as_scale(scale)
    return preset, times if times in scales else sizing.next_scale(times, scales)


@lru_cache(maxsize=32)
def drawing(preset: str, scale: int, folder: Path) -> bytes:
    """The drawing of a network as SVG."""
    from sr_model.figures.diagram import draw  # matplotlib takes a second to load

    card = weights.read_card(preset, scale, folder)
    network = networks.build(networks.read_config(card.architecture, card.config))
    with _drawing:
        return draw(network, "network", f"{preset} ×{scale}").svg()


def _subject(path: Path, settings: Settings, upscalers: Upscalers) -> Subject:
    preset, scale = network_of(settings.preset, settings.scale, upscalers)
    picture = images.load(path, MAX_PIXELS)
    w, h = picture.size
    factor = (MOST / (w * h)) ** 0.5
    if factor < 1:
        picture = fitting.fit(picture, (max(1, round(w * factor)), max(1, round(h * factor))))
    upscaler = upscalers.get(preset, scale)
    name = f"{find(preset).title} {scale}x"
    if upscaler.mixed:  # its latent is that of one strength
        low, _ = shrink_picture(picture, scale)
        asked = planning.strength_asked(settings)
        strength = upscaler.strength_of(low) if asked is None else asked
        network, _ = weights.load(preset, scale, upscalers.place.folder, strength)
        upscaler = Upscaler(network, upscalers.device.type, engine="torch")
        name = f"{name} · {strength:.0%}"
    return Subject(upscaler, picture, name)


def _panels(subject: Subject, store: Store, folder: Path) -> list[list[dict[str, Any]]]:
    rows = []
    for y, panels in enumerate(panel_rows(subject.upscaler, subject.truth, subject.name)):
        row = []
        for x, panel in enumerate(panels):
            if x != 2 and not subject.truth.grey:  # the latent's colours are nobody's
                panel.image.info["icc_profile"] = subject.truth.icc_profile
            picture = _written(panel.image, store, folder / f"panel-{y}-{x}.webp")
            row.append({**picture, "title": panel.title, "detail": panel.detail})
        rows.append(row)
    return rows


def _latent(subject: Subject, store: Store, folder: Path) -> dict[str, Any]:
    low, _ = shrink_picture(subject.truth, subject.upscaler.scale)  # at scale 1, enlarged again
    sheet, shape = channel_sheet(subject.upscaler.model, low.pixels)
    picture = _written(Image.fromarray(sheet), store, folder / "latent.webp")
    return {**picture, "shape": shape_text(shape), "count": shape[0]}


def _written(image: Image.Image, store: Store, path: Path) -> dict[str, Any]:
    store.write(path, images.encode(image, ".webp"))
    return {"file": file_data(path), "width": image.width, "height": image.height}
