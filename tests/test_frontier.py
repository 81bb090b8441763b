import pytest

from benchmarks.frontier import SCALES, Point, Published, Stack, beaten, published, section
from sr_model.networks.layers import parameter_count

PARAMETERS = {"ecbsr/M4C16": 11_548, "etds/M6C32": 60_008, "etds/M7C48": 152_184}  # at x2, activations' included


@pytest.mark.parametrize("scale", SCALES)
def test_published_figures_are_plausible(scale: int) -> None:
    """Every network is above bicubic and below the best there is; plain stacks have both of their numbers."""
    found = published(scale)
    assert len({p.name for p in found}) == len(found) > 20
    assert all(28 < p.set5 < 39 and p.scale == scale and (p.depth is None) == (p.width is None) for p in found)


def test_stacks_have_the_published_shapes() -> None:
    """Parameters are the published ones, but for those of their activations: less than 1 %."""
    by_name: dict[str, Published] = {p.name: p for p in published(2)}
    for name, expected in PARAMETERS.items():
        depth, width = by_name[name].depth, by_name[name].width
        assert depth is not None
        assert width is not None
        assert parameter_count(Stack(2, depth, width)) == pytest.approx(expected, rel=0.01)


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
