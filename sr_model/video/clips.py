"""Videos, frame by frame: each is enlarged by itself, and keeps its time; the audio is copied."""

import hashlib
import heapq
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sr_model.errors import FullError, StorageError
from sr_model.inference.upscaler import Upscaler
from sr_model.system.files import NO_ROOM, atomic_file, make_folders, put_into_place
from sr_model.system.lock import locked

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
SEGMENT = 240  # frames in a file that is whole before the next one is begun
CRF = 17  # of x264: hardly to be told from the original


@dataclass(frozen=True)
class Progress:
    """Frames done of all; 0 of all where the file does not say how many."""

    done: int
    total: int


def enlarge(
    upscaler: Upscaler,
    source: Path,
    target: Path,
    settings: str,
    crf: int = CRF,
    segment: int = SEGMENT,
    wait: Callable[[], None] = lambda: None,
) -> Generator[Progress, None, None]:
    """Enlarge a video as H.264, yielding after each frame; stop asking, and the work stops.

    Segments wait in a folder beside the target until all are there. A call with the same source and `settings` goes on
    with the first one that is missing; `wait` is called where another process is doing the same and has to end first.
    Raises StorageError for what cannot be read or written, and FullError.
    """
    import av

    try:
        with open(source, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        digest.update(f"{settings} {crf} {segment}".encode())
        with _stage(target.parent / ".sr_model" / "videos", digest.hexdigest()[:16], wait) as stage:
            yield from _enlarge(upscaler, source, target, stage, crf, segment)
    except (av.FFmpegError, OSError) as error:
        if error.errno in NO_ROOM:
            raise FullError(
                f"{target.name} cannot be written, because the disk is full. Make room and give the same command "
                "again: it goes on with the first segment that is missing."
            ) from None
        raise StorageError(f"The video cannot be read or written: {error.strerror or error}.") from None


def _enlarge(upscaler: Upscaler, source: Path, target: Path, stage: Path, crf: int, segment: int) -> Iterator[Progress]:
    import av

    with av.open(str(source)) as container:
        if not container.streams.video:
            raise StorageError(f"There is no video in {source.name}.")
        total = container.streams.video[0].frames
        done = 0
        for path, frames in _segments(container, stage, segment):
            if path.exists():
                done += sum(1 for _ in frames)  # decoded only, which takes little
                yield Progress(done, total)
                continue
            for _ in _write(upscaler, container.streams.video[0], frames, path, crf):
                done += 1
                yield Progress(done, total)
    if not done:
        raise StorageError(f"There is no picture in {source.name}.")
    joined = stage / f"joined{target.suffix}"
    _join(sorted(stage.glob("*.nut")), source, joined)
    put_into_place(joined, target)


@contextmanager
def _stage(videos: Path, key: str, wait: Callable[[], None]) -> Iterator[Path]:
    """A folder for the segments of a video, that goes when the video is done, and nothing empty stays."""
    stage, lock = videos / key, videos / f"{key}.lock"
    make_folders(videos)
    try:
        with locked(lock, wait):
            make_folders(stage)
            yield stage
            shutil.rmtree(stage, ignore_errors=True)
    finally:
        with suppress(OSError):  # segments wait there, or other videos', or the journal of a folder's job
            if stage.exists():
                stage.rmdir()
            lock.unlink()
            videos.rmdir()
            videos.parent.rmdir()


def _segments(container: "InputContainer", stage: Path, length: int) -> Iterator[tuple[Path, Iterator["VideoFrame"]]]:
    """(file, its frames), one after the other; each one's frames have to be taken before the next is asked for."""
    frames = container.decode(container.streams.video[0])
    for index, first in enumerate(frames):

        def part(first: "VideoFrame" = first) -> Iterator["VideoFrame"]:
            yield first
            yield from islice(frames, length - 1)

        yield stage / f"{index:06}.nut", part()


def _write(
    upscaler: Upscaler, source: "VideoStream", frames: Iterator["VideoFrame"], path: Path, crf: int
) -> Iterator[None]:
    """Enlarge and encode the frames of a segment into a file that is there when it is whole."""
    import av

    times: list[tuple[int | None, Fraction]] = []

    def pixels() -> Iterator[np.ndarray]:
        for frame in frames:
            times.append((frame.pts, frame.time_base or Fraction(1, 1000)))
            yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))

    with atomic_file(path) as file, av.open(file, "w", format="nut") as out, closing(upscaler.map(pixels())) as larger:
        stream: Any = None
        for index, array in enumerate(larger):
            if stream is None:
                stream = _encoder(out, source, array, times[0][1], crf)
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=source.codec_context.colorspace)
            frame.pts, frame.time_base = times[index]
            out.mux(stream.encode(frame))
            yield
        if stream is not None:
            out.mux(stream.encode(None))


def _encoder(out: "OutputContainer", source: "VideoStream", array: np.ndarray, time_base: Fraction, crf: int) -> Any:
    """An H.264 stream for frames like `array`, with the source's colours and shape of pixels."""
    h, w = array.shape[:2]
    # Without B-frames, segments can stand one behind the other: each frame is decoded at its own time.
    stream = out.add_stream("libx264", rate=source.average_rate or 25, options={"crf": str(crf), "bf": "0"})
    stream.width, stream.height = w, h
    stream.pix_fmt = "yuv420p" if w % 2 == h % 2 == 0 else "yuv444p"
    stream.time_base = stream.codec_context.time_base = time_base
    context, other = stream.codec_context, source.codec_context
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(context, name, getattr(other, name))
    if other.sample_aspect_ratio and (h > w) == (other.height > other.width):
        context.sample_aspect_ratio = other.sample_aspect_ratio
    return stream


def _moment(packet: "Packet") -> Fraction:
    """Seconds from the beginning, to decode it by."""
    return (packet.dts or 0) * (packet.time_base or Fraction(1))


def _join(parts: list[Path], source: Path, target: Path) -> None:
    """Put segments and the source's audio into one file; nothing is encoded again."""
    import av

    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        with av.open(str(parts[0])) as first:
            video = out.add_stream_from_template(first.streams.video[0])
        try:
            tracks = {stream.index: out.add_stream_from_template(stream) for stream in original.streams.audio}
        except ValueError:
            raise StorageError(f"A {target.suffix[1:]} file cannot hold this video's audio; write a .mkv.") from None

        def pictures() -> Iterator["Packet"]:
            for path in parts:
                with av.open(str(path)) as part:
                    for packet in part.demux(part.streams.video[0]):
                        if packet.dts is not None:
                            packet.stream = video
                            yield packet

        def sounds() -> Iterator["Packet"]:
            for packet in original.demux(original.streams.audio) if tracks else ():
                if packet.dts is not None:
                    packet.stream = tracks[packet.stream.index]
                    yield packet

        for packet in heapq.merge(pictures(), sounds(), key=_moment):
            out.mux(packet)
