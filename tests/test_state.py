import pytest
import torch

from sr_model.training import TrainConfig
from sr_model.training.checkpoint import State, running_mean


def test_the_running_mean_forgets_the_start_and_then_decays() -> None:
    """After one update most of the random start is gone; later it is the usual exponential mean."""
    for updates, decay in ((1, 2 / 11), (10**6, 0.99)):
        averaged, current = [torch.tensor([0.0])], [torch.tensor([1.0])]
        running_mean(0.99)(averaged, current, torch.tensor(updates))
        assert averaged[0].item() == pytest.approx(1 - decay)


def test_what_an_older_checkpoint_does_not_say_is_known() -> None:
    """It was written after a validation, where one was due, by a run that began with nothing."""
    state = State(TrainConfig(preset="nano"), torch.device("cpu"))
    state.load(state.tensors(), {"step": 4, "seconds": 1.0, "best": {}})
    assert (state.validated, state.earlier) == (4, {})
