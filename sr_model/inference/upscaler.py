"""`Upscaler`: the one interface that the page, the command line and the library share."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import Generic, Literal, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr_model.errors import ConfigError, SRError
from sr_model.imaging import agreement, images
from sr_model.imaging.finishing.fused import expect_many, fused
from sr_model.imaging.images import Picture
from sr_model.imaging.kinds import ImageLike, as_picture
from sr_model.imaging.resampling import bicubic_times
from sr_model.imaging.tiles import tiled, tiles
from sr_model.inference import engines
from sr_model.inference.engines import Engine
from sr_model.inference.ensemble import QUALITIES, SelfEnsemble
from sr_model.inference.mapping import mapped
from sr_model.inference.mixing import AUTO, Mixed, parse_strength
from sr_model.models import places, weights
from sr_model.models.places import Place
from sr_model.models.weights import Card
from sr_model.networks import Network, presets

# Tile sides in input pixels: smaller tiles spend more on margins, larger ones take more memory and respond later.
TILES = (256, 384, 512, 640)
LAYER_BYTES = 100_000_000  # of a tile's largest layer; about four of these are alive at a time


@dataclass(frozen=True)
class Step(Generic[ImageLike]):
    """The progress of an enlargement; the pictures are set once `done` equals `total`."""

    done: int  # tiles
    total: int
    seconds: float  # spent in the network so far
    result: ImageLike | None = None
    bicubic: ImageLike | None = None  # the plain bicubic enlargement, if requested


class Upscaler:
    """Enlarges pictures of any mode and any size from 1x1, with one preset at one scale.

    >>> upscaler = Upscaler.from_preset("base", scale=2)
    >>> large = upscaler(small)  # a PIL image or an array, like `small`

    Alpha, grey, 16-bit grey and the colour profile are kept. Large pictures are processed in tiles, whose margin
    is the network's receptive field, so tiling does not change the result.
    """

    def __init__(
        self,
        model: Network,
        device: str = "auto",
        tile: int = 0,
        engine: str = "auto",
        quality: str = "normal",
        at_strength: Callable[[float], Network] | None = None,
        strength: float | str = AUTO,
        streams: int = 1,
    ) -> None:
        """`tile` is the largest side of a tile in input pixels; 0 picks the best for the network.

        `quality` "max" averages over 8 flips and quarter turns, in 8 times the time.

        Raises ConfigError as `engines.load` does, for a tile that is not a multiple of the network's stride, and for
        an unknown quality or strength.

        `at_strength` gives the same network with weights mixed at a strength from 0 to 1; `strength` is the one to
        take for all pictures, or "auto" for what `find_strength` finds of each.

        `streams` pictures are enlarged at a time by `map` and folder jobs, where the engine is OpenVINO: each has its
        share of the processors then, which is less work in all, but makes a single picture slower.
        """
        fixed = parse_strength(strength)
        if quality not in QUALITIES:
            raise ConfigError(f"There is no quality {quality!r}; choose one of: {', '.join(QUALITIES)}.")
        if tile < 0 or tile % model.stride:
            raise ConfigError(f"Tiles of {tile} pixels are not possible; give a multiple of {model.stride}, or 0.")

        def load(network: Network) -> Engine:
            single = engines.load(network, device, engine, streams)
            return SelfEnsemble(single) if quality == "max" else single

        self.engine: Engine = load(model)
        self.streams = self.engine.streams
        self.mixed = Mixed(at_strength, load, fixed) if at_strength else None
        self.quality = quality
        self.strength = strength
        self.device = self.engine.device
        self.model = model
        self.tile = tile or best_tile(model)
        self.scale = model.scale
        self.card: Card | None = None  # of its weights, where they were loaded here
        self.place: Place | None = None  # where they were found

    @classmethod
    def from_preset(
        cls,
        preset: str = "base",
        scale: int | None = None,
        device: str = "auto",
        folder: str | os.PathLike = weights.SHIPPED,
        tile: int = 0,
        engine: str = "auto",
        quality: str = "normal",
        strength: float | str = AUTO,
        streams: int = 1,
    ) -> "Upscaler":
        """Load the weights of `preset` at `scale` (by default the preset's own) from `folder`.

        `device` is auto, cuda, mps or cpu; `engine` is auto, torch or openvino; `tile` and `quality` as above.
        `strength`, 0 to 1 or auto, is how strongly a preset of mixed weights repairs; others know none. With `streams`
        that many pictures are enlarged at a time where there are many; see above.

        Raises ConfigError for unknown names, WeightsError if weights are missing or damaged, and HubError if they are
        not in the package and cannot be downloaded.
        """
        return cls.from_pretrained(folder, preset, scale, None, device, tile, engine, quality, strength, streams)

    @classmethod
    def from_pretrained(
        cls,
        where: str | os.PathLike,
        preset: str = "base",
        scale: int | None = None,
        revision: str | None = None,
        device: str = "auto",
        tile: int = 0,
        engine: str = "auto",
        quality: str = "normal",
        strength: float | str = AUTO,
        streams: int = 1,
    ) -> "Upscaler":
        """Load the weights of `preset` at `scale` from the Hub's repository "owner/name", or from a folder.

        `revision` is a branch, a tag or a commit; `place` says as which commit it was resolved. What was downloaded
        once is not downloaded again, and offline it is what is used. The rest, and what is raised, as in `from_preset`.
        """
        if scale is None and presets.is_known(preset):
            scale = presets.default_scale(preset)
        name = weights.name(preset, scale) if scale else f"{preset}-x*"
        place = places.locate(where, [name], revision or "")
        if scale is None:  # a newer version's preset: its json has all that matters
            scale = next((s for p, s in weights.available(place.folder) if p == preset), 0)
        model, card = weights.load(preset, scale, place.folder)

        def at_strength(value: float) -> Network:
            return weights.load(preset, card.scale, place.folder, value)[0]

        mixed = at_strength if card.strengths else None
        upscaler = cls(model, device, tile, engine, quality, mixed, strength, streams)
        upscaler.card, upscaler.place = card, place
        return upscaler

    @property
    def is_mixed(self) -> bool:
        """Whether its weights depend on the strength, and so on the picture."""
        return self.mixed is not None

    def strength_of(self, picture: Picture) -> float:
        """The strength that a picture is enlarged with; 0 for a preset that knows none."""
        return self.mixed.strength_of(picture) if self.mixed else 0.0

    def at(self, strength: float | str) -> "Upscaler":
        """This one with a strength for all pictures, or "auto"; both share what is loaded. Raises ConfigError."""
        other = copy(self)
        other.strength = strength
        other.mixed = self.mixed and self.mixed.at(parse_strength(strength))
        return other

    def __call__(self, image: ImageLike) -> ImageLike:
        """The image `scale` times larger on each side, in the kind that was given: PIL image, array or `Picture`.

        Arrays are (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16. Raises ImageError for other arrays and for modes
        with 32 bits per channel, and MemoryLimitError if CUDA runs out of memory even with the smallest tiles.
        """
        *_, last = self.steps(image)
        assert last.result is not None, "an enlargement ends with its result"
        return last.result

    def steps(
        self, image: ImageLike, with_bicubic: bool = False, strength: float | None = None
    ) -> Iterator[Step[ImageLike]]:
        """Enlarge tile by tile, yielding before the first and after each one; abandon the generator to stop the work.

        Accepts and raises what a call does. `with_bicubic` also returns the bicubic enlargement, at the cost of its
        memory only. `strength`, 0 to 1, is taken in the place of the `Upscaler`'s own for this image.
        """
        picture, back = as_picture(image)
        engine, repair, margin = self.engine, 0.0, self.model.receptive_field
        if self.mixed:
            repair = self.mixed.strength_of(picture) if strength is None else strength
            engine = self.mixed.engine_at(repair)
        if repair:
            margin += agreement.MARGIN
        seconds = 0.0

        def function(x: Tensor) -> Tensor:
            nonlocal seconds
            x = x.to(self.device)
            y, taken = self._through(x, engine)
            seconds += taken
            if picture.pixels.dtype == np.uint8 and not repair:
                in_bytes = self.model.finish_in_bytes(y, x)
                bicubic = fused(x, self.scale) if with_bicubic and in_bytes is not None else None
                if in_bytes is not None:
                    return in_bytes if bicubic is None else torch.cat([in_bytes, bicubic])
            large = bicubic_times(x, self.scale)
            y = self.model.finish(y, x, large)
            if repair:
                y = agreement.agreeing(y, x, repair)
            return torch.cat([y, large]) if with_bicubic else y

        model, count = self.model, 2 if with_bicubic else 1
        work = _enlarge(function, picture, count, self.scale, self.tile, margin, model.stride)
        for done, total, pictures in work:
            yield Step(done, total, seconds, *map(back, pictures))

    @overload
    def map(self, images: Iterable[ImageLike], errors: Literal[False] = False) -> Generator[ImageLike, None, None]: ...
    @overload
    def map(self, images: Iterable[ImageLike], errors: Literal[True]) -> Generator[ImageLike | SRError, None, None]: ...
    def map(self, images: Iterable[ImageLike], errors: bool = False) -> Generator[ImageLike | SRError, None, None]:
        """The images enlarged, in order and in the kinds they came in, like the built-in `map`.

        `images` is iterated in a thread of its own, and the network works ahead in another, so reading the next files
        and using the last results take no time of its own. Results that wait, and all else that is on its way, take at
        most `overlap.BUDGET` bytes, or as much as the largest image needs. What a call raises for an image is raised
        in its place and ends the iteration; with `errors` it is yielded instead, and the rest goes on.
        """
        return mapped(images, self, as_picture, errors)

    def on_floats(self, x: Tensor) -> tuple[Tensor, float]:
        """(N, 3, H, W) in [0, 1] -> (N, 3, scale * H, scale * W), not clamped, and the network's seconds."""
        x = x.to(self.device)
        y, seconds = self._through(x, self.engine)
        return self.model.finish(y, x, bicubic_times(x, self.scale)), seconds

    def _through(self, x: Tensor, engine: Engine) -> tuple[Tensor, float]:
        """(what the network's body returns for a tensor on the device, its seconds)."""
        start = time.perf_counter()
        y = engine(self.model.prepare(x))
        return y, time.perf_counter() - start

    def completed(self, picture: Picture, pixels: np.ndarray) -> Picture:
        """The enlarged picture of these pixels, with alpha and all else of the small one."""
        return _completed(picture, pixels, self.scale)

    def release(self) -> None:
        """Give back the memory that is kept for the next picture: worth it before a long pause."""
        self.engine.release()
        if self.mixed:
            self.mixed.release()

    def expect_many(self) -> None:
        """Load, with the next picture, what saves some milliseconds of each in this process: worth it for 50 or more.

        `map`, `warm_up` and folder jobs do it. Values half-way between two levels may be rounded the other way then.
        """
        expect_many()

    def warm_up(self) -> None:
        """Enlarge an empty tile, so that the first picture does not wait for memory and kernels."""
        self.expect_many()
        self(Picture(np.zeros((self.tile, self.tile, 3), np.uint8)))


def best_tile(model: Network) -> int:
    """The largest of TILES whose largest layer stays within LAYER_BYTES of float32."""
    return max((size for size in TILES if 4 * model.features * size**2 <= LAYER_BYTES), default=min(TILES))


def enlarge_bicubic(picture: Picture, scale: int) -> Picture:
    """The picture enlarged by bicubic (a = -0.5), with alpha and borders treated as `Upscaler` does."""

    def function(x: Tensor) -> Tensor:
        in_bytes = fused(x, scale) if picture.pixels.dtype == np.uint8 else None
        return bicubic_times(x, scale) if in_bytes is None else in_bytes

    *_, (_, _, pictures) = _enlarge(function, picture, count=1, scale=scale, tile=1024, margin=4, stride=1)
    return pictures[0]


def _enlarge(
    function: Callable[[Tensor], Tensor],
    picture: Picture,
    count: int,
    scale: int,
    tile: int,
    margin: int,
    stride: int,
) -> Iterator[tuple[int, int, list[Picture]]]:
    """Yield (tiles done, tiles in total, the pictures once all are done).

    `function` maps (1, 3, h, w) in [0, 1] to (count, 3, scale * h, scale * w), one for each of `count` pictures, in
    [0, 1] or as bytes. Only one tile at a time is held in float; the rest is 8- or 16-bit pixels.
    """
    picture = images.bleed_colours(picture)
    pixels = picture.pixels
    h, w = pixels.shape[:2]
    levels = np.iinfo(pixels.dtype).max
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))  # once, as whatever follows wants it so
    # torch has hardly any operations for uint16
    whole = torch.from_numpy(planes if planes.dtype == np.uint8 else planes.astype(np.int32))[None]
    large = [np.empty((h * scale, w * scale, 3), pixels.dtype) for _ in range(count)]
    done, total = 0, len(tiles(h, w, tile, stride))
    yield done, total, []

    def on_floats(x: Tensor) -> Tensor:
        # By NumPy in this thread: torch's threads would wait for more work, and take the engine's time by that.
        floats = np.divide(x.numpy(), levels, dtype=np.float32)
        with torch.inference_mode():
            return function(torch.from_numpy(floats))

    for region, result, to_come in tiled(on_floats, whole, tile, margin, stride):
        r = region * scale
        if result.dtype == torch.uint8:
            parts = list(result.permute(0, 2, 3, 1).numpy())
            if total == 1:
                large = [np.ascontiguousarray(part) for part in parts]  # as it is already, but for thin pictures
            else:
                for array, part in zip(large, parts, strict=True):
                    array[r.top : r.bottom, r.left : r.right] = part
        else:
            for array, part in zip(large, result.split(1), strict=True):
                images.to_array(part, pixels.dtype, out=array[r.top : r.bottom, r.left : r.right])
        done += 1
        if to_come:
            yield done, done + to_come, []
    yield done, done, [_completed(picture, array, scale) for array in large]


def _completed(picture: Picture, pixels: np.ndarray, scale: int) -> Picture:
    alpha = None if picture.alpha is None else _enlarge_alpha(picture.alpha, scale)
    return replace(picture, pixels=pixels, alpha=alpha, jpeg_tables=(), webp_quantizer=None)


def _enlarge_alpha(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge alpha by bicubic: the network has learned colours, not masks."""
    h, w = alpha.shape
    size = w * scale, h * scale
    if alpha.dtype == np.uint8:
        return np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BICUBIC))
    large = np.asarray(Image.fromarray(alpha.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    return large.clip(0, np.iinfo(alpha.dtype).max).round().astype(alpha.dtype)
