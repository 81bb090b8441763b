"""What happens to pictures on their way to a visitor's file: blur, resizing, noise, JPEG and WebP.

Each is a frozen value that makes (1, 3, H, W) in [0, 1] of the same; what is random in it comes from its own seed.
"""

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, from_numpy
from torch.nn import functional as F

from sr_model.imaging import images

FILTERS = ("area", "bilinear", "bicubic")


@dataclass(frozen=True)
class Blur:
    """Gaussian of two standard deviations in pixels, the first turned from the x axis by `angle` (radians)."""

    sigma_a: float
    sigma_b: float
    angle: float

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply the spectrum by the Gaussian's own: as fast for a wide blur as for a narrow one."""
        pad = math.ceil(3 * max(self.sigma_a, self.sigma_b))
        planes = F.pad(x, (pad,) * 4, mode="replicate")[0].numpy()  # (3, H + 2 pad, W + 2 pad)
        h, w = planes.shape[-2:]
        fy = np.fft.fftfreq(h)[:, None]
        fx = np.fft.rfftfreq(w)[None]
        along = fx * math.cos(self.angle) + fy * math.sin(self.angle)
        across = fy * math.cos(self.angle) - fx * math.sin(self.angle)
        exponent = (self.sigma_a * along) ** 2 + (self.sigma_b * across) ** 2
        response = np.exp(-2 * math.pi**2 * exponent).astype(np.float32)
        # One plane at a time: spectra are large.
        blurred = np.stack([np.fft.irfft2(np.fft.rfft2(plane) * response, s=(h, w)) for plane in planes])
        inner = blurred[:, pad : h - pad, pad : w - pad].astype(np.float32)
        return from_numpy(inner).unsqueeze(0).clamp(0, 1)

    def __str__(self) -> str:
        turned = "" if self.sigma_a == self.sigma_b else f"/{self.sigma_b:.1f}"
        return f"blur {self.sigma_a:.1f}{turned}"


@dataclass(frozen=True)
class Resize:
    """To (H, W) = `size` by one of FILTERS or by lanczos, all antialiased."""

    size: tuple[int, int]
    filter: str

    def __call__(self, x: Tensor) -> Tensor:
        if self.filter == "area":
            rows = _area(x.numpy().swapaxes(-1, -2), self.size[0]).swapaxes(-1, -2)
            return from_numpy(_area(rows, self.size[1]).astype(np.float32))
        if self.filter == "lanczos":  # Pillow's, and so by way of 8 bits
            h, w = self.size
            resized = Image.fromarray(images.to_array(x)).resize((w, h), Image.Resampling.LANCZOS)
            return images.to_tensor(np.asarray(resized)).contiguous()
        return F.interpolate(x, self.size, mode=self.filter, align_corners=False, antialias=True).clamp(0, 1)

    def __str__(self) -> str:
        return f"{self.filter} {self.size[1]}"


@dataclass(frozen=True)
class Noise:
    """Shot noise, whose variance grows with the light, and read noise, which is always there (Foi et al. 2008).

    A file's values are about the square root of the light, which makes shot noise the same at all tones: `shot` is
    that standard deviation in levels of 255. `read` is one in light, where white is 1.
    """

    shot: float
    read: float
    grey: bool
    seed: int

    def __call__(self, x: Tensor) -> Tensor:
        light = np.square(x.numpy())
        shape = (1, 1, *x.shape[-2:]) if self.grey else x.shape
        noise = np.random.default_rng(self.seed).standard_normal(shape, dtype=np.float32)
        # d light / d value = 2 value, so `shot` in the file is 2 shot sqrt(light) in light.
        noise = noise * np.sqrt((2 * self.shot / 255) ** 2 * light + self.read**2)
        return from_numpy(np.sqrt(np.clip(light + noise, 0, 1)))

    def __str__(self) -> str:
        return f"{'grey ' * self.grey}noise {self.shot:.1f}+{1e3 * self.read:.1f}"


@dataclass(frozen=True)
class Jpeg:
    """Compressed and decompressed; `halved` stores the colour at half the resolution (4:2:0).

    `shift` (rows, columns) moves the picture's corner within its first block of 8, as cropping a decoded one does.
    """

    quality: int
    halved: bool
    shift: tuple[int, int] = (0, 0)

    def __call__(self, x: Tensor) -> Tensor:
        return _decoded(self.file(x), self.shift)

    def file(self, x: Tensor) -> bytes:
        """The whole file, before its corner is cropped."""
        return _encoded(x, self.shift, "JPEG", quality=self.quality, subsampling=2 * self.halved)

    def __str__(self) -> str:
        return f"jpeg {self.quality}{' 4:2:0' * self.halved}{_shifted(self.shift)}"


@dataclass(frozen=True)
class WebP:
    """Compressed with loss and decompressed; `shift` as `Jpeg` has it."""

    quality: int
    shift: tuple[int, int] = (0, 0)

    def __call__(self, x: Tensor) -> Tensor:
        return _decoded(self.file(x), self.shift)

    def file(self, x: Tensor) -> bytes:
        """The whole file, before its corner is cropped."""
        return _encoded(x, self.shift, "WEBP", quality=self.quality, method=2)

    def __str__(self) -> str:
        return f"webp {self.quality}{_shifted(self.shift)}"


Step = Blur | Resize | Noise | Jpeg | WebP


def _encoded(x: Tensor, shift: tuple[int, int], file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    pixels = images.to_array(F.pad(x, (shift[1], 0, shift[0], 0), mode="replicate"))
    Image.fromarray(pixels).save(file, file_format, **options)
    return file.getvalue()


def _decoded(file: bytes, shift: tuple[int, int]) -> Tensor:
    decoded = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    return images.to_tensor(decoded[shift[0] :, shift[1] :]).contiguous()


def _shifted(shift: tuple[int, int]) -> str:
    return f" at {shift[0]},{shift[1]}" if any(shift) else ""


def _area(x: np.ndarray, size: int) -> np.ndarray:
    """Resize the last axis: each result is the mean of exactly the stretch that it covers, fractions of pixels too."""
    n = x.shape[-1]
    ends = np.linspace(0, n, size + 1)
    whole = np.minimum(ends.astype(int), n - 1)
    total = np.cumsum(x, axis=-1, dtype=np.float64)
    # The integral from 0 to each end: all pixels up to and with the one it lies in, without what is beyond.
    integral = total[..., whole] - (whole + 1 - ends) * x[..., whole]
    return np.diff(integral) * (size / n)
