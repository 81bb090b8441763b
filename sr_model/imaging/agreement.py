"""A guard: a result that is shrunk back must be the picture that it was made of, but for what compression explains."""

from torch import Tensor
from torch.nn import functional as F

from sr_model.imaging.resampling import bicubic, bicubic_times

WINDOW = 17  # pixels of the small picture: two blocks of a JPEG, whose means are off by a level or two of their own
MARGIN = WINDOW // 2 + 4  # pixels of the small picture that a pixel's correction depends on, in each direction
# Levels of 255 by which single pixels may differ, without and with full strength. Compression and noise themselves are
# below them in 999 of 1,000 pixels (benchmarks/LOG.md).
TOLERANCE = (16, 64)


def agreeing(large: Tensor, small: Tensor, strength: float) -> Tensor:
    """The result (N, 3, s * H, s * W), corrected where, shrunk back, it is not the picture (N, 3, H, W) in [0, 1].

    Means over WINDOW x WINDOW pixels become those of the picture, so colours do not drift; single pixels are moved
    back to within the tolerance of the strength, 0 to 1.
    """
    missing = small - bicubic(large, (small.shape[-2], small.shape[-1]))
    means = F.avg_pool2d(missing, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
    most = (TOLERANCE[0] + (TOLERANCE[1] - TOLERANCE[0]) * strength) / 255
    rest = missing - means
    return large + bicubic_times(means + rest - rest.clamp(-most, most), large.shape[-1] // small.shape[-1])
