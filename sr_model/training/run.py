"""A training run: what it is made of, what it begins with, and what it goes on from."""

from collections.abc import Iterator
from dataclasses import asdict

from sr_model import weights
from sr_model.data import Photo
from sr_model.data.patches import Patches
from sr_model.devices import supports_bfloat16
from sr_model.errors import ConfigError
from sr_model.training import checkpoint, initial
from sr_model.training.config import TrainConfig
from sr_model.training.distributed import Group
from sr_model.training.progress import Progress
from sr_model.training.state import State
from sr_model.training.step import Part, Plan, Stepper, batches, learning_rate
from sr_model.training.validation import Validation


class Run:
    """One network in training: its state, what changes it, and what it is trained and validated on."""

    def __init__(
        self, config: TrainConfig, group: Group, patches: Patches, pictures: list[Photo], log: Progress
    ) -> None:
        self.config, self.group, self.patches, self.log = config, group, patches, log
        self.device, self.folder = group.device, config.folder
        self.bfloat16 = config.precision == "bfloat16" or (
            config.precision == "auto" and supports_bfloat16(self.device)
        )
        self.state = State(config, self.device)
        self.stepper = Stepper(config, self.state, group, self.bfloat16)
        self.plan = Plan.of(config, len(patches))
        self.interval = min(config.val_every, self.plan.steps_per_epoch)
        self.validation = Validation(pictures, config, group)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return learning_rate(self.config, self.plan, self.state.step - 1)

    def batches(self) -> Iterator[list[Part]]:
        """What is left of it: for each step to the end the parts that are this process's."""
        return batches(self.config, self.patches, self.plan, self.group, self.state.step)

    def begin(self) -> None:
        """With the weights that --init names, if it does. Raises ConfigError and WeightsError."""
        if not self.config.init:
            return
        model, card = initial.find(self.config.init, self.config.preset, self.config.scale)
        taken, left = initial.transfer(model, self.state.model)
        self.state.averaged.load_state_dict(self.state.model.state_dict())
        self.state.earlier = card.training
        name = weights.name(card.preset, card.scale)
        if left:
            self.log.say(f"Begun from {name}: {len(taken)} tensors are taken, these are new: {', '.join(left)}")
        else:
            self.log.say(f"Begun from {name}")
            self.state.best = self.validation(self.state.averaged).as_dict(step=0)

    def can_go_on(self) -> bool:
        """Whether its folder has what it would go on from."""
        return bool(checkpoint.checkpoints(self.folder / "checkpoints"))

    def go_on(self) -> None:
        """From the newest checkpoint that is whole. Raises ConfigError where that is another run's, and DataError."""
        tensors, meta, complaints = checkpoint.load_newest(self.folder / "checkpoints")
        for complaint in complaints:
            self.log.warn(complaint)
        self.config.check_same_run(meta["config"])
        if meta["patches"] != len(self.patches):
            raise ConfigError(
                f"The run in {self.folder} was begun on other photos ({meta['patches']} patches an epoch, now "
                f"{len(self.patches)}). Use the same --data, or another --run-dir."
            )
        self.state.load(tensors, meta)

    def save(self) -> None:
        """Write a checkpoint, which the first process does for all."""
        if self.group.is_first:
            meta = self.state.values() | {"config": asdict(self.config), "patches": len(self.patches)}
            checkpoint.save(self.folder / "checkpoints", self.state.step, self.state.tensors(), meta)
