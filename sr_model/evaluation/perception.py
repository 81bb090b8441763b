"""SSIMULACRA2 (Sneyers 2022): how far two pictures look alike to people; 100 is alike, and it may be negative."""

import io

from PIL import Image

from sr_model.imaging import images
from sr_model.imaging.images import Picture


def ssimulacra2(result: Picture, reference: Picture) -> float:
    """Of two pictures of one size, both flattened onto white. Raises ModuleNotFoundError without its package."""
    from ssimulacra2 import compute_ssimulacra2

    return float(compute_ssimulacra2(_file(reference), _file(result)))


def _file(picture: Picture) -> io.BytesIO:
    """The package reads files only."""
    file = io.BytesIO()
    flat = images.without_alpha(picture).pixels
    pixels = flat if flat.dtype == "uint8" else images.to_array(images.to_tensor(flat))
    Image.fromarray(pixels).save(file, "BMP")
    file.seek(0)
    return file
