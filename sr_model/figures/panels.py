"""Pictures side by side, each under its caption."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

BACKGROUND, INK, QUIET, BORDER = "#fafafa", "#1f2328", "#5b6470", "#c4c8cd"
GAP = 16


@dataclass(frozen=True)
class Panel:
    """A picture with a title above it and details in one or more smaller lines."""

    image: Image.Image
    title: str
    detail: str


def grid(rows: Sequence[Sequence[Panel]], size: int = 16) -> Image.Image:
    """Rows of as many panels each, in columns as wide as their widest panel or line; `size` is that of titles."""
    title_font, detail_font = ImageFont.load_default(size), ImageFont.load_default(round(size * 0.82))
    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    drop, spacing = round(size * 1.35), size // 4  # from title to detail, between the detail's lines

    def detail_box(panel: Panel) -> tuple[float, float, float, float]:
        return ruler.multiline_textbbox((0, 0), panel.detail, detail_font, spacing=spacing)

    def needed(panel: Panel) -> int:
        return math.ceil(max(panel.image.width, title_font.getlength(panel.title), detail_box(panel)[2]))

    widths = [max(map(needed, column)) for column in zip(*rows, strict=True)]
    captions = [math.ceil(max(drop + detail_box(panel)[3] for panel in panels)) + size // 2 for panels in rows]
    heights = [max(panel.image.height for panel in panels) for panels in rows]
    width = GAP + sum(column + GAP for column in widths)
    sheet = Image.new("RGB", (width, GAP + sum(captions) + sum(heights) + GAP * len(rows)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for panels, caption, height in zip(rows, captions, heights, strict=True):
        left = GAP
        for panel, column in zip(panels, widths, strict=True):
            draw.text((left, top), panel.title, INK, title_font)
            draw.multiline_text((left, top + drop), panel.detail, QUIET, detail_font, spacing=spacing)
            w, h = panel.image.size
            draw.rectangle((left - 1, top + caption - 1, left + w, top + caption + h), outline=BORDER)
            sheet.paste(panel.image, (left, top + caption))
            left += column + GAP
        top += caption + height + GAP
    return sheet
