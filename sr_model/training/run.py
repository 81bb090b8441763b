"""`Run`: the parts of a training run, its data and its initial weights, and how it resumes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch import Tensor, nn

from sr_model import data
from sr_model.data import ListedFile, Photo, Preparation, augment
from sr_model.data.patches import Patches
from sr_model.data.picture_cache import PictureCache
from sr_model.errors import ConfigError, WeightsError
from sr_model.inference.devices import supports_bfloat16
from sr_model.inference.teacher import Teacher
from sr_model.models import places, weights
from sr_model.models.places import Place
from sr_model.models.weights import Card
from sr_model.networks import Network, presets
from sr_model.networks.layers import ResidualBlock
from sr_model.networks.plain import PlainAutoencoder
from sr_model.networks.quantization import is_quantized
from sr_model.networks.reshaping.growing import can_grow, grow
from sr_model.networks.reshaping.reviving import revive
from sr_model.training import checkpoint, validation
from sr_model.training.checkpoint import State
from sr_model.training.config import TrainConfig
from sr_model.training.distributed import Group
from sr_model.training.progress import Progress
from sr_model.training.step import Part, Plan, Stepper, batches, learning_rate
from sr_model.training.validation import Validation

BUNDLED_PHOTOS = Path(__file__).parent.parent.parent / "examples"
VALIDATION_PICTURES = 48  # at most this many, evenly spread over the sorted names
VALIDATION_SIDE = 512  # pixels; only the centre of larger pictures is used


class Run:
    """One network in training: its state, its steps, and the pictures it is trained and validated on."""

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
        """The rest of the run: for each remaining step, the parts of this process."""
        return batches(self.config, self.patches, self.plan, self.group, self.state.step)

    def begin(self) -> None:
        """Load the weights that --init names, if any. Raises ConfigError and WeightsError."""
        if not self.config.init:
            return
        model, card = find_weights(self.config.init, self.config.preset, self.config.scale)
        taken, left = transfer(model, self.state.model)
        if self.config.revive:
            dormant, channels = revive(self.state.model, self.validation.lows(), self.config.seed)
            self.log.say(f"{dormant} of {channels} channels were dormant and begin anew")
        self.state.averaged.load_state_dict(self.state.model.state_dict())
        self.state.earlier = card.training
        name = weights.name(card.preset, card.scale)
        if "weights" in card.training:
            name = f"{name} from {card.training['weights']}"
        if left:
            self.log.say(f"Starting from {name}: {len(taken)} tensors are copied, these are new: {', '.join(left)}")
        else:
            self.log.say(f"Starting from {name}")
            self.state.best = self.validation(self.state.averaged).as_dict(step=0)

    def can_go_on(self) -> bool:
        """Whether its folder has a checkpoint to resume from.

        Raises ConfigError if some processes find one and others do not: they would train different networks.
        """
        found = bool(checkpoint.checkpoints(self.folder / "checkpoints"))
        if self.group.any(found) and self.group.any(not found):
            raise ConfigError(
                f"Some processes find a run in {self.folder} and others do not. Put --run-dir on a disk that all "
                "machines see."
            )
        return found

    def go_on(self) -> None:
        """Load the newest intact checkpoint. Raises ConfigError if it is of another run or shape, and DataError."""
        tensors, meta, complaints = checkpoint.load_newest(self.folder / "checkpoints")
        for complaint in complaints:
            self.log.warn(complaint)
        self.config.check_same_run(meta["config"])
        if meta["patches"] != len(self.patches):
            raise ConfigError(
                f"The run in {self.folder} was started on other photos ({meta['patches']} patches an epoch, now "
                f"{len(self.patches)}). Use the same --data, or another --run-dir."
            )
        own = self.state.model.state_dict()
        if any(f"model.{name}" not in tensors or tensors[f"model.{name}"].shape != own[name].shape for name in own):
            raise ConfigError(
                f"The run in {self.folder} trains a network of another shape, which {self.config.preset} had in an "
                "earlier version. Use another --run-dir; --init takes its weights as far as they fit."
            )
        self.state.load(tensors, meta)
        step = self.state.step
        if self.group.any(self.group.sum(step) != step * self.group.size):
            raise ConfigError(
                f"The processes found checkpoints of different steps in {self.folder}, one of them of step {step:,}. "
                "Put --run-dir on a disk that all machines see."
            )

    def save(self) -> None:
        """Write a checkpoint; only rank 0 does."""
        if self.group.is_first:
            meta = self.state.values() | {"config": asdict(self.config), "patches": len(self.patches)}
            checkpoint.save(self.folder / "checkpoints", self.state.step, self.state.tensors(), meta)


def find_weights(source: str, preset: str, scale: int, option: str = "--init") -> tuple[Network, Card]:
    """The network that an option of train.py names: a preset ("base", "base-x2"), a place or a .safetensors file.

    A place is what `places.locate` takes: a folder, or a repository on the Hub. For a preset or place these are the
    weights of `scale` or, if there are none, of the nearest scale. Raises WeightsError, ConfigError and HubError.
    """
    path = Path(source)
    if path.suffix == ".safetensors":
        name, _, number = path.stem.rpartition("-x")
        if not number.isdecimal():
            raise ConfigError(f"{option} {source}: a file of weights is named <preset>-x<scale>.safetensors.")
        return weights.load(name, int(number), path.parent)
    if path.is_dir():
        return _nearest(option, source, preset, scale, Place(path))
    name, _, number = source.rpartition("-x")
    if name in presets.PRESETS and number.isdecimal():
        return weights.load(name, int(number))
    if source in presets.PRESETS:
        return _nearest(option, source, source, scale, Place(weights.SHIPPED))
    place = places.locate(source, [f"{preset}-x*"])
    if place.repo:
        return _nearest(option, source, preset, scale, place)
    raise ConfigError(
        f"{option} {source}: there is no such folder, .safetensors file, repository (hf://owner/name) or preset. "
        f"Presets: {', '.join(presets.PRESETS)}."
    )


def find_teacher(config: TrainConfig) -> Teacher:
    """The network that --teacher names. Raises WeightsError, ConfigError and HubError."""
    assert config.teacher, "it was asked for"
    preset = config.preset
    if Path(config.teacher).is_dir():  # of whatever preset
        preset = next((name for name, _ in weights.available(Path(config.teacher))), preset)
    network, card = find_weights(config.teacher, preset, config.scale, "--teacher")
    if network.scale != config.scale:
        raise ConfigError(
            f"--teacher {config.teacher}: {weights.name(card.preset, card.scale)} cannot teach a network of scale "
            f"{config.scale}. Name weights of that scale."
        )
    return Teacher(network, card, Path(config.teacher_cache), config.device)


def _nearest(option: str, source: str, preset: str, scale: int, place: Place) -> tuple[Network, Card]:
    scales = [s for name, s in weights.available(place.folder) if name == preset]
    if not scales:
        have = ", ".join(weights.name(*entry) for entry in weights.described(place.folder)) or "none"
        raise WeightsError(f"{option} {source}: there are no weights of {preset}; there are: {have}.")
    model, card = weights.load(preset, min(scales, key=lambda s: abs(s - scale)), place.folder)
    if place.repo:
        card.training["weights"] = str(place)
    return model, card


def transfer(source: nn.Module, target: nn.Module) -> tuple[list[str], list[str]]:
    """Copy every tensor that both have in the same shape; return the names (copied, left unchanged).

    A larger plain network than the source's is grown from it, and further residual blocks begin as the identity.
    Raises ConfigError if nothing fits, and for 8-bit weights.
    """
    if is_quantized(source):
        raise ConfigError("--init: 8-bit weights cannot be trained; start from the weights that they were made from.")
    match source, target:
        case PlainAutoencoder(), PlainAutoencoder() if can_grow(source.config, target.config):
            new = grow(source, target)
            return [name for name in target.state_dict() if name not in new], new
    given: dict[str, Tensor] = source.state_dict()
    wanted: dict[str, Tensor] = target.state_dict()
    taken = [name for name, value in wanted.items() if name in given and given[name].shape == value.shape]
    left = [name for name in wanted if name not in taken]
    if not taken:
        raise ConfigError("--init: these weights are of another network; none of them fits.")
    target.load_state_dict({name: given[name] for name in taken}, strict=False)
    for name, module in target.named_modules():
        if isinstance(module, ResidualBlock) and f"{name}.conv2.weight" in left:
            nn.init.zeros_(module.conv2.weight)
            nn.init.zeros_(module.conv2.get_parameter("bias"))
    return taken, left


def load_data(config: TrainConfig, log: Progress, cache: PictureCache, group: Group) -> tuple[Patches, list[Photo]]:
    """(training patches, with pixels in the cache; validation pictures). Raises DataError.

    The processes of a machine share one cache file, which one of them fills.
    """

    def listed(sources: Sequence[str | Path]) -> list[ListedFile]:
        return data.list_files(sources, config.scale, log.warn, log.say, config.low_dir, config.high_dir)

    files = listed(config.data or (BUNDLED_PHOTOS,))
    if config.val_data:
        training, held_out = files, listed((config.val_data,))
    else:
        training, held_out = data.split(files, config.val_fraction, config.seed)
    log.say(f"Reading {len(training):,} photos for training and {len(held_out):,} for validation")
    # Unless it is bicubic, training makes the low resolution anew for each patch.
    how = Preparation(config.scale, config.min_side, resize=config.resize, seed=config.seed)
    teacher = find_teacher(config) if config.teacher and not config.dry_run else None

    def load_photos() -> list[Photo]:
        photos = data.load_photos(training, how, log.warn, cache)
        if teacher:
            teacher.prepare(photos, log.say)
        return photos

    photos = group.share(load_photos)
    if teacher:
        photos = [replace(photo, taught=teacher.path(photo)) for photo in photos]
    chosen = data.evenly(held_out, VALIDATION_PICTURES)
    # Always with the default seed, so runs with different seeds are compared on the same pictures.
    least = max(4 * config.scale, validation.MIN_SIDE)
    how = Preparation(config.scale, least, VALIDATION_SIDE, config.resize, config.degradation)
    pictures = data.load_photos(chosen, how, log.warn)
    augmentation = augment.parse(config.augment)
    patches = Patches(photos, config.patch_size, config.scale, config.seed, config.degradation, augmentation)
    return patches, pictures


def photo_sets(patches: Patches) -> dict[str, int]:
    """The number of photos per set, for the model card."""
    return dict(Counter(photo.set_name for photo in patches.photos))
