"""Sheets of panels: what goes into a network, what comes out, and what it should have been."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from sr_model.data import Photo
from sr_model.degrading import degradations
from sr_model.evaluation.comparison import SOFTENED, compare, shrink_picture
from sr_model.figures.latent import Colours, Latent, latent_of, latent_step
from sr_model.figures.panels import Panel, grid
from sr_model.imaging import images
from sr_model.imaging.images import Picture, to_pil
from sr_model.imaging.tiles import Region
from sr_model.inference.upscaler import Upscaler, enlarge_bicubic
from sr_model.networks import Network
from sr_model.networks.architecture import shape_text

BOX = 480  # pixels; no panel of `five_panels` is wider or higher
MOST_MAGNIFIED = 12  # times: magnification of tiny pictures
ZOOM = 4  # times: magnification of the part shown below the whole
LEAST_SHOWN = 120  # pixels that even the smallest picture is magnified to
LEAST_PART = 24  # pixels of the truth


def five_panels(
    network: Network | Upscaler, picture: Picture, name: str = "autoencoder", box: int = BOX
) -> Image.Image:
    """The panels of `panel_rows` on a sheet, each under its title and details.

    Raises ImageError if a side is shorter than the scale, or than 2 pixels.
    """
    sheet = grid(panel_rows(network, picture, name, box), size=24)
    if picture.icc_profile and not picture.grey:
        sheet.info["icc_profile"] = picture.icc_profile
    return sheet


def panel_rows(
    network: Network | Upscaler, picture: Picture, name: str = "autoencoder", box: int = BOX
) -> list[list[Panel]]:
    """Input, bicubic, latent, output and ground truth of a picture that is shrunk and enlarged again by `name`.

    The picture is the truth, flattened onto white and cropped to a multiple of the scale; a network of scale 1 gets it
    shrunk twofold and enlarged back by bicubic. Below the titles are the sizes and, for bicubic and output, Y-PSNR and
    SSIM by `evaluation.compare`. The latent is shown by its first three principal components. No panel is larger than
    box x box pixels; unless the whole is magnified already, a second row shows the part in which bicubic errs most,
    ZOOM times as large. Raises ImageError if a side is shorter than the scale, or than 2 pixels.
    """
    upscaler = _upscaler(network)
    times = upscaler.scale if upscaler.scale > 1 else SOFTENED
    low, truth = shrink_picture(picture, times)
    ways = _Ways(upscaler, low, truth, name)
    w, h = truth.size
    shown = _fitted(w, h, box)
    reduce = max(1, max(w, h) // ways.step // box)  # a box cannot show more pixels of the latent
    latent = ways.latent(ways.whole, reduce)
    colours = Colours.of(latent.values)
    rows = [ways.panels(ways.whole, latent, colours, shown)]
    region = _telling_part(ways, shown)
    if shown[0] < w * ZOOM / 2 and region != ways.whole:
        enlarged = (region.right - region.left) * ZOOM, (region.bottom - region.top) * ZOOM
        rows.append(ways.panels(region, ways.latent(region), colours, enlarged, "framed part, "))
        _draw_frame(rows[0][-1].image, region, shown[0] / w)
    return rows


def sample_sheet(model: Network, photos: Sequence[Photo], side: int = 288) -> Image.Image:
    """A row for each photo, of its central side x side pixels of high resolution, as training writes after validation.

    The five panels of `five_panels`, or at scale 1 low, original and prediction. Y-PSNR (dB) and SSIM are those of the
    part shown.
    """
    upscaler = _upscaler(model)
    rows = []
    for photo in photos:
        ways = _Ways(upscaler, Picture(photo.low), Picture(photo.high))
        region = _central_part(ways, side)
        size = region.right - region.left, region.bottom - region.top
        latent = ways.latent(region)
        panels = ways.panels(region, latent, Colours.of(latent.values), size)
        if model.scale == 1:
            _, low, _, output, truth = panels
            panels = [replace(low, title="low"), replace(truth, title="original"), replace(output, title="prediction")]
        rows.append(panels)
    return grid(rows)


class _Ways:
    """All versions of a picture: low resolution, bicubic, latent, output, truth."""

    def __init__(self, upscaler: Upscaler, low: Picture, truth: Picture, name: str = "autoencoder") -> None:
        """`low` is what the first panel shows; a network of scale 1 gets it enlarged by bicubic."""
        self.upscaler = upscaler
        self.name = name
        self.times = truth.size[0] // low.size[0]
        self.low, self.truth = low, truth
        self.bicubic = enlarge_bicubic(low, self.times)
        self.entering = low if upscaler.scale > 1 else self.bicubic
        self.output = upscaler(self.entering)
        self.step = latent_step(upscaler.model)
        # Regions of the truth on this grid consist of whole pixels of `low` and of the latent.
        self.multiple = math.lcm(upscaler.model.stride * upscaler.scale, self.times)

    @property
    def whole(self) -> Region:
        w, h = self.truth.size
        return Region(0, 0, h, w)

    def latent(self, region: Region, reduce: int = 1) -> Latent:
        """The latent of a region of the truth."""
        return latent_of(self.upscaler.model, self.entering.pixels, _divided(region, self.upscaler.scale), reduce)

    def panels(
        self, region: Region, latent: Latent, colours: Colours, shown: tuple[int, int], of: str = ""
    ) -> list[Panel]:
        """The five panels of a region of the truth, each shown at the size `shown`, (width, height)."""
        size = region.right - region.left, region.bottom - region.top
        truth = _cut(self.truth, region)

        def panel(title: str, image: Image.Image, detail: str, times: int = 1) -> Panel:
            return Panel(_shown(image, times, size, shown), title, detail)

        def judged(title: str, picture: Picture) -> Panel:
            part = _cut(picture, region)
            psnr, ssim = compare(part, truth, self.upscaler.scale)
            return panel(title, _image(part), f"{of}{shape_text(size)}\nY-PSNR {psnr:.2f} dB, SSIM {ssim:.4f}")

        small = _cut(self.low, _divided(region, self.times))
        titles = "input", "bicubic"
        if self.upscaler.scale == 1:
            titles = f"shrunk {self.times} times", "bicubic: the input"
        return [
            panel(titles[0], _image(small), of + shape_text(small.size), self.times),
            judged(titles[1], self.bicubic),
            panel(
                "latent",
                Image.fromarray(colours.paint(latent.values)),
                f"{of}{shape_text(latent.shape)}\nfirst 3 principal components",
                self.step * latent.reduced,
            ),
            judged(f"{self.name} output", self.output),
            panel("ground truth", _image(truth), of + shape_text(size)),
        ]


def _upscaler(network: Network | Upscaler) -> Upscaler:
    return (
        network
        if isinstance(network, Upscaler)
        else Upscaler(network, next(network.parameters()).device.type, engine="torch")
    )


def _divided(region: Region, by: int) -> Region:
    return Region(region.top // by, region.left // by, region.bottom // by, region.right // by)


def _cut(picture: Picture, region: Region) -> Picture:
    return replace(picture, pixels=picture.pixels[region.top : region.bottom, region.left : region.right])


def _image(picture: Picture) -> Image.Image:
    return to_pil(replace(picture, icc_profile=None)).convert("RGB")  # the sheet has a single profile


def _shown(image: Image.Image, times: int, size: tuple[int, int], shown: tuple[int, int]) -> Image.Image:
    """Repeat pixels `times`, crop to `size`, resize to `shown`, (width, height): up by repeating, down smoothly."""
    if times > 1:
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST).crop((0, 0, *size))
    if shown[0] >= size[0] and shown[1] >= size[1]:
        return image.resize(shown, Image.Resampling.NEAREST)
    return image.resize(shown, Image.Resampling.LANCZOS, reducing_gap=3)


def _fitted(w: int, h: int, box: int) -> tuple[int, int]:
    """(width, height) that fits the box: small pictures are magnified by a whole number, large ones shrunk."""
    longest = max(w, h)
    if longest <= box:
        times = min(box // longest, max(MOST_MAGNIFIED, LEAST_SHOWN // longest))
        return w * times, h * times
    return max(1, round(w * box / longest)), max(1, round(h * box / longest))


def _central_part(ways: _Ways, side: int) -> Region:
    """The central side x side pixels, or all there are."""
    w, h = ways.truth.size
    m = ways.multiple
    ch, cw = (length if length <= side else side // m * m for length in (h, w))
    top, left = (h - ch) // 2 // m * m, (w - cw) // 2 // m * m
    return Region(top, left, top + ch, left + cw)


def _telling_part(ways: _Ways, shown: tuple[int, int]) -> Region:
    """The region in which bicubic errs most, of about the size `shown` when magnified ZOOM times."""
    m = ways.multiple
    w, h = ways.truth.size
    cw, ch = (min(max(s // ZOOM, LEAST_PART), n) // m * m or n for s, n in zip(shown, (w, h), strict=True))
    # The squared error of green, which dominates luma, summed over the squares of the grid.
    my, mx = min(m, h), min(m, w)
    rows = []
    for top in range(0, h - h % my, my):
        here = slice(top, top + my), slice(0, w - w % mx), 1
        error = (ways.bicubic.pixels[here].astype(np.int32) - ways.truth.pixels[here]) ** 2
        rows.append(error.sum(axis=0).reshape(-1, mx).sum(axis=1))
    total = np.pad(np.cumsum(np.cumsum(np.stack(rows), axis=0), axis=1), ((1, 0), (1, 0)))
    ny, nx = ch // my, cw // mx
    sums = total[ny:, nx:] - total[:-ny, nx:] - total[ny:, :-nx] + total[:-ny, :-nx]
    y, x = np.unravel_index(np.argmax(sums), sums.shape)
    top, left = int(y) * my, int(x) * mx
    return Region(top, left, top + ch, left + cw)


def _draw_frame(image: Image.Image, region: Region, ratio: float) -> None:
    """Draw a frame around a region, black and white so that it is visible on every colour."""
    left, top, right, bottom = (round(side * ratio) for side in (region.left, region.top, region.right, region.bottom))
    left, top = max(left, 3), max(top, 3)
    right, bottom = min(right, image.width - 3), min(bottom, image.height - 3)
    if right > left and bottom > top:
        draw = ImageDraw.Draw(image)
        draw.rectangle((left - 1, top - 1, right, bottom), outline="black")
        draw.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline="white", width=2)


def degradation_sheet(picture: Picture, scale: int, seed: int, count: int = 8, side: int = 384) -> Image.Image:
    """The centre of a picture and `count` low resolutions of it by `photo`, each with the steps that were drawn.

    `side` is the side of the high resolution that is shown, in pixels. The low ones are enlarged by repeating pixels.
    The captions give the width of a resize, the sigmas of a blur in pixels of the picture at that step, and of noise
    the shot noise (levels of 255) + read noise (thousandths of white).
    """
    w, h = picture.size
    cw, ch = (min(side, n) // scale * scale for n in (w, h))
    left, top = (w - cw) // 2, (h - ch) // 2
    high = images.to_tensor(images.without_alpha(picture).pixels[top : top + ch, left : left + cw])
    panels = [Panel(Image.fromarray(images.to_array(high)), "original", f"{cw}x{ch}")]
    for i in range(count):
        steps = degradations.draw(ch, cw, scale, np.random.default_rng((seed, i)))
        low = Image.fromarray(images.to_array(degradations.apply(high, steps)))
        half = (len(steps) + 1) // 2
        lines = [", ".join(map(str, part)) for part in (steps[:half], steps[half:])]
        panels.append(Panel(low.resize((cw, ch), Image.Resampling.NEAREST), lines[0] or "clean", lines[1]))
    return grid([panels[i : i + 3] for i in range(0, len(panels), 3)])
