"""The only border between image files and tensors: decode, orientation, colour, alpha, 16 bits, grey, encode."""

import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

# Imported for their side effect: without these three, opening the first picture loads all of Pillow's forty plugins.
import PIL.AvifImagePlugin
import PIL.TiffImagePlugin
import PIL.WebPImagePlugin
import pillow_heif
import torch
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageFilter, ImageOps, UnidentifiedImageError
from torch import Tensor

from sr_model.errors import ImageError
from sr_model.imaging.codecs.compression import QUANTIZER, TABLES, jpeg_tables, webp_quantizer
from sr_model.imaging.codecs.png import COLOUR_TYPES, png_bytes
from sr_model.system.files import write_atomically

Result = TypeVar("Result")

# HEIC is what telephones write. Only the picture itself is wanted, and one thread for it: a server has others to serve.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)

# An allowlist: Pillow reads some forty more formats, a few of which run programs or take seconds to refuse a file.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "AVIF", "TIFF", "HEIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".avif", ".tif", ".tiff", ".heic", ".heif")
WRITABLE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")
LONGEST_SIDE = {".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500, ".gif": 65_535}  # pixels that these formats can hold
MAX_PIXELS = 64_000_000
MAX_PROFILE_BYTES = 1_000_000
HEADER_BYTES = 2_000_000  # of a WebP: a colour profile may stand before its first frame

_FORMAT_NAMES = "PNG, JPEG, WebP, HEIC, AVIF, TIFF, GIF or BMP"
# What Pillow raises on corrupt files, found by feeding it corpora of them.
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    struct.error,
    MemoryError,
)


@dataclass(frozen=True)
class Picture:
    """A decoded picture: upright, with no metadata but its colour profile."""

    pixels: np.ndarray  # (H, W, 3) RGB, uint8 or uint16; grey pictures have three equal channels
    alpha: np.ndarray | None = None  # (H, W), of the same type
    grey: bool = False  # written as grey again
    icc_profile: bytes | None = None
    jpeg_tables: tuple[tuple[int, ...], ...] = ()  # quantization tables of the JPEG that it was read from
    webp_quantizer: int | None = None  # of the lossy WebP that it was read from

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, in Pillow's order."""
        h, w = self.pixels.shape[:2]
        return w, h


def open_image(source: str | os.PathLike | bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode the first frame of an image file and apply its EXIF orientation.

    Only FORMATS are tried, and the size in the header is checked before anything is decoded. Raises ImageError for
    everything else: not an image, truncated, damaged, too many pixels, no such file.
    """

    def decode(image: Image.Image) -> Image.Image:
        if isinstance(image, PIL.WebPImagePlugin.WebPImageFile) and image.fp:
            image.fp.seek(0)
            image.info[QUANTIZER] = webp_quantizer(image.fp.read(HEADER_BYTES))
        image.load()
        image.info[TABLES] = jpeg_tables(image)  # whose turned copy would have none
        return ImageOps.exif_transpose(image)

    return with_header(source, max_pixels, decode)


def read_size(source: str | os.PathLike | bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of the upright picture from the file's header, without decoding it. Raises ImageError."""

    def upright(image: Image.Image) -> tuple[int, int]:
        w, h = image.size
        if image.format == "TIFF":  # Pillow has turned this one already
            return w, h
        return (h, w) if image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8) else (w, h)

    return with_header(source, max_pixels, upright)


def exif_of(image: Image.Image, size: tuple[int, int]) -> bytes | None:
    """The EXIF data of an image from `open_image`, made to fit a picture of (width, height); None where it has none.

    The small preview that it may hold is left out: it would be of the picture before.
    """
    exif = image.getexif()
    if not exif:
        return None
    exif.pop(ExifTags.Base.Orientation, None)
    details = exif.get_ifd(ExifTags.IFD.Exif)
    if ExifTags.Base.ExifImageWidth in details:
        details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = size
    return exif.tobytes()


def with_header(
    source: str | os.PathLike | bytes | BinaryIO, max_pixels: int, work: Callable[[Image.Image], Result]
) -> Result:
    """What `work` makes of an opened file: its header is read, and its size checked, but nothing decoded.

    Raises ImageError, also for what goes wrong in `work`.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(stream, formats=FORMATS) as image:
            w, h = image.size
            if w * h > max_pixels:
                raise ImageError(f"The picture has {w}x{h} = {w * h / 1e6:.1f} million pixels; {_limit(max_pixels)}")
            return work(image)
    except FileNotFoundError:
        raise ImageError("There is no such file.") from None
    except (IsADirectoryError, PermissionError) as error:
        raise ImageError(f"The file cannot be read: {error.strerror}.") from None
    except Image.DecompressionBombError:  # Pillow's own, higher limit
        raise ImageError(f"The picture has too many pixels; {_limit(max_pixels)}") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"This is not an image that can be read here, or it begins damaged. Allowed are {_FORMAT_NAMES} files."
        ) from None
    except _DECODE_ERRORS as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(f"The image file is damaged or cut off ({detail}). Save or download it again.") from None


def load(source: str | os.PathLike | bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> Picture:
    """`open_image` and `from_pil` in one: an image file as a `Picture`. Raises ImageError."""
    return from_pil(open_image(source, max_pixels))


def from_pil(image: Image.Image) -> Picture:
    """A Pillow image of any mode as a `Picture`. 16-bit grey keeps its bits; CMYK and others become 8-bit RGB."""
    profile, found = _valid_profile(image), (jpeg_tables(image), image.info.get(QUANTIZER))
    if image.mode in ("La", "RGBa"):  # premultiplied: Pillow converts these to nothing else
        image = image.convert(image.mode[:-1] + "A")
    mode = image.mode
    if mode.startswith("I;16"):
        grey16 = np.asarray(image).astype(np.uint16)
        return Picture(np.repeat(grey16[..., None], 3, axis=2), grey=True, icc_profile=profile)
    if mode in ("I", "F"):
        raise ImageError("Pictures of 32 bits per channel are not supported. Please save it with 8 or 16 bits.")

    transparent = "A" in image.getbands() or "transparency" in image.info
    grey = mode in ("1", "L", "LA")
    if mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image, profile = _to_srgb(image, profile), None
    if transparent:
        rgba = np.asarray(image.convert("RGBA"))
        return Picture(rgba[..., :3].copy(), rgba[..., 3].copy(), grey, profile, *found)
    return Picture(np.asarray(image.convert("RGB")).copy(), None, grey, profile, *found)


def to_pil(picture: Picture) -> Image.Image:
    """The inverse of `from_pil`: mode L, LA, RGB, RGBA or I;16, with the colour profile and nothing else."""
    # For a grey picture the network sees three equal channels, and may return them a level apart.
    pixels = mean_channel(picture.pixels) if picture.grey else picture.pixels
    alpha = picture.alpha
    if pixels.dtype == np.uint16 and not (picture.grey and alpha is None):
        pixels, alpha = _to_uint8(pixels), None if alpha is None else _to_uint8(alpha)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    return _with_profile(image, picture.icc_profile)


def _with_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        image.info["icc_profile"] = profile
    return image


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) or (H, W) of uint8 or uint16 -> (1, C, H, W) float32 in [0, 1], channels last in memory."""
    levels = np.iinfo(pixels.dtype).max
    array = pixels[..., None] if pixels.ndim == 2 else pixels
    x = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1).unsqueeze(0)
    return x / levels


def to_array(x: Tensor, dtype: type | np.dtype = np.uint8, out: np.ndarray | None = None) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> (H, W, C), or (H, W) for one channel; clamped, then rounded to the type's levels.

    It is written into `out` if there is one: (H, W, C) of that type.
    """
    levels = np.iinfo(dtype).max
    rounded = x[0].mul(levels).round_().clamp_(0, levels)
    if x.device.type != "cpu" and np.dtype(dtype) == np.uint8:
        rounded = rounded.to(torch.uint8)  # fewer bytes to copy
    planes = rounded.cpu().numpy()
    if out is None:
        out = np.empty((*planes.shape[1:], len(planes)), dtype)
    for channel, plane in enumerate(planes):  # converts and interleaves in half of torch's time
        out[..., channel] = plane
    return out[..., 0] if len(planes) == 1 else out


def mean_channel(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W): the rounded mean of the channels, of the same type."""
    total = pixels[..., 0].astype(np.uint32) + pixels[..., 1] + pixels[..., 2]
    return ((total + 1) // 3).astype(pixels.dtype)


def without_alpha(picture: Picture) -> Picture:
    """The picture flattened onto white, for measuring and training."""
    if picture.alpha is None:
        return picture
    levels = np.iinfo(picture.pixels.dtype).max
    cover = picture.alpha[..., None].astype(np.float32) / levels
    pixels = (picture.pixels * cover + levels * (1 - cover)).round().astype(picture.pixels.dtype)
    return replace(picture, pixels=pixels, alpha=None)


def bleed_colours(picture: Picture) -> Picture:
    """Give fully transparent pixels the colour of what is visible nearby.

    What a file stores there is arbitrary, often black, and would bleed into visible edges when enlarged.
    """
    if picture.alpha is None or picture.alpha.all() or not picture.alpha.any():
        return picture
    cover = Image.fromarray(_to_uint8(picture.alpha))
    colours = Image.fromarray(_to_uint8(picture.pixels))
    visible = ImageChops.multiply(colours, cover.convert("RGB"))
    blur = ImageFilter.GaussianBlur(4)
    weight = np.asarray(cover.filter(blur), np.float32)[..., None]
    near = np.asarray(visible.filter(blur), np.float32) * 255 / np.maximum(weight, 1)
    levels = np.iinfo(picture.pixels.dtype).max
    filled = (near.clip(0, 255) * (levels / 255)).round().astype(picture.pixels.dtype)
    return replace(picture, pixels=np.where(picture.alpha[..., None] == 0, filled, picture.pixels))


def encode(image: Image.Image, suffix: str = ".png", quality: int | None = None, exif: bytes | None = None) -> bytes:
    """Encode as the suffix says: lossless PNG or WebP, or JPEG at quality 95, flattened onto white.

    `quality`, from 1 to 100, is that of JPEG, and makes WebP lossy. Only pixels and the colour profile are kept: EXIF
    may hold the place where the photo was taken, and is written only if it is given.
    """
    check_size(image.size, suffix)
    if image.mode not in COLOUR_TYPES or "transparency" in image.info:
        image = to_pil(from_pil(image))
    if image.mode == "I;16" and suffix != ".png":  # the other formats have 8 bits
        image = _with_profile(Image.fromarray(_to_uint8(np.asarray(image))), image.info.get("icc_profile"))
    profile = image.info.get("icc_profile")
    if suffix == ".png":
        return png_bytes(image, profile, exif)
    if suffix in (".jpg", ".jpeg") and image.has_transparency_data:
        image = to_pil(without_alpha(from_pil(image)))
    kept = {"icc_profile": profile} | ({"exif": exif} if exif else {})
    buffer = io.BytesIO()
    image.save(buffer, **file_options(suffix, quality), **kept)
    return buffer.getvalue()


def file_options(suffix: str, quality: int | None = None) -> dict[str, Any]:
    """How Pillow is to write a file of this ending."""
    if suffix == ".png":
        return {"format": "PNG", "compress_level": 1, "compress_type": 3}  # type 3: run lengths
    if suffix == ".webp":
        # Without loss, `quality` is an effort: more of it takes four times as long and gains nothing on photos.
        return {"format": "WEBP", "method": 0} | (
            {"lossless": True, "exact": True, "quality": 0} if quality is None else {"quality": quality}
        )
    return {"format": "JPEG", "quality": 95 if quality is None else quality, "subsampling": 0}


def save(image: Image.Image, path: str | os.PathLike) -> None:
    """Write PNG, lossless WebP or JPEG atomically, as the suffix says; missing folders are created.

    Raises ImageError if the suffix is not one of WRITABLE_SUFFIXES, the format cannot hold the picture, or the folder
    cannot be written.
    """
    path = Path(path)
    check_writable(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encode(image, path.suffix.lower()))
    except OSError as error:
        raise ImageError(f"{path.name} cannot be written: {error.strerror or error}.") from None
    except (ValueError, MemoryError) as error:  # what Pillow's encoders raise
        raise ImageError(f"{path.name} cannot be encoded: {error or type(error).__name__}.") from None


def check_size(size: tuple[int, int], suffix: str) -> None:
    """Raise ImageError if the format of a suffix cannot hold a picture of (width, height) pixels."""
    limit = LONGEST_SIDE.get(suffix.lower())
    if limit and max(size) > limit:
        raise ImageError(
            f"{size[0]}x{size[1]} pixels do not fit into a {suffix[1:].lower()} file, which holds at most {limit:,} "
            "on a side. Write a png instead."
        )


def check_writable(path: Path) -> None:
    """Raise ImageError unless `save` can write the suffix."""
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ImageError(
            f"Cannot write {path.name!r}: its ending must be one of {', '.join(WRITABLE_SUFFIXES)} "
            "(PNG and WebP are written without loss)."
        )


def find_images(folder: str | os.PathLike) -> list[Path]:
    """All files below a folder with a suffix in SUFFIXES, sorted; hidden files and folders are skipped."""
    folder = Path(folder)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _limit(max_pixels: int) -> str:
    return f"at most {max_pixels / 1e6:g} million are allowed. Shrink or crop it first."


def _to_uint8(array: np.ndarray) -> np.ndarray:
    # 65535 = 255 * 257, so white stays white; a plain convert would clip.
    return array if array.dtype == np.uint8 else (array / 257).round().astype(np.uint8)


def _valid_profile(image: Image.Image) -> bytes | None:
    """The picture's ICC profile, unless it is huge, broken or made for another kind of picture."""
    data = image.info.get("icc_profile")
    if not data or len(data) > MAX_PROFILE_BYTES:
        return None
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(data)).profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        return None
    grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I;16")
    expected = {"CMYK": "CMYK"}.get(image.mode, "GRAY" if grey else "RGB")
    return data if space == expected else None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode == "CMYK":
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (OSError, ImageCms.PyCMSError):
            pass  # a profile that opens but cannot be applied: convert as if there were none
    return image.convert("RGB")
