"""The kinds of images that callers may give, as pictures, and the way back."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from PIL import Image

from sr_model.errors import ImageError
from sr_model.imaging import images
from sr_model.imaging.images import Picture

# What `Upscaler` takes, and gives back in the same kind; `Picture` is what this package works on.
ImageLike = TypeVar("ImageLike", Image.Image, np.ndarray, Picture)


def as_picture(image: ImageLike) -> tuple[Picture, Callable[[Picture], ImageLike]]:
    """(the image as a picture, what makes its own kind of a picture again). Raises ImageError."""
    if isinstance(image, Picture):
        return image, lambda picture: picture
    if isinstance(image, Image.Image):
        return images.from_pil(image), images.to_pil
    if isinstance(image, np.ndarray):
        channels = image.shape[2:]
        return _from_array(image), lambda picture: _to_array(picture, channels)
    raise ImageError(f"A {type(image).__name__} cannot be enlarged; give a PIL image or an array.")


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
    return Picture(np.require(array[..., :3], requirements=["C", "W"]), alpha=alpha)  # torch wants it writable


def _to_array(picture: Picture, channels: tuple[int, ...]) -> np.ndarray:
    if not channels:
        return images.mean_channel(picture.pixels)
    if picture.alpha is None:
        return picture.pixels
    return np.concatenate([picture.pixels, picture.alpha[..., None]], axis=2)
