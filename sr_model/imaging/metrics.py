"""PSNR and SSIM as the super-resolution literature reports them."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging.resampling import to_8bit

DEFINITION = (
    "PSNR and SSIM, higher is better: of the luma Y of ITU-R BT.601 (16 to 235), on pictures rounded to 8 bits, with "
    "as many border pixels cropped as the scale (2 at x1). PSNR is capped at 80 dB, the value for equal pictures."
)

MOST_PSNR = 80.0  # dB; infinity would make every mean infinite, and JSON cannot express it
SSIM_STRIP = 256  # rows
LUMA_RANGE = 235 - 16
LUMA_WEIGHTS = (65.481, 128.553, 24.966)  # of red, green and blue in [0, 1]; their sum is LUMA_RANGE


def luma(x: Tensor) -> Tensor:
    """Y of ITU-R BT.601, studio range: (N, 3, H, W) RGB in [0, 1] -> (N, 1, H, W) float64 in [16, 235]."""
    precision = torch.float32 if x.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    red, green, blue = (weight * x[:, i : i + 1].to(precision) for i, weight in enumerate(LUMA_WEIGHTS))
    return 16 + red + green + blue


def psnr(x: Tensor, y: Tensor, data_range: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB of two tensors of one shape, at most MOST_PSNR as in piq."""
    _check(x, y)
    mse = (x.double() - y.double()).square().mean().item()
    return MOST_PSNR if mse == 0 else min(MOST_PSNR, 10 * math.log10(data_range**2 / mse))


def ssim(x: Tensor, y: Tensor, data_range: float = 255.0) -> float:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian of sigma 1.5, K1 = 0.01, K2 = 0.03, no padding.

    Takes two (N, C, H, W) tensors. Sides shorter than 11 pixels use the largest odd window that fits.
    """
    _check(x, y)
    h, w = x.shape[-2:]
    # The window is separable, and on tiny pictures each side shrinks separately.
    columns = _gaussian(min(11, h - 1 + h % 2), x).view(1, 1, -1, 1)
    rows = _gaussian(min(11, w - 1 + w % 2), x).view(1, 1, 1, -1)

    def blur(t: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(t, columns), rows)

    def ssim_map(x: Tensor, y: Tensor) -> Tensor:
        c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        mean_x, mean_y = blur(x), blur(y)
        var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        return luminance * (2 * covariance + c2) / (var_x + var_y + c2)

    x, y = (t.double().flatten(0, 1).unsqueeze(1) for t in (x, y))  # (N * C, 1, H, W)
    # In strips of rows: for a large picture, the whole map and its intermediate results would take gigabytes.
    overlap = columns.shape[2] - 1
    total, count = 0.0, 0
    for top in range(0, h - overlap, SSIM_STRIP):
        rows_here = slice(top, top + SSIM_STRIP + overlap)
        part = ssim_map(x[..., rows_here, :], y[..., rows_here, :])
        total, count = total + part.sum().item(), count + part.numel()
    return total / count


def score(prediction: Tensor, reference: Tensor, scale: int) -> tuple[float, float]:
    """PSNR (dB) and SSIM of two (N, 3, H, W) RGB pictures in [0, 1] by DEFINITION.

    No border is cropped from a side that would have no pixels left.
    """
    _check(prediction, reference)
    # At x1 the border of x2, so that restoring a picture enlarged twofold compares with enlarging it.
    border = scale if scale > 1 else 2
    x, y = (_crop(luma(to_8bit(t)), border) for t in (prediction, reference))
    return psnr(x, y), ssim(x, y)


def _crop(x: Tensor, border: int) -> Tensor:
    h, w = x.shape[-2:]
    dy = border if h > 2 * border else 0
    dx = border if w > 2 * border else 0
    return x[..., dy : h - dy, dx : w - dx]


def _gaussian(size: int, like: Tensor) -> Tensor:
    offsets = torch.arange(size, dtype=torch.float64, device=like.device) - size // 2
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    return window / window.sum()


def _check(x: Tensor, y: Tensor) -> None:
    if x.shape != y.shape:
        raise ValueError(f"the two pictures differ in shape: {tuple(x.shape)} and {tuple(y.shape)}")
