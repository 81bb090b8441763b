"""The last steps of an enlargement, compiled: the same picture as step by step, whatever its size and its parts."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from sr_model import Upscaler
from sr_model.imaging.finishing import fused as module
from sr_model.imaging.finishing.borders import bounded
from sr_model.imaging.finishing.fused import fused
from sr_model.imaging.resampling import bicubic_times
from sr_model.networks import Network
from tests.conftest import EXAMPLES

SIZES = ((1, 1), (1, 7), (2, 3), (5, 4), (9, 8), (7, 30), (61, 47), (20, 130))


@pytest.fixture(autouse=True)
def _expecting(of_few: None) -> None:
    module.expect_many()


def picture(h: int, w: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, h, w), generator=torch.Generator().manual_seed(seed)) / 255


def details(h: int, w: int, scale: int) -> torch.Tensor:
    """Large enough for the borders to be bounded and the rest to be cut off at black and white here and there."""
    generator = torch.Generator().manual_seed(h * w)
    return 0.3 * torch.randn(1, 3 * scale**2, h + h % 2, w + w % 2, generator=generator)


def in_bytes(x: torch.Tensor, scale: int, detail: torch.Tensor | None = None) -> torch.Tensor:
    large = fused(x, scale, detail)
    assert large is not None
    return large


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize(("h", "w"), SIZES)
def test_it_is_what_the_steps_give_one_by_one(h: int, w: int, scale: int) -> None:
    """Rounded from the same values, with detail (padded to even sides, as networks return it) and without."""
    x, y = picture(h, w), details(h, w, scale)
    plain = bicubic_times(x, scale)
    whole = bounded(plain + F.pixel_shuffle(y[..., :h, :w], scale), x)
    for made, exact in ((in_bytes(x, scale), plain), (in_bytes(x, scale, y), whole)):
        assert (made.dtype, made.shape) == (torch.uint8, (1, 3, h * scale, w * scale))
        assert (made - 255 * exact.clamp(0, 1)).abs().max() <= 0.5 + 1e-3


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_order_in_memory_does_not_matter(layout: torch.memory_format) -> None:
    """torch returns channels last, OpenVINO planes."""
    x, y = picture(30, 20), details(30, 20, 2)
    made = in_bytes(x.to(memory_format=layout), 2, y.to(memory_format=layout))
    assert torch.equal(made, in_bytes(x, 2, y))


def test_parts_equal_the_whole() -> None:
    """To the last bit: the work of threads, and tiles but for the margins that they see less of."""
    x, y = picture(50, 40), details(50, 40, 3)
    whole, part = in_bytes(x, 3, y), in_bytes(x[..., 10:, 6:], 3, y[..., 10:, 6:])
    assert torch.equal(part[..., 12:, 12:], whole[..., 42:, 30:])
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert torch.equal(in_bytes(x, 3, y), whole)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_warm_upscaler_gives_the_picture_of_a_cold_one(model: Network, engine: str) -> None:
    """Within the rounding of what is half-way between two levels: the result, and bicubic beside it."""
    image = Image.open(EXAMPLES / "chelsea.png").convert("RGB").crop((100, 60, 201, 133))
    upscaler = Upscaler(model, "cpu", engine=engine, tile=64)
    *_, warm = upscaler.steps(image, with_bicubic=True)
    module._expected = False
    *_, cold = upscaler.steps(image, with_bicubic=True)
    for a, b in ((warm.result, cold.result), (warm.bicubic, cold.bicubic)):
        off = np.abs(np.asarray(a).astype(int) - np.asarray(b))
        assert off.max() <= 1
        assert (off > 0).mean() < 1e-3


def test_nothing_is_loaded_for_a_single_picture() -> None:
    """It would take longer than the picture does."""
    program = """
import sys
import numpy as np
from sr_model import Upscaler
upscaler = Upscaler.from_preset("nano", 2, "cpu")
small = np.zeros((20, 30, 3), np.uint8)
upscaler(small)
assert "numba" not in sys.modules
list(upscaler.map([small, small]))
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_torch_takes_over_without_numba() -> None:
    """Not installed, or broken: the picture is the same."""
    program = """
import sys
sys.modules["numba"] = None
import numpy as np
from sr_model import Upscaler
upscaler = Upscaler.from_preset("nano", 2, "cpu")
small = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
once = upscaler(small)
upscaler.warm_up()
assert np.array_equal(upscaler(small), once)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """The parent's are not there, and waiting for them would never end."""
    program = """
import os
import torch
from sr_model.imaging.finishing.fused import expect_many, fused
expect_many()
torch.set_num_threads(2)
x = torch.rand(1, 3, 20, 30)
before = fused(x, 2)
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(not torch.equal(fused(x, 2), before))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
