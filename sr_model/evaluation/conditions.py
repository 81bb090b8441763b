"""Fixed ways in which pictures are degraded for measuring, and a row of figures for each.

Training draws from other seeds, and what is measured here should be none of its pictures.
"""

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from sr_model.degrading.degradation_steps import Blur, Jpeg, Noise, Step, WebP
from sr_model.errors import DataError, ImageError
from sr_model.evaluation.comparison import compare
from sr_model.evaluation.perception import ssimulacra2
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.imaging.metrics import DEFINITION
from sr_model.imaging.resampling import crop_to_multiple, shrink, to_8bit
from sr_model.inference.upscaler import enlarge_bicubic

SEED = 20_261_125  # of the noise, with each picture's name


@dataclass(frozen=True)
class Condition:
    """What happens to the bicubic copy, in order; the last file is read as an upload is, unless it comes `as_png`."""

    steps: tuple[Step, ...] = ()
    noise: float = 0.0  # levels of 255, before the steps but after a blur
    blur: float = 0.0  # sigma in pixels of the low resolution
    as_png: bool = False


# JPEGs are 4:2:0 unless the name says otherwise.
CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "clean": Condition(),
        "jpeg90": Condition((Jpeg(90, True),)),
        "jpeg75": Condition((Jpeg(75, True),)),
        "jpeg50": Condition((Jpeg(50, True),)),
        "jpeg30": Condition((Jpeg(30, True),)),
        "jpeg75-444": Condition((Jpeg(75, False),)),
        "jpeg-twice": Condition((Jpeg(60, True, (3, 5)), Jpeg(85, True))),
        "jpeg50-as-png": Condition((Jpeg(50, True),), as_png=True),
        "webp60": Condition((WebP(60),)),
        "noise5": Condition(noise=5),
        "noise10": Condition(noise=10),
        "noise8-jpeg85": Condition((Jpeg(85, True),), noise=8),
        "blur0.8-jpeg75": Condition((Jpeg(75, True),), blur=0.8),
        "blur1-jpeg75": Condition((Jpeg(75, True),), blur=1.0),
    }
)


@dataclass(frozen=True)
class Figures:
    """PSNR in dB, SSIM and SSIMULACRA2 of the network and of bicubic, for one picture or as the mean of several."""

    psnr: float
    ssim: float
    ssimulacra2: float
    bicubic_psnr: float
    bicubic_ssim: float
    bicubic_ssimulacra2: float


def degrade(reference: Picture, scale: int, condition: str, name: str) -> tuple[Picture, Picture]:
    """(low, reference) under one of CONDITIONS; the reference flattened onto white and cropped to a multiple of scale.

    At scale 1 nothing is shrunk. Raises ImageError if a side is shorter than `scale`.
    """
    w, h = reference.size
    if min(w, h) < scale:
        raise ImageError(f"The picture is {w}x{h}; to be shrunk {scale} times it must be at least {scale}x{scale}.")
    high = crop_to_multiple(images.to_tensor(images.without_alpha(reference).pixels), scale).contiguous()
    low = shrink(high, scale) if scale > 1 else to_8bit(high)
    chosen = CONDITIONS[condition]
    if chosen.blur:
        low = Blur(chosen.blur, chosen.blur, 0.0)(low)
    if chosen.noise:
        low = to_8bit(Noise(chosen.noise, 0.0, False, SEED + zlib.crc32(name.encode()))(low))
    picture = Picture(images.to_array(low))
    for step in chosen.steps:
        assert isinstance(step, Jpeg | WebP), "these are files"
        file = step.file(images.to_tensor(picture.pixels))
        opened = images.load(file)
        pixels = np.ascontiguousarray(opened.pixels[step.shift[0] :, step.shift[1] :])
        picture = Picture(pixels)
        if not chosen.as_png:
            picture = replace(opened, pixels=pixels)
    return picture, Picture(images.to_array(high))


def evaluate_under(
    condition: str,
    enlarge: Callable[[Picture], Picture],
    scale: int,
    folder: str | os.PathLike,
    each: Callable[[str, Figures], None] = lambda name, figures: None,
) -> dict[str, Any]:
    """Figures of every picture below a folder, degraded under one of CONDITIONS and enlarged again.

    Calls `each` with a picture's name and Figures as they come. Returns {"set", "scale", "definition", "degradation",
    "mean", "worse_than_bicubic", "pictures"}; `worse_than_bicubic` is the share of pictures of which bicubic has the
    higher SSIMULACRA2. Raises DataError if there is no picture or one cannot be measured.
    """
    folder = Path(folder)
    paths = images.find_images(folder) if folder.is_dir() else []
    if not paths:
        raise DataError(f"There is no picture in {folder}; a folder is needed, which is searched recursively.")
    pictures: dict[str, Figures] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            low, high = degrade(images.load(path), scale, condition, name)
        except ImageError as error:
            raise DataError(f"{name} cannot be measured. {error}") from None
        pictures[name] = Figures(
            *(
                value
                for result in (enlarge(low), enlarge_bicubic(low, scale))
                for value in (*compare(result, high, scale), ssimulacra2(result, high))
            )
        )
        each(name, pictures[name])
    rows = list(pictures.values())
    mean = Figures(*np.mean([list(asdict(row).values()) for row in rows], axis=0).tolist())
    return {
        "set": folder.resolve().name,
        "scale": scale,
        "definition": DEFINITION,
        "degradation": condition,
        "mean": asdict(mean),
        "worse_than_bicubic": sum(row.ssimulacra2 < row.bicubic_ssimulacra2 for row in rows) / len(rows),
        "pictures": {name: asdict(row) for name, row in pictures.items()},
    }
