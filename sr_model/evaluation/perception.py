"""SSIMULACRA2 (Sneyers 2022): how far two pictures look alike to people; 100 is alike, and it may be negative."""

import io

import numpy as np

from sr_model.imaging import images
from sr_model.imaging.images import Picture

LEAST_SIDE = 8  # pixels that a picture must have each way


def ssimulacra2(result: Picture, reference: Picture) -> float:
    """Of two pictures of one size, both flattened onto white. Raises ModuleNotFoundError without its package."""
    from ssimulacra2 import compute_ssimulacra2  # scipy takes a second to load

    if np.array_equal(result.pixels, reference.pixels):
        return 100.0
    return float(compute_ssimulacra2(_file(reference), _file(result)))


def _file(picture: Picture) -> io.BytesIO:
    """The package reads files only."""
    file = io.BytesIO()
    images.to_pil(Picture(images.without_alpha(picture).pixels)).save(file, "BMP")  # 8-bit RGB
    file.seek(0)
    return file
