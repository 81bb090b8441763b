"""`Upscaler.map`: one image after another, while the next ones are read and the last ones are used."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sr_model.errors import SRError
from sr_model.imaging.images import Picture
from sr_model.inference.batches import Enlarged, Stream, Tick, default_batch, enlarge_all
from sr_model.inference.overlap import Admit, Finished, Pictures, cost, overlapped

if TYPE_CHECKING:
    from sr_model.inference.upscaler import Upscaler


@dataclass
class _Item:
    image: Any  # until it is loaded
    back: Callable[[Picture], Any] | None = None  # what makes its own kind of a picture again


def mapped(
    images: Iterable[Any], upscaler: "Upscaler", as_picture: Callable[[Any], tuple[Picture, Callable]], errors: bool
) -> Generator[Any, None, None]:
    """The images enlarged, in order; `as_picture` gives a picture and the way back. See `Upscaler.map`."""

    def load(item: _Item, admit: Admit) -> list[Picture] | Finished[SRError]:
        image, item.image = item.image, None
        try:
            picture, item.back = as_picture(image)
        except SRError as error:
            return Finished(error)
        admit(cost(picture.size, upscaler.scale))
        return [picture]

    def save(item: _Item, made: Pictures) -> Any:
        assert item.back is not None, "it has been loaded"
        return made.error or item.back(made.pictures[0])

    upscaler.expect_many()
    batch = default_batch(upscaler.device)

    def enlarge(pictures: Stream) -> Iterator[Tick | Enlarged]:
        return enlarge_all(upscaler, pictures, batch)

    work = overlapped(map(_Item, images), load, enlarge, save, lanes=upscaler.streams)
    with closing(work):  # at once, not when somebody has dropped the error's traceback
        for result in work:
            if isinstance(result, SRError) and not errors:
                raise result
            if not isinstance(result, Tick):
                yield result
