"""`TrainConfig`: the options of a training run."""

import difflib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sr_model import losses
from sr_model.data import augment
from sr_model.degrading.degradations import DEGRADATIONS
from sr_model.errors import ConfigError
from sr_model.inference.devices import DEVICES
from sr_model.models import hub, weights
from sr_model.networks import presets
from sr_model.networks.base import SCALES
from sr_model.training import optimizers

# Options that may change when a run is resumed.
_FREE_ON_RESUME = {
    "resume",
    "init",
    "revive",
    "run_dir",
    "epochs",
    "max_steps",
    "lr",
    "restarts",
    "grad_clip",
    "accumulate",
    "workers",
    "cache_gb",
    "teacher_cache",
    "device",
    "val_every",
    "data",
    "low_dir",
    "high_dir",
    "val_data",
    "dry_run",
    "push",
    "push_every",
}
# Values in runs that were started before an option existed.
_BEFORE = {"optimizer": "adam"}
# Paths and devices of somebody's machine do not belong on a published card.
_NOT_ON_THE_CARD = {
    "data",
    "low_dir",
    "high_dir",
    "val_data",
    "run_dir",
    "resume",
    "init",
    "device",
    "workers",
    "cache_gb",
    "teacher_cache",
    "dry_run",
    "push",
    "push_every",
}


def _option(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a run. Each field is an option of train.py with the same name."""

    preset: str = _option("base", "network to train", choices=tuple(presets.PRESETS))
    network: str = _option("", "changes to the preset's network, such as skips=true,residual_blocks=2")
    scale: int = _option(2, "how many times larger the output is, per side; pairs have their own", choices=SCALES)
    data: tuple[str, ...] = _option(
        (), "folder of photos, CSV of pairs or name of a public set; may be repeated (default: examples)"
    )
    low_dir: str | None = _option(None, "folder of a CSV's low-resolution files (default: found beside it)")
    high_dir: str | None = _option(None, "folder of a CSV's high-resolution files (default: found beside it)")
    val_data: str | None = _option(None, "the same, to validate on (default: a part of --data is held out)")
    val_fraction: float = _option(0.1, "part of --data that is held out if there is no --val-data")
    degradation: str = _option(
        "bicubic",
        "how low resolution is made from photos; photo adds blur, noise and JPEG as phones and the web do",
        choices=DEGRADATIONS,
    )
    augment: str = _option("", "augmentation besides flips and quarter turns: rotation,scale,colour")
    fit: str = _option(
        "crop", "cut patches out of pictures, or resize each whole picture to one patch", choices=("crop", "resize")
    )
    epochs: int = _option(50, "how many times each photo's area is covered, on average")
    max_steps: int | None = _option(None, "number of steps, instead of --epochs; the learning rate falls over them")
    batch_size: int = _option(8, "patches per step")
    patch_size: int = _option(48, "side of a low-resolution patch in pixels")
    optimizer: str = _option(
        "muon",
        "muon is Muon for the convolutions within the network and Adam for the rest",
        choices=optimizers.CHOICES,
    )
    lr: float = _option(1e-3, "learning rate after warm-up; it falls to 0 along a cosine")
    warmup_steps: int = _option(200, "steps over which the learning rate rises from 0")
    grad_clip: float = _option(0.05, "maximum norm of the gradient, which is clipped to it; 0 turns clipping off")
    accumulate: int = _option(1, "compute each step in N parts, one after another, to save memory")
    restarts: int = _option(0, "how many times the learning rate restarts; each cycle takes an equal part of the run")
    loss: str = _option("l1", "loss to minimise, such as l1=1,perceptual=0.1,adversarial=0.005")
    ema: float = _option(0.999, "decay of the moving average (EMA) of the weights, which is what is validated and kept")
    precision: str = _option(
        "auto",
        "arithmetic of the training step; auto is bfloat16 if the hardware has it",
        choices=("auto", "float32", "bfloat16"),
    )
    device: str = _option("auto", "where it runs", choices=DEVICES)
    seed: int = _option(0, "random seed of the initial weights, the split, the patches and their order")
    val_every: int = _option(1000, "steps between validations; at most one epoch")
    workers: int = _option(0, "processes that prepare patches; 0 is enough on a CPU")
    cache_gb: float = _option(4.0, "gigabytes of decoded photos in memory; the rest is mapped from a file")
    init: str | None = _option(
        None,
        "weights to start from: a preset, a folder, a .safetensors file or hf://owner/name[@revision], of any scale; "
        "ignored on resuming",
    )
    revive: bool = _option(
        False, "with --init, begin anew with the channels that no validation picture activates and that never learn"
    )
    teacher: str | None = _option(
        None, "better network to learn from beside the truth: a preset or a folder of weights of the same scale"
    )
    teacher_cache: str = _option("runs/teachers", "folder that keeps what the teacher makes of the photos")
    run_dir: str | None = _option(None, "folder that the run writes to (default: runs/<preset>-x<scale>)")
    push: str | None = _option(
        None, "upload the best weights at the end to owner/name[@branch] on the Hugging Face Hub"
    )
    push_every: bool = _option(False, "with --push, upload each improvement too")
    resume: bool = _option(False, "continue the run in --run-dir, or start it if there is none")
    dry_run: bool = _option(False, "print the plan and, after a few steps, how long the run would take; write nothing")

    def __post_init__(self) -> None:
        presets.config(self.preset, self.scale, self.network)
        for f in fields(self):
            choices = f.metadata.get("choices")
            if choices and getattr(self, f.name) not in choices:
                allowed = ", ".join(map(str, choices))
                raise ConfigError(f"{flag(f.name)} is {getattr(self, f.name)!r}; choose one of: {allowed}.")
        augment.parse(self.augment)
        if self.push:
            hub.parse_or_refuse("--push", self.push)
        elif self.push_every:
            raise ConfigError("--push-every needs --push owner/name.")
        if self.revive and not self.init:
            raise ConfigError("--revive needs --init: it is for the weights that a run starts from.")
        for name in ("epochs", "batch_size", "patch_size", "val_every", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{flag(name)} is {getattr(self, name)}; it must be at least 1.")
        if self.max_steps is not None and self.max_steps < 1:
            raise ConfigError(f"--max-steps is {self.max_steps}; it must be at least 1.")
        if self.patch_size < 8:
            raise ConfigError(f"--patch-size is {self.patch_size}; it must be at least 8 pixels.")
        for name in ("warmup_steps", "restarts", "workers", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{flag(name)} is {getattr(self, name)}; it must not be negative.")
        if not self.cache_gb >= 0:  # also refuses NaN
            raise ConfigError(f"--cache-gb is {self.cache_gb}; it must not be negative.")
        if self.accumulate > self.batch_size:
            raise ConfigError(f"--accumulate is {self.accumulate}; it can be at most --batch-size, {self.batch_size}.")
        if not 0 < self.lr < 1:
            raise ConfigError(f"--lr is {self.lr}; it must lie between 0 and 1.")
        if self.grad_clip < 0:
            raise ConfigError(f"--grad-clip is {self.grad_clip}; it must not be negative.")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"--ema is {self.ema}; it must be at least 0 and less than 1.")
        if not 0 < self.val_fraction < 1:
            raise ConfigError(f"--val-fraction is {self.val_fraction}; it must lie between 0 and 1.")
        if self.teacher and self.degradation != "bicubic":
            raise ConfigError(
                f"--teacher learns from what another network makes of whole photos, and --degradation "
                f"{self.degradation} makes new ones for each patch. Leave one of the two out."
            )
        least = losses.min_output_side(self.terms)
        if self.min_side < least:
            raise ConfigError(
                f"--patch-size {self.patch_size} at x{self.scale} gives patches of {self.min_side} output pixels, and "
                f"--loss {self.loss} needs {least}. Choose larger patches or a simpler loss."
            )

    @classmethod
    def of_preset(cls, **given: Any) -> "TrainConfig":
        """The settings that a preset is trained with, overridden by those given.

        Raises ConfigError for an unknown preset and for unknown settings.
        """
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise ConfigError(f"There is no setting {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        preset = given.get("preset", "base")
        scale = presets.default_scale(preset)
        return cls(**{"scale": scale} | presets.PRESETS[preset].training | given)

    @property
    def terms(self) -> dict[str, float]:
        """The loss's terms with their weights."""
        return losses.parse(self.loss)

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator is trained too."""
        return "adversarial" in self.terms

    @property
    def is_of_pixels(self) -> bool:
        """Whether all terms of the loss compare pixels, so PSNR says which weights are best."""
        return self.terms.keys() <= losses.OF_PIXELS

    @property
    def folder(self) -> Path:
        return Path(self.run_dir or f"runs/{weights.name(self.preset, self.scale)}")

    @property
    def min_side(self) -> int:
        """Smallest side of a training picture, in high-resolution pixels."""
        return self.patch_size * self.scale

    @property
    def resize(self) -> int | None:
        """The side that whole pictures are resized to, in high-resolution pixels."""
        return self.min_side if self.fit == "resize" else None

    def check_same_run(self, begun: dict[str, Any]) -> None:
        """Raise ConfigError unless a run that was started with the settings `begun` can be resumed with these."""
        for f in fields(self):
            before, now = begun.get(f.name, _BEFORE.get(f.name, f.default)), _plain(getattr(self, f.name))
            if f.name not in _FREE_ON_RESUME and before != now:
                raise ConfigError(
                    f"The run in {self.folder} was started with {flag(f.name)} {before}, not {now}. "
                    "Use the same, or another --run-dir."
                )

    def for_card(self) -> dict[str, Any]:
        """The settings that belong on the model card, as json: of a teacher, the name without its folder."""
        card = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name not in _NOT_ON_THE_CARD}
        if self.teacher and not self.teacher.startswith(hub.PREFIX):
            card["teacher"] = Path(self.teacher).name
        return card


def _plain(value: Any) -> Any:
    """The value as it comes back from json."""
    return list(value) if isinstance(value, tuple) else value


def flag(name: str) -> str:
    """The option of train.py for a field."""
    return "--" + name.replace("_", "-")
