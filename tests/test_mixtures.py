from pathlib import Path

import pytest
import torch

from sr_model.commands.main import main
from sr_model.errors import ConfigError
from sr_model.models import weights
from sr_model.models.mixtures import mix
from tests.conftest import tiny_model


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A parent in weights/, and two runs that began with it."""
    weights.save(tiny_model(), "base", tmp_path / "weights", {"hours": 2.0}, {})
    for seed, name in ((1, "light"), (2, "heavy")):
        training = {"arguments": {"degradation": name}, "hours": 2.5, "steps": seed, "sets": {"photos": 7}}
        weights.save(tiny_model(seed=seed), "photo", tmp_path / name, training, {})
    return [tmp_path / "light", tmp_path / "heavy"]


def test_each_set_is_exactly_itself_at_its_strength(runs: list[Path], tmp_path: Path) -> None:
    """And halfway between two it is their mean; the card counts the parent's hours once."""
    card = mix("base", runs, tmp_path / "out", tmp_path / "weights")
    assert card.strengths == {"parent": 0.0, "light": 0.5, "heavy": 1.0}
    assert card.training["hours"] == 3.0
    states = [tiny_model(seed=seed).state_dict() for seed in (0, 1, 2)]
    for strength, state in ((0, states[0]), (0.5, states[1]), (1, states[2])):
        found = weights.load("photo", 2, tmp_path / "out", strength)[0].state_dict()
        assert all(torch.equal(found[key], value) for key, value in state.items())
    between = weights.load("photo", 2, tmp_path / "out", 0.75)[0].state_dict()
    assert all(torch.allclose(between[key], (states[1][key] + states[2][key]) / 2) for key in between)


def test_a_parent_that_was_trained_on_since_does_not_take_hours_away(runs: list[Path], tmp_path: Path) -> None:
    """Runs that began before that have fewer hours than the parent has now."""
    weights.save(tiny_model(), "base", tmp_path / "weights", {"hours": 9.0}, {})
    assert mix("base", runs, tmp_path / "out", tmp_path / "weights").training["hours"] == 9.0


def test_a_mixed_parent_gives_its_weights_of_strength_0(runs: list[Path], tmp_path: Path) -> None:
    """So weights can be mixed anew: the parent stays the same, and its hours are counted once."""
    folder = tmp_path / "weights"
    before = mix("base", runs, folder, folder)
    again = mix("photo", runs[1:], folder, folder)
    assert again.training["parent"] == before.training["parent"]
    assert (again.training["earlier"], again.training["hours"]) == ({"hours": 2.0}, 2.5)
    state = weights.load("photo", 2, folder, 0)[0].state_dict()
    assert all(torch.equal(state[key], value) for key, value in tiny_model().state_dict().items())


def test_what_cannot_be_mixed_is_refused(runs: list[Path], tmp_path: Path) -> None:
    """Two runs on the same degradation, other networks, folders without weights, each in a sentence."""
    with pytest.raises(ConfigError, match="degradation of its own"):
        mix("base", [runs[0], runs[0]], tmp_path / "out", tmp_path / "weights")
    weights.save(tiny_model(scale=3), "photo", tmp_path / "larger", {}, {})
    with pytest.raises(ConfigError, match="cannot be mixed"):
        mix("base", [runs[0], tmp_path / "larger"], tmp_path / "out", tmp_path / "weights")
    with pytest.raises(ConfigError, match="none"):
        mix("base", [tmp_path / "nothing"], tmp_path / "out", tmp_path / "weights")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_made(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Beside the parent, which is looked up where the result goes; a parent that is not there is a sentence."""
    options = [*map(str, runs), "--weights", str(tmp_path / "weights"), "--parent", "base"]
    assert main(["mix", *options]) == 0
    assert "light 0.5, heavy 1" in capsys.readouterr().out
    assert weights.read_card("photo", 2, tmp_path / "weights").strengths
    assert main(["mix", *options, "--parent", "nano"]) == 1
    assert "There are no weights for nano-x2" in capsys.readouterr().err
