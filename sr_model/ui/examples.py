"""The example photos of the page, with their credits."""

import base64
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sr_model.imaging import images

# The examples in the order shown, with the point (x, y as fractions of the sides) that the viewer centres on first.
FOCUS = {
    "chelsea.png": (0.42, 0.38),
    "raccoon.png": (0.52, 0.36),
    "astronaut.png": (0.43, 0.22),
    "coffee.png": (0.5, 0.35),
    "china.jpg": (0.36, 0.4),
    "rocket.jpg": (0.5, 0.5),
}
THUMB = (264, 176)  # pixels


@dataclass(frozen=True)
class Example:
    """A photo that visitors can try."""

    path: Path  # within the folder of uploads, so that it can be opened like one
    title: str
    credit: str
    thumb: str  # data URL
    focus: tuple[float, float]


def load_examples(source: Path, folder: Path) -> dict[str, Example]:
    """The photos of FOCUS that are in `source` and have a credit in its credits.json, copied into `folder`."""
    credits_file = source / "credits.json"
    credit_of = json.loads(credits_file.read_text(encoding="utf-8")) if credits_file.exists() else {}
    found = {}
    for name, focus in FOCUS.items():
        if name not in credit_of or not (source / name).exists():
            continue
        path = folder / "examples" / name
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(source / name, path)
        entry = credit_of[name]
        credit = f"{entry['author']}, {entry['licence']}"
        found[name] = Example(path, entry["title"], credit, _thumb(path), focus)
    return found


def _thumb(path: Path) -> str:
    image = images.open_image(path).convert("RGB")
    w, h = image.size
    factor = max(THUMB[0] / w, THUMB[1] / h)
    image = image.resize((round(w * factor), round(h * factor)), Image.Resampling.LANCZOS)
    left, top = (image.width - THUMB[0]) // 2, (image.height - THUMB[1]) // 2
    image = image.crop((left, top, left + THUMB[0], top + THUMB[1]))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
