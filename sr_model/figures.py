"""Pictures that explain: rows of samples with their names, sizes and figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont

from sr_model import images
from sr_model.data import Photo
from sr_model.degrade import enlarge
from sr_model.metrics import score
from sr_model.networks import Network

BACKGROUND = (128, 128, 128)  # neutral grey, on which pictures are judged
GAP = 12
CAPTION = 44


@dataclass(frozen=True)
class Panel:
    """A picture with a title above it and a second, quieter line."""

    image: Image.Image
    title: str
    detail: str


def row(panels: Sequence[Panel]) -> Image.Image:
    """Panels of one size side by side on grey, each under its caption."""
    w, h = panels[0].image.size
    sheet = Image.new("RGB", (GAP + len(panels) * (w + GAP), CAPTION + h + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for i, panel in enumerate(panels):
        left = GAP + i * (w + GAP)
        draw.text((left, 6), panel.title, "white", ImageFont.load_default(16))
        draw.text((left, 25), panel.detail, (225, 225, 225), ImageFont.load_default(13))
        sheet.paste(panel.image, (left, CAPTION))
    return sheet


def stack(rows: Sequence[Image.Image]) -> Image.Image:
    """Rows below one another, on grey."""
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), BACKGROUND)
    top = 0
    for r in rows:
        sheet.paste(r, (0, top))
        top += r.height
    return sheet


def sample_sheet(model: Network, photos: Sequence[Photo], side: int = 288) -> Image.Image:
    """A row for each photo: low, bicubic, prediction, original, with Y-PSNR (dB) and SSIM of the part that is shown.

    Shown are the central side x side pixels of the high resolution; `low` is enlarged by repeating its pixels.
    """
    device = next(model.parameters()).device
    rows = []
    for photo in photos:
        scale = model.scale
        low, high = images.to_tensor(photo.low).to(device), images.to_tensor(photo.high).to(device)
        with torch.inference_mode():
            predicted = model(low)
        h, w = high.shape[-2:]
        ch, cw = (min(side, n) // scale * scale for n in (h, w))
        top, left = ((n - c) // 2 // scale * scale for n, c in ((h, ch), (w, cw)))
        small = low[..., top // scale : (top + ch) // scale, left // scale : (left + cw) // scale]

        blocks = _image(small).resize((cw, ch), Image.Resampling.NEAREST)
        panels = [Panel(blocks, "low", f"{cw // scale}x{ch // scale}")]
        reference = high[..., top : top + ch, left : left + cw]
        for title, result in (("bicubic", enlarge(low, scale)), ("prediction", predicted)):
            part = result[..., top : top + ch, left : left + cw]
            psnr, ssim = score(part, reference, scale)
            panels.append(Panel(_image(part), title, f"{cw}x{ch}  {psnr:.2f} dB  {ssim:.4f}"))
        panels.append(Panel(_image(reference), "original", f"{cw}x{ch}"))
        rows.append(row(panels))
    return stack(rows)


def _image(x: torch.Tensor) -> Image.Image:
    return Image.fromarray(images.to_array(x))
