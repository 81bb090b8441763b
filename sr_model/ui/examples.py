"""The example photos of the page, with their credits."""

import base64
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sr_model.imaging import images

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
    """The photos in `source` that have a focus in its credits.json, in that order, copied into `folder`.

    The focus is the point (x, y as fractions of the sides) that the viewer centres on first.
    """
    credits_file = source / "credits.json"
    credit_of = json.loads(credits_file.read_text(encoding="utf-8")) if credits_file.exists() else {}
    found = {}
    for name, entry in credit_of.items():
        if "focus" not in entry or not (source / name).exists():
            continue
        path = folder / "examples" / name
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(source / name, path)
        credit = f"{entry['author']}, {entry['licence']}"
        found[name] = Example(path, entry["title"], credit, _thumb(path), tuple(entry["focus"]))
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
