import dataclasses
import json
from typing import Any

import pytest

from sr_model.errors import ConfigError
from sr_model.training import TrainConfig


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"batch_size": 0}, "--batch-size"),
        ({"patch_size": 4}, "--patch-size"),
        ({"max_steps": 0}, "--max-steps"),
        ({"lr": 0.0}, "--lr"),
        ({"grad_clip": -1.0}, "--grad-clip"),
        ({"ema": 1.0}, "--ema"),
        ({"val_fraction": 1.0}, "--val-fraction"),
        ({"warmup_steps": -1}, "--warmup-steps"),
        ({"loss": "l3"}, "--loss"),
        ({"loss": "l1,vgg,perceptual"}, "--loss"),
        ({"loss": "l1,adversarial", "scale": 1, "patch_size": 12}, "--patch-size"),
        ({"accumulate": 0}, "--accumulate"),
        ({"accumulate": 9}, "--batch-size"),
        ({"restarts": -1}, "--restarts"),
        ({"workers": -1}, "--workers"),
        ({"augment": "mixup"}, "--augment"),
        ({"degradation": "fog"}, "--degradation"),
        ({"fit": "stretch"}, "--fit"),
        ({"network": "depth=3"}, "--network"),
        ({"preset": "giant"}, "no preset"),
        ({"scale": 5}, "Scale 5"),
    ],
)
def test_impossible_settings_are_refused_by_the_flag_s_name(values: dict[str, Any], flag: str) -> None:
    """Before anything is read or written."""
    with pytest.raises(ConfigError, match=flag):
        TrainConfig(**values)


def test_another_run_is_told_from_the_same_one_gone_on() -> None:
    """What a run learns must stay; how long, how fast and where may change, and a younger setting has its default."""
    begun = json.loads(json.dumps(dataclasses.asdict(TrainConfig(data=("photos",), init="base"))))
    del begun["augment"]
    TrainConfig(resume=True, epochs=99, lr=1e-4, data=("elsewhere",), run_dir="moved").check_same_run(begun)
    others: dict[str, Any] = {"seed": 1, "loss": "mse", "batch_size": 4, "augment": "colour"}
    for name, value in others.items():
        with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} .*, not {value}"):
            TrainConfig(**{name: value}).check_same_run(begun)


def test_a_card_tells_no_path() -> None:
    """What is published is what was learned, not where on somebody's machine."""
    names = ("val_data", "low_dir", "high_dir", "init", "run_dir", "teacher_cache")
    paths: dict[str, Any] = dict.fromkeys(names, "/here")
    config = TrainConfig(data=("/here",), teacher="/here/large-x2.safetensors", **paths)
    text = json.dumps(config.for_card())
    assert "/here" not in text
    assert json.loads(text)["batch_size"] == 8
    assert json.loads(text)["teacher"] == "large-x2.safetensors"


def test_a_card_names_a_teacher_of_the_hub_in_full() -> None:
    """Anyone can find it there; a preset has no folder to leave out."""
    for name in ("hf://owner/name@main", "large"):
        assert TrainConfig(teacher=name).for_card()["teacher"] == name


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"precision": "fp16"}, "--precision is 'fp16'; choose one of: auto, float32, bfloat16."),
        ({"scale": 0}, "Scale 0 is not supported; choose one of: 1, 2, 3, 4."),
        ({"seed": -1}, "--seed is -1; it must not be negative."),
        ({"device": "gpu"}, "--device is 'gpu'; choose one of: auto, cuda, mps, cpu."),
        ({"preset": "huge"}, "There is no preset 'huge'; choose one of: nano"),
    ],
)
def test_no_setting_is_taken_for_another(given: dict[str, Any], sentence: str) -> None:
    """Each value that is not among the choices is refused with them, and none silently becomes the default."""
    with pytest.raises(ConfigError) as error:
        TrainConfig(**given)
    assert str(error.value).startswith(sentence)
