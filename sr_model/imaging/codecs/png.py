"""PNG files in an eighth of the time that Pillow takes for them, and a sixth larger.

Pillow tries five filters for each row, and zlib compresses; here all rows have one filter, and ISA-L compresses.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {"L": 0, "I;16": 0, "RGB": 2, "LA": 4, "RGBA": 6}  # by Pillow's mode
PART = 1 << 20  # bytes that are taken at a time: copies of a whole picture would be half of the memory it takes
ABOVE = 2  # the filter: each byte less the one above it
EXIF_PREFIX = b"Exif\x00\x00"  # of EXIF data in a JPEG, but not in a PNG


def png_bytes(image: Image.Image, icc_profile: bytes | None = None, exif: bytes | None = None) -> bytes:
    """The file of an image of a mode in COLOUR_TYPES, without loss."""
    from isal import isal_zlib

    w, h = image.size
    stream = io.BytesIO()
    stream.write(SIGNATURE)
    bits = 16 if image.mode == "I;16" else 8
    PngImagePlugin.putchunk(stream, b"IHDR", struct.pack(">IIBBBBB", w, h, bits, COLOUR_TYPES[image.mode], 0, 0, 0))
    if icc_profile:
        PngImagePlugin.putchunk(stream, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if exif:
        PngImagePlugin.putchunk(stream, b"eXIf", exif.removeprefix(EXIF_PREFIX))
    compressor = isal_zlib.compressobj(1)
    for part in _filtered(image):
        if data := compressor.compress(part):
            PngImagePlugin.putchunk(stream, b"IDAT", data)
    PngImagePlugin.putchunk(stream, b"IDAT", compressor.flush())
    PngImagePlugin.putchunk(stream, b"IEND", b"")
    return stream.getvalue()


def _filtered(image: Image.Image) -> Iterator[np.ndarray]:
    """(N, 1 + bytes) for N rows at a time, each led by its filter."""
    w, h = image.size
    step = max(1, PART // (w * len(image.getbands())))
    above: np.ndarray | int = 0
    for top in range(0, h, step):
        pixels = np.asarray(image.crop((0, top, w, min(h, top + step))))
        if image.mode == "I;16":
            pixels = pixels.astype(">u2")
        rows = pixels.reshape(len(pixels), -1).view(np.uint8)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = ABOVE
        filtered[0, 1:] = rows[0] - above
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        above = rows[-1]
        yield filtered
