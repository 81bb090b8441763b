from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from sr_model.errors import ConfigError
from sr_model.imaging.metrics import luma
from sr_model.losses import NAMES, Loss, discriminator, min_output_side, parse


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 32, 32, generator=generator), torch.rand(2, 3, 32, 32, generator=generator)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("l1", {"l1": 1}),
        ("mse=1", {"mse": 1}),
        ("l1=1,perceptual=0.1", {"l1": 1, "perceptual": 0.1}),
        (" adversarial=5e-3 , l1 ", {"adversarial": 0.005, "l1": 1}),
        ("l1=0.3,luma=1", {"l1": 0.3, "luma": 1}),
        ("l1=1,mse=2,vgg=0.1", {"l1": 1, "mse": 2, "vgg": 0.1}),
    ],
)
def test_losses_are_parsed(text: str, terms: dict[str, float]) -> None:
    """Names with weights, in their order; a bare name has the weight 1."""
    assert parse(text) == terms
    assert list(parse(text)) == list(terms)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "without a name"),
        ("l1,", "without a name"),
        ("=1", "without a name"),
        ("l2", "knows no 'l2'; choose from: l1, mse, luma, ms_ssim, perceptual, vgg, adversarial"),
        ("L1", "knows no 'L1'"),
        ("l1:1", "knows no 'l1:1'"),
        ("l1=1,l1=2", "names l1 twice"),
        ("l1=", "gives l1 the weight ''"),
        ("l1=big", "gives l1 the weight 'big'"),
        ("l1=1=2", "gives l1 the weight '1=2'"),
        ("l1=0", "a number above 0"),
        ("l1,perceptual=-0.1", "gives perceptual the weight '-0.1'"),
        ("mse=nan", "a number above 0"),
        ("mse=inf", "a number above 0"),
        ("l1,vgg,perceptual", "both perceptual and vgg.*choose one"),
        ("adversarial", "does not tie the colours to the truth; add l1 or mse, for example: l1=1,adversarial=0.1"),
        ("perceptual=1", "does not tie"),
        ("vgg", "does not tie"),
        ("luma", "does not tie"),
        ("perceptual,adversarial", "does not tie"),
    ],
)
def test_impossible_losses_are_refused_by_name(text: str, sentence: str) -> None:
    """The sentence says which entry is wrong and what would be right."""
    with pytest.raises(ConfigError, match=sentence):
        parse(text)


def test_features_need_a_smallest_patch(pair: tuple[Tensor, Tensor]) -> None:
    """Pixel losses take any, and at the side that is stated every term can be computed."""
    assert min_output_side({"l1": 1, "mse": 1}) == 1
    for name in NAMES:
        side = min_output_side({"l1": 1, name: 1})
        x, y = (picture[..., :side, :side] for picture in pair)
        if name == "adversarial":
            assert discriminator.build()(x).shape == (2, 1, side, side)
        elif name != "vgg":
            assert torch.isfinite(Loss({name: 1})(x, y))


def test_luma_sees_brightness_as_psnr_does(pair: tuple[Tensor, Tensor]) -> None:
    """A change of grey counts as in l1, a change of colour alone not at all, and green more than blue."""
    loss = Loss({"luma": 1.0})
    x = pair[0] * 0.5 + 0.2
    assert torch.isclose(loss(x + 0.1, x), torch.tensor(0.1), atol=1e-6)
    colour = torch.tensor([24.966, 0.0, -65.481]).view(1, 3, 1, 1) / 1000
    assert loss(x + colour, x) < 1e-7
    channels = [loss(x + 0.1 * F.one_hot(torch.tensor(i), 3).view(1, 3, 1, 1), x) for i in range(3)]
    assert channels[1] > channels[0] > channels[2] > 0
    assert loss(x, x) == 0


@pytest.mark.parametrize(("name", "function"), [("l1", F.l1_loss), ("mse", F.mse_loss)])
def test_one_pixel_loss_is_the_plain_one(
    name: str, function: Callable[[Tensor, Tensor], Tensor], pair: tuple[Tensor, Tensor]
) -> None:
    """Value and gradient, bit for bit, also under autocast: runs from before this module go on as they were."""
    prediction, target = pair[0].requires_grad_(), pair[1]
    plain = function(prediction, target)
    with torch.autocast("cpu", torch.bfloat16):
        loss = Loss(parse(name))(prediction, target)
    assert torch.equal(loss, plain)
    assert torch.equal(*(torch.autograd.grad(value, prediction)[0] for value in (loss, plain)))


def test_the_whole_is_the_weighted_sum_of_its_parts(pair: tuple[Tensor, Tensor]) -> None:
    """The parts bear no weight; the adversarial one is not among them, and counts where it is added."""
    loss = Loss(parse("l1=1,mse=3,perceptual=0.1,adversarial=0.005"))
    parts = loss.parts(*pair)
    assert list(parts) == ["l1", "mse", "perceptual"]
    assert torch.isclose(loss(*pair), parts["l1"] + 3 * parts["mse"] + 0.1 * parts["perceptual"])
    parts["adversarial"] = torch.tensor(2.0)
    assert torch.isclose(loss.total(parts), loss(*pair) + 0.01)


def test_gradients_reach_the_prediction(pair: tuple[Tensor, Tensor]) -> None:
    """From each term, finite, in every pixel but a border that the features leave out."""
    prediction, target = pair[0].requires_grad_(), pair[1]
    for name, part in Loss(parse("l1,mse,perceptual")).parts(prediction, target).items():
        (gradient,) = torch.autograd.grad(part, prediction)
        assert torch.isfinite(gradient).all(), name
        assert (gradient[..., :-1, :-1] != 0).float().mean() > 0.99, name


@pytest.mark.long
@pytest.mark.parametrize("side", [176, 192, 241])
def test_ms_ssim_is_the_paper_s(side: int) -> None:
    """As a second implementation has it for Y, but for the coarsest scale's border; equal pictures cost nothing."""
    generator = torch.Generator().manual_seed(side)
    y = F.interpolate(torch.rand(2, 3, 24, 24, generator=generator), (side, side), mode="bicubic").clamp(0, 1)
    x = (y + 0.3 * torch.rand(y.shape, generator=generator) - 0.15).clamp(0, 1)
    brightness_x, brightness_y = ((luma(picture) - 16) / 219 for picture in (x, y))
    expected = multiscale_structural_similarity_index_measure(brightness_x, brightness_y, data_range=1.0)
    loss = Loss({"ms_ssim": 1.0})
    assert float(loss(x, y)) == pytest.approx(1 - float(expected), abs=2e-3)
    assert float(loss(x, y)) > 0.01
    assert float(loss(y, y)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("side", [11, 40, 96])
def test_ms_ssim_of_small_pictures_has_fewer_scales(side: int) -> None:
    """A patch of x2 training is judged by the scales it has, and a worse one costs more."""
    generator = torch.Generator().manual_seed(1)
    y = torch.rand(2, 3, side, side, generator=generator)
    noise = torch.rand(y.shape, generator=generator) - 0.5
    loss = Loss({"ms_ssim": 1.0})
    assert 0 < loss(y + 0.1 * noise, y) < loss(y + 0.4 * noise, y) < 1
    x = (y + 0.1 * noise).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x, y), x)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).any(1).all()
