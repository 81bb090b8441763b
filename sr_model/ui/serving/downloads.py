"""A result's picture as a file of another format: PNG and WebP without loss, AVIF and JPEG by quality."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import ExifTags, Image

from sr_model.errors import ConfigError, ImageError
from sr_model.imaging import images
from sr_model.ui.cache import Store
from sr_model.ui.jobs.showing import EXIF, assemble

FORMATS = {"png": "image/png", "webp": "image/webp", "avif": "image/avif", "jpg": "image/jpeg"}
LOSSY = ("avif", "jpg")
QUALITY = 90
MOST_AVIF = 16_000_000  # pixels: a larger one takes minutes
GONE = "The result is no longer here: pictures are deleted within an hour. Please make it again."


@dataclass(frozen=True)
class Query:
    """Which result, which of its pictures, and how it is to be written."""

    folder: str
    name: str
    format: str
    quality: int
    exif: bool

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Query":
        """From an address. Raises ConfigError for what the page does not ask."""
        folder, name, kind = (values.get(key, "") for key in ("result", "name", "format"))
        quality = values.get("quality", str(QUALITY))
        if not re.fullmatch(r"[\w-]{16,64}", folder) or not re.fullmatch(r"[\w-]{1,120}\.png", name):
            raise ConfigError("There is no such picture.")
        if kind not in FORMATS:
            raise ConfigError(f"Choose one of: {', '.join(FORMATS)}.")
        if not re.fullmatch(r"\d{1,3}", quality) or not 1 <= int(quality) <= 100:
            raise ConfigError("The quality is a number from 1 to 100.")
        return cls(folder, name, kind, int(quality), values.get("exif") == "1")


@dataclass(frozen=True)
class File:
    """What is sent."""

    name: str
    data: bytes
    media_type: str


def make(store: Store, query: Query) -> File:
    """Encode a result. Raises FileNotFoundError where it is gone, and ImageError where the format cannot hold it."""
    folder = store.folder / query.folder
    image = assemble(folder, query.name)
    exif = (folder / EXIF).read_bytes() if query.exif and (folder / EXIF).is_file() else None
    data = _encode(image, query.format, query.quality, exif)
    return File(f"{query.name.removesuffix('.png')}.{query.format}", data, FORMATS[query.format])


def private_exif(source: Image.Image) -> bytes | None:
    """A picture's EXIF without the place, thumbnails, makers' notes and the orientation, which is applied."""
    exif = source.getexif()
    for tag in (ExifTags.Base.Orientation, ExifTags.IFD.GPSInfo):
        exif.pop(tag, None)
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for tag in (ExifTags.Base.MakerNote, ExifTags.Base.UserComment, ExifTags.IFD.MakerNote):
        details.pop(tag, None)
    if not dict(exif) and not details:
        return None
    return exif.tobytes()


def _encode(image: Image.Image, kind: str, quality: int, exif: bytes | None) -> bytes:
    if kind in ("png", "webp") and exif is None:
        return images.encode(image, f".{kind}")
    images.check_size(image.size, f".{kind}")
    if kind == "avif" and image.width * image.height > MOST_AVIF:
        raise ImageError(f"AVIF takes too long above {MOST_AVIF / 1e6:g} megapixels here. Choose another format.")
    profile = image.info.get("icc_profile")
    options: dict = {"icc_profile": profile, "exif": exif or b""}
    if image.mode == "I;16" and kind != "png":
        picture = images.from_pil(image)
        image = Image.fromarray((images.mean_channel(picture.pixels) / 257).round().astype("uint8"))
    if kind == "jpg":
        image = images.to_pil(images.without_alpha(images.from_pil(image)))
        options |= {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    elif kind == "avif":
        options |= {"quality": quality, "speed": 8}
        if image.mode != "L" and quality >= 90:  # grey ones have no colours to halve
            options["subsampling"] = "4:4:4"
    elif kind == "webp":
        options |= {"lossless": True, "method": 0, "exact": True}
    else:
        options |= {"compress_level": 1}
    buffer = io.BytesIO()
    image.save(buffer, {"jpg": "JPEG"}.get(kind, kind.upper()), **options)
    return buffer.getvalue()
