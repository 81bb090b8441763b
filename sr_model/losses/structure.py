"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) as a loss, of brightness."""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging.metrics import LUMA_RANGE, luma

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, from fine to coarse: the paper's
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
MIN_SIDE = WINDOW  # pixels: one scale


def ms_ssim_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM of Y, the mean over (N, 3, H, W) in [0, 1]; 0 for equal pictures.

    Pictures below 176 pixels have as many of the five scales as their windows fit, the exponents scaled to the same
    sum. Contrast below 0, which has no power, counts as 0.
    """
    # Float32 under autocast too: variances are small differences of large numbers.
    with torch.autocast(prediction.device.type, enabled=False):
        x, y = (((luma(picture.float()) - 16) / LUMA_RANGE).float() for picture in (prediction, target))
        scales = min(len(WEIGHTS), (min(x.shape[-2:]) // WINDOW).bit_length())
        exponents = [weight * sum(WEIGHTS) / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]
        product = torch.ones(len(x), device=x.device)
        for scale, exponent in enumerate(exponents):
            if scale:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
            structure, whole = _similarity(x, y)
            product = product * (whole if scale == scales - 1 else structure).clamp_min(1e-6) ** exponent
        return 1 - product.mean()


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(contrast and structure, the same times luminance): the means (N,) over each (N, 1, H, W)."""
    # All five maps at once, and the window as a matrix on each side: convolutions of one channel are ten times slower.
    maps = _windows(x.shape[2], x.device) @ torch.cat([x, y, x * x, y * y, x * y]) @ _windows(x.shape[3], x.device).T
    mean_x, mean_y, xx, yy, xy = maps.chunk(5)
    structure = (2 * (xy - mean_x * mean_y) + C2) / (xx - mean_x**2 + yy - mean_y**2 + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return structure.mean((1, 2, 3)), (structure * luminance).mean((1, 2, 3))


@functools.cache
def _windows(side: int, device: torch.device) -> Tensor:
    """(side - WINDOW + 1, side): each row is the Gaussian at another place."""
    offsets = torch.arange(WINDOW) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    rows = torch.zeros(side - WINDOW + 1, side)
    for i, row in enumerate(rows):
        row[i : i + WINDOW] = window / window.sum()
    return rows.to(device)
