"""The README's first picture: `python -m benchmarks.crop` draws docs/crop.png from a photo in examples/."""

from pathlib import Path

from PIL import Image

from sr_model import Upscaler
from sr_model.evaluation.comparison import shrink_picture
from sr_model.figures.panels import Panel, grid
from sr_model.imaging import images
from sr_model.imaging.images import Picture

ROOT = Path(__file__).parent.parent
PHOTO, CENTRE, SIDE = "astronaut.png", (226, 112), 100  # pixels of the photo
SCALE, ZOOM = 4, 3


def main() -> None:
    low, truth = shrink_picture(images.load(ROOT / "examples" / PHOTO), SCALE)
    *_, last = Upscaler.from_preset("base", SCALE, "cpu").steps(low, with_bicubic=True)
    assert last.result is not None, "an enlargement ends with its pictures"
    assert last.bicubic is not None, "it was asked for"
    w, h = low.size
    panels = [
        Panel(cut(last.bicubic), "Bicubic", f"{w}x{h} enlarged {SCALE} times"),
        Panel(cut(last.result), "This project", f"base x{SCALE}"),
        Panel(cut(truth), "Truth", "what it was shrunk from"),
    ]
    grid([panels]).save(ROOT / "docs" / "crop.png", optimize=True)


def cut(picture: Picture) -> Image.Image:
    """The part that is shown, each pixel a square of ZOOM."""
    x, y = CENTRE
    box = (x - SIDE // 2, y - SIDE // 2, x + SIDE // 2, y + SIDE // 2)
    return images.to_pil(picture).crop(box).resize((SIDE * ZOOM, SIDE * ZOOM), Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
