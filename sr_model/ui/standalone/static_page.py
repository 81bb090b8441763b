"""Writes the page without a server."""

import hashlib
import html
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sr_model.errors import ConfigError, WeightsError
from sr_model.exporting.formats import export
from sr_model.models import places, weights
from sr_model.networks.presets import INT8
from sr_model.ui.device import offered
from sr_model.ui.examples import load_examples
from sr_model.ui.jobs import maps
from sr_model.ui.limits import MAX_BYTES, MAX_PIXELS, MAX_RESULT_PIXELS
from sr_model.ui.serving.assets import UI

STATIC = Path(__file__).parent / "static"
EXAMPLES = UI.parents[1] / "examples"  # in a checkout
STYLES = ("standalone/static/standalone.css", "parts/page.css", "viewer/viewer.css", "device/device.css")
ICON_SIDES = (192, 512)
NAME = "Super-resolution autoencoder"
# The front matter makes a static Space of the folder.
README = f"""---
title: {NAME}
emoji: 🔍
colorFrom: gray
colorTo: blue
sdk: static
app_file: index.html
short_description: Enlarges pictures in the visitor's own browser
license: mit
---

# {NAME}

Enlarges pictures in the visitor's own browser: nothing is uploaded. Written by `python -m sr_model export --page`. Any
web server can serve this folder, below any path. Offline use needs HTTPS or localhost.

ONNX Runtime Web in `app/device/runtime/` is by Microsoft, under the MIT licence beside it.
"""


def write(folder: Path, preset: str = "nano", where: str | os.PathLike = weights.SHIPPED) -> None:
    """Write a page that enlarges by a preset, at each scale that it has weights for, without a server.

    An earlier page in `folder` is replaced. `where` is what `places.locate` takes. Raises ConfigError for a folder of
    other files and for 8-bit presets, WeightsError and HubError.
    """
    if preset.endswith(INT8):
        raise ConfigError(f"Browsers run {preset} slower than {preset.removesuffix(INT8)}: choose that.")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "service.js").exists())):
        raise ConfigError(f"{folder} is not empty. Name a new folder, or one that holds an earlier page.")
    networks = _networks(folder, preset, where)
    code = _copy_code(folder)
    setup = {
        "networks": networks,
        "device": {
            "megabytes": offered.runtime_megabytes(),
            "limits": {"pixels": MAX_PIXELS, "resultPixels": MAX_RESULT_PIXELS},
            "stops": list(maps.STOPS),
        },
        "maxBytes": MAX_BYTES,
        "examples": _examples(folder),
    }
    _write(folder / "index.html", _index(setup))
    _icons(folder)
    _write(folder / "manifest.json", json.dumps(_manifest(), indent=2))
    _write(folder / "README.md", README)
    _write(folder / "service.js", _service(folder, code, setup))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _networks(folder: Path, preset: str, where: str | os.PathLike) -> list[dict[str, Any]]:
    """The networks' files and descriptions; returns what the page knows of them."""
    place = places.locate(where, [f"{preset}-x*"])
    scales = [scale for name, scale in weights.available(place.folder) if name == preset]
    if not scales:
        raise WeightsError(f"There are no weights of {preset} in {place}.")
    for scale in scales:
        name = weights.name(preset, scale)
        export(preset, scale, folder / f"networks/{name}.onnx", half=True, body=True, where=where)
        held = places.locate(where, [name]).folder
        description = offered.describe(preset, scale, held, f"{name}.onnx")
        _write(folder / f"networks/{name}.json", json.dumps(description))
    listed = offered.listed(
        [(preset, scale) for scale in scales], lambda *choice: f"networks/{weights.name(*choice)}.json"
    )
    return [{**each, "everywhere": True} for each in listed]  # there is no server that would be quicker


def _copy_code(folder: Path) -> list[str]:
    """The page's scripts, styles and words and the runtime, as they are; returns their paths."""
    paths = [path for path in sorted(UI.rglob("*")) if path.suffix in (".js", ".json", ".css", ".gz", ".LICENCE")]
    copied = []
    for path in paths:
        if path.name == "service.js":
            continue
        target = folder / "app" / path.relative_to(UI)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        copied.append(target.relative_to(folder).as_posix())
    return copied


def _examples(folder: Path) -> list[dict[str, Any]]:
    """Photos to try, where this is a checkout; those that browsers refuse for their colours are left out."""
    found = load_examples(EXAMPLES, folder)
    for name, example in list(found.items()):
        profile = Image.open(example.path).info.get("icc_profile")
        if profile and b"sRGB" not in profile:
            found.pop(name).path.unlink()
    return [
        {
            "name": name,
            "title": example.title,
            "credit": example.credit,
            "thumb": example.thumb,
            "file": {"url": example.path.relative_to(folder).as_posix()},
        }
        for name, example in found.items()
    ]


def _index(setup: dict[str, Any]) -> str:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    styles = "\n".join(f'<link rel="stylesheet" href="app/{html.escape(path)}">' for path in STYLES)
    # Within a script element only "<" could end it early.
    parts = {"styles": styles, "setup": json.dumps(setup, ensure_ascii=False).replace("<", "\\u003c")}
    for path in UI.glob("*/*.html"):
        name = path.relative_to(UI).with_suffix("").as_posix()
        parts[name] = path.read_text(encoding="utf-8")
    for name, content in parts.items():
        text = text.replace(f"<!-- {name} -->", content)
    return text


def _icons(folder: Path) -> None:
    """A disc, its left half of few pixels."""
    small = _disc(10).resize((512, 512), Image.Resampling.NEAREST)
    large = _disc(512)
    large.paste(small.crop((0, 0, 256, 512)))
    for side in ICON_SIDES:
        large.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"icon-{side}.png")


def _disc(side: int) -> Image.Image:
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    cover = np.clip((0.38 - np.hypot(x, y)) * side + 0.5, 0, 1)[..., None]
    shade = np.clip(x + y + 0.5, 0, 1)[..., None]
    colour = np.array([147, 197, 253]) * (1 - shade) + np.array([37, 99, 235]) * shade
    return Image.fromarray((np.array([11, 15, 25]) * (1 - cover) + colour * cover).astype(np.uint8))


def _manifest() -> dict[str, Any]:
    return {
        "name": NAME,
        "short_name": "Enlarge",
        "description": "Enlarge pictures in the browser, beside bicubic",
        "id": "./",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#0b0f19",
        "theme_color": "#0b0f19",
        "icons": [
            {"src": f"icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png", "purpose": "any maskable"}
            for side in ICON_SIDES
        ],
    }


def _service(folder: Path, code: list[str], setup: dict[str, Any]) -> str:
    """The service worker, which knows all files by name and their content by a digest."""
    networks = [f"networks/{path.name}" for path in sorted((folder / "networks").iterdir())]
    examples = [each["file"]["url"] for each in setup["examples"]]
    runtime = [path for path in code if "/runtime/" in path and not path.endswith(".LICENCE")]
    scripts = [path for path in code if "/runtime/" not in path]
    icons = [f"icon-{side}.png" for side in ICON_SIDES]
    first = ["", "manifest.json", *icons, *scripts, *networks, *examples[:1]]  # the first one is shown at once
    later = [*runtime, *examples[1:]]
    digest = hashlib.sha256()
    for path in (*first[1:], *later, "index.html"):
        digest.update((folder / path).read_bytes())
    names = f"const VERSION = {json.dumps(digest.hexdigest()[:12])};\n"
    names += f"const FIRST = {json.dumps(first)};\nconst LATER = {json.dumps(later)};\n\n"
    return names + (STATIC / "service.js").read_text(encoding="utf-8")
