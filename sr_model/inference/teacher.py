"""What a better network makes of the photos that another is trained on, kept on disk."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sr_model.data.photos import Photo, Say
from sr_model.errors import DataError
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.models.weights import Card
from sr_model.networks import Network
from sr_model.system.files import remove_leftovers, write_atomically


class Teacher:
    """A network's mean over the 8 flips and turns of each photo's low resolution, rounded to 8 bits.

    A student learns more from such pictures beside the truth than from the truth only, as they hold what a network can
    know (Hinton et al. 2015). Each is made once and kept as a file named after the pixels that it was made of, so
    that other runs, other photos and interruptions cost nothing twice.
    """

    def __init__(self, network: Network, card: Card, folder: Path, device: str = "auto") -> None:
        """Pictures go to a folder of these weights' own in `folder`. Raises ConfigError as `Upscaler` does."""
        self.upscaler = Upscaler(network, device, quality="max")
        self.folder = folder / f"{weights.name(card.preset, card.scale)}-{card.sha256[:12]}"

    def path(self, photo: Photo) -> Path:
        """The .npy file of a photo: (scale * h, scale * w, 3) uint8, as its `high`."""
        shape = "x".join(map(str, photo.low.shape))
        digest = hashlib.sha256(shape.encode() + np.ascontiguousarray(photo.low).data).hexdigest()
        return self.folder / f"{digest[:32]}.npy"

    def prepare(self, photos: Sequence[Photo], say: Say) -> None:
        """Make what is missing, and say how large it all is. Raises DataError where the disk does not take it."""
        size = sum(photo.high.nbytes for photo in photos) / 1e9
        made = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.folder)
            for number, photo in enumerate(photos, 1):
                path = self.path(photo)
                if not _is_whole(path, photo):
                    stream = io.BytesIO()
                    np.save(stream, self.upscaler(Picture(np.array(photo.low))).pixels)
                    write_atomically(path, stream.getvalue())
                    made += 1
                    if made == 1 or number % 100 == 0:
                        say(f"The teacher's picture {number:,} of {len(photos):,}")
        except OSError as error:
            raise DataError(
                f"The teacher's pictures, {size:.1f} GB, cannot be kept in {self.folder}: {error.strerror}. Make room, "
                "or name a folder on another disk by --teacher-cache; what is there already is used again."
            ) from None
        say(f"The teacher's pictures take {size:.1f} GB in {self.folder}; {made:,} of {len(photos):,} were made now")


def _is_whole(path: Path, photo: Photo) -> bool:
    try:
        return bool(np.load(path, mmap_mode="r").shape == photo.high.shape)
    except (OSError, ValueError, EOFError):  # not there, or cut off
        return False
