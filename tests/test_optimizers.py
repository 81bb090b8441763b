from pathlib import Path

import pytest
import torch
from torch import nn

from sr_model import networks
from sr_model.errors import ConfigError
from sr_model.networks import presets
from sr_model.training import TrainConfig, optimizers
from sr_model.training.optimizers import KernelMuon


def kernel(outputs: int, inputs: int, side: int) -> nn.Parameter:
    values = torch.randn(outputs, inputs, side, side, generator=torch.Generator().manual_seed(0))
    return nn.Parameter(values.to(memory_format=torch.channels_last))


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_kernels_move_as_torch_moves_their_matrices(memory_format: torch.memory_format) -> None:
    """In stacks of one shape, however the gradients lie in memory; over steps, so that momentum counts."""
    shapes = [(16, 8, 3), (8, 16, 3), (16, 8, 3), (32, 16, 1), (4, 1, 3), (16, 8, 3)]
    weights = [kernel(*shape) for shape in shapes]
    matrices = [nn.Parameter(weight.detach().permute(0, 2, 3, 1).flatten(1).clone()) for weight in weights]
    before = [matrix.detach().clone() for matrix in matrices]
    ours = KernelMuon(weights, lr=0.01)
    theirs = torch.optim.Muon(matrices, lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        for weight, matrix in zip(weights, matrices, strict=True):
            gradient = torch.randn(weight.shape, generator=generator)
            weight.grad = gradient.contiguous(memory_format=memory_format)
            matrix.grad = gradient.permute(0, 2, 3, 1).flatten(1)
        ours.step()
        theirs.step()
    for weight, matrix, start in zip(weights, matrices, before, strict=True):
        moved, expected = weight.detach().permute(0, 2, 3, 1).flatten(1) - start, matrix.detach() - start
        assert expected.norm() > 0
        assert (moved - expected).norm() < 0.02 * expected.norm()  # bfloat16's rounding may differ


def test_rare_directions_are_learned_as_fast_as_common_ones() -> None:
    """All singular values of a step are about the same, though the gradient's differ a thousandfold."""
    weight = kernel(16, 16, 3)
    before = weight.detach().clone()
    left, _, right = torch.linalg.svd(kernel(16, 16, 3).detach().flatten(1), full_matrices=False)
    gradient = left @ torch.diag(torch.logspace(0, -3, 16)) @ right
    weight.grad = gradient.view(16, 3, 3, 16).permute(0, 3, 1, 2)
    KernelMuon([weight], lr=1.0).step()
    values = torch.linalg.svdvals((weight.detach() - before).permute(0, 2, 3, 1).flatten(1))
    assert values[0] / values[12] < 3


@pytest.mark.parametrize("preset", presets.PRESETS)
@pytest.mark.parametrize("name", optimizers.CHOICES)
def test_each_weight_has_one_optimizer(preset: str, name: str) -> None:
    """Those of colours and the biases are Adam's."""
    network = networks.build(presets.config(preset, presets.default_scale(preset)))
    network = network.to(memory_format=torch.channels_last)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    made = optimizers.build(network, name, lr=1e-3)
    assert ("muon" in made) == (name == "muon")
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    made["optimizer"].step()
    still = [key for key, value in network.state_dict().items() if torch.equal(value, before[key])]
    kernels = [key for key, value in network.named_parameters() if value.dim() == 4]
    assert still == (kernels[1:-1] if name == "muon" else [])
    if "muon" in made:
        made["muon"].step()
    assert not any(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_the_tutorials_presets_keep_their_adam_and_others_are_refused(tmp_path: Path) -> None:
    """And a run that was begun before there was a choice is one of Adam's."""
    assert TrainConfig.of_preset(preset="classic").optimizer == "adam"
    assert TrainConfig.of_preset(preset="base").optimizer == "muon"
    with pytest.raises(ConfigError, match="--optimizer is 'sgd'; choose one of: muon, adam"):
        TrainConfig(optimizer="sgd")
    TrainConfig(optimizer="adam").check_same_run({"data": ()})
    with pytest.raises(ConfigError, match="was started with --optimizer adam, not muon"):
        TrainConfig(run_dir=str(tmp_path)).check_same_run({"data": ()})
