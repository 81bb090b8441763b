import pytest
import torch

from benchmarks.frontier import SCALES, Point, beaten, compiled, published, section
from benchmarks.shapes import SHAPES
from sr_model.networks.layers import parameter_count

CASES = [(p.name, scale) for scale in SCALES for p in published(scale) if p.name in SHAPES]


@pytest.mark.parametrize("scale", SCALES)
def test_published_figures_are_plausible(scale: int) -> None:
    """Every network is above bicubic and below the best there is, and has its name once."""
    found = published(scale)
    assert len({p.name for p in found}) == len(found) > 20
    assert all(28 < p.set5 < 39 and p.scale == scale for p in found)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_a_shape_has_the_published_number_of_parameters(name: str, scale: int) -> None:
    (row,) = (p for p in published(scale) if p.name == name)
    assert parameter_count(SHAPES[name](scale)) == row.parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_enlarges_and_openvino_computes_what_torch_does(name: str) -> None:
    """At the first scale it is published for, on sides that no stride divides."""
    scale = next(scale for case, scale in CASES if case == name)
    torch.manual_seed(0)
    network, x = SHAPES[name](scale).eval(), torch.rand(1, 3, 90, 107)
    with torch.inference_mode():
        expected = network(x)
    assert expected.shape == (1, 3, 90 * scale, 107 * scale)
    (result,) = compiled(network, x)().values()
    torch.testing.assert_close(torch.from_numpy(result), expected, atol=1e-3, rtol=1e-3)


def test_beaten_is_slower_and_no_better_at_the_same_scale() -> None:
    """A preset that is slower, worse or of another scale beats nobody."""
    theirs = Point("theirs", 2, 1.0, 37.0, ours=False)
    for ours, expected in (
        (Point("good", 2, 0.9, 37.1, ours=True), 1),
        (Point("slow", 2, 1.1, 37.1, ours=True), 0),
        (Point("worse", 2, 0.9, 36.9, ours=True), 0),
        (Point("other", 3, 0.9, 37.1, ours=True), 0),
    ):
        assert len(beaten([ours, theirs])) == expected
    assert "Of 1 published networks, 1 are slower" in section([Point("good", 2, 0.9, 37.1, ours=True), theirs])
