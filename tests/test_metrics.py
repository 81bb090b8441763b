import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from sr_model.imaging import images, metrics
from sr_model.imaging.resampling import crop_to_multiple, enlarge, shrink


@pytest.fixture
def pair(photo: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
    high = crop_to_multiple(images.to_tensor(np.asarray(photo)), 2)
    return enlarge(shrink(high, 2), 2), high


def test_psnr_agrees_with_a_second_implementation(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """PSNR equals torchmetrics' on the same luma."""
    x, y = (metrics.luma(t) for t in pair)
    expected = peak_signal_noise_ratio(x, y, data_range=255.0).item()
    assert metrics.psnr(x, y) == pytest.approx(expected, abs=1e-4)  # torchmetrics sums in float32


def test_ssim_agrees_with_a_second_implementation(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """SSIM equals torchmetrics' with the same window, where its map is not made of padding."""
    x, y = (metrics.luma(t) for t in pair)
    _, ssim_map = structural_similarity_index_measure(x, y, sigma=1.5, data_range=255.0, return_full_image=True)
    assert metrics.ssim(x, y) == pytest.approx(ssim_map[..., 5:-5, 5:-5].mean().item(), abs=1e-6)


def test_ssim_in_strips_is_ssim_at_once(
    pair: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large pictures are measured in strips of rows, and each row of the map counts once."""
    x, y = (metrics.luma(t) for t in pair)
    found = []
    for strip in (1000, 290, 7):
        monkeypatch.setattr(metrics, "SSIM_STRIP", strip)
        found.append(metrics.ssim(x, y))
    assert found == pytest.approx([found[0]] * 3, abs=1e-12)


def test_luma_is_pillow_s_within_its_rounding(photo: Image.Image) -> None:
    """The BT.601 weights are right: Pillow's full-range Y, brought to 16..235, differs by its rounding only."""
    y = metrics.luma(images.to_tensor(np.asarray(photo)))[0, 0].numpy()
    full = np.asarray(photo.convert("YCbCr"))[..., 0] * (219 / 255) + 16
    assert np.abs(y - full).max() < 1


def test_equal_pictures_score_perfectly() -> None:
    """With the most dB that there are, and an SSIM of one."""
    x = torch.rand(1, 3, 20, 20)
    psnr, ssim = metrics.score(x, x, 2)
    assert psnr == metrics.MOST_PSNR == 80
    assert ssim == pytest.approx(1.0)


@given(h=st.integers(1, 14), w=st.integers(1, 14), scale=st.sampled_from([2, 3, 4]))
def test_any_size_has_a_score(h: int, w: int, scale: int) -> None:
    """Tiny pictures are measured on what they have."""
    psnr, ssim = metrics.score(torch.zeros(1, 3, h, w), torch.full((1, 3, h, w), 0.5), scale)
    assert 0 < psnr < 20
    assert -1 <= ssim <= 1


def test_the_border_does_not_count() -> None:
    """Errors within `scale` pixels of the border are not seen; one pixel further in they are."""
    x = torch.full((1, 3, 30, 30), 0.5)
    edge, inside = x.clone(), x.clone()
    edge[..., 2, 15] = 1
    inside[..., 3, 15] = 1
    assert metrics.score(edge, x, 3)[0] == metrics.MOST_PSNR
    assert metrics.score(inside, x, 3)[0] < 60


def test_differing_shapes_are_refused() -> None:
    """No broadcasting makes a score of two pictures that do not match."""
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.psnr(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5))
