"""`Upscaler`: the one contract that the page, the command line and the library share."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr_model import images, presets, weights
from sr_model.devices import choose_device
from sr_model.errors import ImageError
from sr_model.images import Picture
from sr_model.model import bicubic
from sr_model.networks import Network
from sr_model.tiling import tiled, tiles

TILE = 512  # input pixels; smaller ones spend more on margins, larger ones answer later

ImageOrArray = TypeVar("ImageOrArray", Image.Image, np.ndarray)


@dataclass(frozen=True)
class Step:
    """How far an enlargement has come; `result` is there when `done` equals `total`."""

    done: int
    total: int
    result: Picture | None = None


class Upscaler:
    """Enlarges pictures of any size from 1x1 and of any mode by one preset at one scale.

    >>> upscaler = Upscaler.from_preset("base", scale=2)
    >>> large = upscaler(small)  # a PIL image or an array, as `small` is

    Alpha, grey, 16-bit grey and the colour profile are kept. Large pictures are cut into tiles whose margin is the
    network's receptive field, so that the result does not depend on them.
    """

    def __init__(self, model: Network, device: str = "auto", tile: int = TILE) -> None:
        self.device = choose_device(device)
        # Convolutions on channels-last memory take half of the time on a CPU.
        self.model = model.eval().to(self.device).to(memory_format=torch.channels_last)
        self.tile = tile
        self.scale = model.scale

    @classmethod
    def from_preset(
        cls,
        preset: str = "base",
        scale: int | None = None,
        device: str = "auto",
        folder: str | os.PathLike = weights.SHIPPED,
        tile: int = TILE,
    ) -> "Upscaler":
        """Load the weights of `preset` at `scale` (by default the preset's own) from `folder`.

        `device` is auto, cuda or cpu.

        Raises ConfigError for unknown names and WeightsError where weights are missing or damaged.
        """
        model, _ = weights.load(preset, scale or presets.default_scale(preset), folder)
        return cls(model, device, tile)

    def __call__(self, image: ImageOrArray) -> ImageOrArray:
        """Enlarge a PIL image, or an array (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16; the same kind comes back.

        Raises ImageError for arrays of another shape or type, and for modes of 32 bits per channel.
        """
        if isinstance(image, Image.Image):
            return images.to_pil(self.enlarge(images.from_pil(image)))
        return _to_array(self.enlarge(_from_array(image)), channels=image.shape[2:])

    def enlarge(self, picture: Picture) -> Picture:
        """The enlarged picture, `scale` times larger on each side."""
        return _last(self.steps(picture))

    def steps(self, picture: Picture) -> Iterator[Step]:
        """Enlarge tile by tile, yielding before the first and after each: stop asking, and the work stops."""
        return _enlarge(
            self._run,
            images.bleed_colours(picture),
            self.scale,
            self.tile,
            margin=self.model.receptive_field,
            stride=self.model.stride,
        )

    def _run(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x.to(self.device, memory_format=torch.channels_last))
        return y.cpu()


def enlarge_bicubic(picture: Picture, scale: int) -> Picture:
    """The picture enlarged by bicubic (a = -0.5), in the same way that `Upscaler` goes."""

    def function(x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        return bicubic(x, (h * scale, w * scale))

    return _last(_enlarge(function, images.bleed_colours(picture), scale, tile=1024, margin=4, stride=1))


def _enlarge(
    function: Callable[[Tensor], Tensor], picture: Picture, scale: int, tile: int, margin: int, stride: int
) -> Iterator[Step]:
    """Run `function` over 8- or 16-bit pixels, tile by tile: only a tile at a time is held in float."""
    pixels = picture.pixels
    h, w = pixels.shape[:2]
    levels = np.iinfo(pixels.dtype).max
    # torch can hardly work with uint16
    whole = torch.from_numpy(pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32)).permute(2, 0, 1)[None]
    large = np.empty((h * scale, w * scale, 3), pixels.dtype)
    total = len(tiles(h, w, tile))
    yield Step(0, total)

    def on_floats(x: Tensor) -> Tensor:
        with torch.inference_mode():
            return function(x.float() / levels)

    for done, (region, result) in enumerate(tiled(on_floats, whole, tile, margin, stride), start=1):
        r = region * scale
        large[r.top : r.bottom, r.left : r.right] = images.to_array(result, pixels.dtype)
        if done < total:
            yield Step(done, total)
    alpha = None if picture.alpha is None else _enlarge_alpha(picture.alpha, scale)
    yield Step(total, total, replace(picture, pixels=large, alpha=alpha))


def _enlarge_alpha(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic: the network has learned colours, not masks."""
    h, w = alpha.shape
    large = Image.fromarray(alpha.astype(np.float32)).resize((w * scale, h * scale), Image.Resampling.BICUBIC)
    return np.asarray(large).clip(0, np.iinfo(alpha.dtype).max).round().astype(alpha.dtype)


def _last(steps: Iterator[Step]) -> Picture:
    result = None
    for step in steps:
        result = step.result
    assert result is not None, "an enlargement ends with its result"
    return result


def _from_array(array: np.ndarray) -> Picture:
    channels = array.shape[2:]
    if array.ndim not in (2, 3) or channels not in ((), (3,), (4,)) or array.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"An array of shape {array.shape} and type {array.dtype} is not a picture; "
            "it must be (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16."
        )
    if 0 in array.shape:
        raise ImageError(f"An array of shape {array.shape} holds no pixel.")
    if not channels:
        return Picture(np.repeat(array[..., None], 3, axis=2), grey=True)
    alpha = array[..., 3] if channels == (4,) else None
    return Picture(np.ascontiguousarray(array[..., :3]), alpha=alpha)


def _to_array(picture: Picture, channels: tuple[int, ...]) -> np.ndarray:
    if not channels:
        return images.mean_channel(picture.pixels)
    if picture.alpha is None:
        return picture.pixels
    return np.concatenate([picture.pixels, picture.alpha[..., None]], axis=2)
