"""What a run is trained and validated on, as its config asks for it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sr_model import data
from sr_model.data import ListedFile, Photo, Preparation, augment
from sr_model.data.patches import Patches
from sr_model.data.picture_cache import PictureCache
from sr_model.training import validation
from sr_model.training.config import TrainConfig
from sr_model.training.progress import Progress

BUNDLED_PHOTOS = Path(__file__).parent.parent.parent / "examples"
VALIDATION_PICTURES = 48  # at most this many are validated on, evenly spread over the sorted names
VALIDATION_SIDE = 512  # pixels: only the centre of larger ones


def load(config: TrainConfig, log: Progress, cache: PictureCache) -> tuple[Patches, list[Photo]]:
    """(what is trained on, whose pixels the cache keeps; what is validated on). Raises DataError."""

    def listed(sources: Sequence[str | Path]) -> list[ListedFile]:
        return data.list_files(sources, config.scale, log.warn, log.say, config.low_dir, config.high_dir)

    files = listed(config.data or (BUNDLED_PHOTOS,))
    if config.val_data:
        training, held_out = files, listed((config.val_data,))
    else:
        training, held_out = data.split(files, config.val_fraction, config.seed)
    log.say(f"Reading {len(training):,} photos for training and {len(held_out):,} for validation")
    # Training makes low resolution anew for each patch, where it is not bicubic.
    how = Preparation(config.scale, config.min_side, resize=config.resize, seed=config.seed)
    photos = data.load_photos(training, how, log.warn, cache)
    chosen = data.evenly(held_out, VALIDATION_PICTURES)
    # Always of one seed: runs with others are compared on the same pictures.
    least = max(4 * config.scale, validation.MIN_SIDE)
    how = Preparation(config.scale, least, VALIDATION_SIDE, config.resize, config.degradation)
    pictures = data.load_photos(chosen, how, log.warn)
    augmentation = augment.parse(config.augment)
    patches = Patches(photos, config.patch_size, config.scale, config.seed, config.degradation, augmentation)
    return patches, pictures


def sets(patches: Patches) -> dict[str, int]:
    """How many photos of which set, for the model card."""
    return dict(Counter(photo.set_name for photo in patches.photos))
