"""What Numba compiles for `fused`, when this module is imported; the result is kept beside it for the next time."""

import numba
import numpy as np

from sr_model.imaging.finishing.borders import REACH, RING, ROOM

# With its types known it is compiled, or read from the disk, when this module is imported, not at the first call.
SIGNATURE = numba.void(
    numba.int64,
    numba.int64,
    numba.float32[:, :, ::1],
    numba.float32[:, :, ::1],
    numba.float32[:, ::1],
    numba.float32[:, ::1],
    numba.uint8[:, :, ::1],
)


@numba.njit
def _in_turn(parts: np.ndarray, whole: np.ndarray) -> None:
    """(N, W) -> (N * W,): one of each part, again and again.

    With N written out, and indices that cannot be negative, the compiler makes vector instructions of it.
    """
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    if len(parts) == 2:
        a, b = parts[0], parts[1]
        for j in range(np.uint64(len(a))):
            i = two * j
            whole[i], whole[i + one] = a[j], b[j]
    elif len(parts) == 3:
        a, b, c = parts[0], parts[1], parts[2]
        for j in range(np.uint64(len(a))):
            i = three * j
            whole[i], whole[i + one], whole[i + two] = a[j], b[j], c[j]
    elif len(parts) == 4:
        a, b, c, d = parts[0], parts[1], parts[2], parts[3]
        for j in range(np.uint64(len(a))):
            i = np.uint64(4) * j
            whole[i], whole[i + one], whole[i + two], whole[i + three] = a[j], b[j], c[j], d[j]
    else:
        for n in range(len(parts)):
            whole[n :: len(parts)] = parts[n]


def _rows(
    first: int,
    last: int,
    small: np.ndarray,
    detail: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    large: np.ndarray,
) -> None:
    """Write what becomes of the small picture's rows from `first` to `last`, excluded, into `large`.

    `small` is (3, H, W) in [0, 1], `detail` (3 * scale**2, H or more, W or more) or empty, `large` (scale * H, scale *
    W, 3). `down` and `across` are the five weights of each of its rows and columns.

    Each loop over a row's pixels is one that the compiler turns into vector instructions. Sums are in the same order
    wherever a pixel is, so tiles equal the whole.
    """
    h, w = small.shape[1:]
    scale = large.shape[0] // h
    least, most = np.empty((3, w), np.float32), np.empty((3, w), np.float32)
    tall = np.zeros(w + 4, np.float32)  # a row of the picture, enlarged downwards only
    line = np.empty(w, np.float32)
    levels = np.empty((scale, w), np.uint8)  # of a row of the result, every `scale`th pixel
    planes = np.empty((3, w * scale), np.uint8)
    for i in range(first, last):
        ends = (0, w, w, w)  # of the columns that are bounded
        if detail.size and RING <= i < h - RING and w > 2 * RING:
            ends = (0, RING, w - RING, w)
        if detail.size:
            for c in range(3):
                for begin, end in ((ends[0], ends[1]), (ends[2], ends[3])):
                    for j in range(begin, end):
                        lo = hi = small[c, i, j]
                        for k in range(max(i - REACH, 0), min(i + REACH + 1, h)):
                            for m in range(max(j - REACH, 0), min(j + REACH + 1, w)):
                                lo, hi = min(lo, small[c, k, m]), max(hi, small[c, k, m])
                        room = np.float32(ROOM) * (hi - lo)
                        least[c, j], most[c, j] = lo - room, hi + room
        for dy in range(scale):
            for c in range(3):
                above2, above1 = small[c, max(i - 2, 0)], small[c, max(i - 1, 0)]
                here = small[c, i]
                below1, below2 = small[c, min(i + 1, h - 1)], small[c, min(i + 2, h - 1)]
                a, b, d, e, f = down[i * scale + dy]  # 0 for what is outside of the picture
                for j in range(w):
                    tall[j + 2] = a * above2[j] + b * above1[j] + d * here[j] + e * below1[j] + f * below2[j]
                for dx in range(scale):
                    a, b, d, e, f = across[min(2, w - 1) * scale + dx]
                    for j in range(w):
                        line[j] = a * tall[j] + b * tall[j + 1] + d * tall[j + 2] + e * tall[j + 3] + f * tall[j + 4]
                    for begin, end in ((0, min(2, w)), (max(2, w - 2), w)):
                        for j in range(begin, end):
                            a, b, d, e, f = across[j * scale + dx]
                            line[j] = (
                                a * tall[j] + b * tall[j + 1] + d * tall[j + 2] + e * tall[j + 3] + f * tall[j + 4]
                            )
                    if detail.size:
                        more = detail[(c * scale + dy) * scale + dx, i]
                        for j in range(w):
                            line[j] += more[j]
                        for begin, end in ((ends[0], ends[1]), (ends[2], ends[3])):
                            for j in range(begin, end):
                                line[j] = min(max(line[j], least[c, j]), most[c, j])
                    for j in range(w):
                        level = np.rint(min(max(line[j] * np.float32(255), np.float32(0)), np.float32(255)))
                        levels[dx, j] = np.uint8(np.int32(level))
                _in_turn(levels, planes[c])
            _in_turn(planes, large[i * scale + dy].reshape(-1))


try:
    rows = numba.njit(SIGNATURE, nogil=True, cache=True)(_rows)
except RuntimeError:  # no folder can be written to: it is compiled in each process
    rows = numba.njit(SIGNATURE, nogil=True)(_rows)
