import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from sr_model import Upscaler
from sr_model.commands.main import main
from sr_model.errors import FullError, StorageError
from sr_model.models import weights
from sr_model.networks import build
from sr_model.networks.autoencoder import AutoencoderConfig
from sr_model.video.clips import enlarge
from tests.conftest import tiny_model

TIMES = [0, 512, 1024, 1100, 2048, 2560, 4096, 4608, 5120, 5632]  # of 1/12800 s: frames of different length


@pytest.fixture
def clip(tmp_path: Path, photo: Image.Image) -> Path:
    """Ten frames of different photos at uneven times, with a tone of half a second."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "5"})
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 12800)
        audio = out.add_stream("aac", rate=16_000, layout="mono")
        tone = np.sin(np.arange(8192) / 5, dtype=np.float32)[None]
        for i in range(8):
            sound = av.AudioFrame.from_ndarray(tone[:, i * 1024 : i * 1024 + 1024], "fltp", "mono")
            sound.sample_rate, sound.pts = 16_000, i * 1024
            out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
        for i, time in enumerate(TIMES):
            frame = av.VideoFrame.from_image(photo.crop((i * 30, 50, i * 30 + 48, 82)))
            frame.pts, frame.time_base = time, Fraction(1, 12800)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


@pytest.fixture
def upscaler() -> Upscaler:
    """A fresh network makes what bicubic does: videos would not hold the noise that random weights make."""
    config = AutoencoderConfig(2, 8, 8, encoder_blocks=1, latent_blocks=1, decoder_blocks=1)
    return Upscaler(build(config), "cpu", engine="torch")


def frames(path: Path) -> list[tuple[float | None, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.dts is not None]


def test_frames_are_enlarged_and_time_and_sound_are_kept(clip: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """Each frame at its time, near to what the network makes of it alone; the sound packet by packet."""
    out = tmp_path / "out.mp4"
    progress = list(enlarge(upscaler, clip, out, "settings", crf=5, segment=4))
    assert [(step.done, step.total) for step in progress] == [(i + 1, 10) for i in range(10)]
    small, large = frames(clip), frames(out)
    assert [time for time, _ in large] == pytest.approx([time for time, _ in small])
    for (_, before), (_, after) in zip(small, large, strict=True):
        assert np.abs(upscaler(before).astype(int) - after).mean() < 6
    assert sound(out) == sound(clip)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def test_a_stopped_video_goes_on_with_its_segments(
    clip: Path, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stopped job has finished is not enlarged again, and the result is the same to the byte."""
    whole, stopped = tmp_path / "whole.mp4", tmp_path / "stopped.mp4"
    list(enlarge(upscaler, clip, whole, "a", segment=4))
    steps = enlarge(upscaler, clip, stopped, "a", segment=4)
    assert [next(steps).done for _ in range(6)][-1] == 6
    steps.close()
    assert not stopped.exists()

    enlarged: list[int] = []
    engine = upscaler.engine

    def counting(x: Tensor) -> Tensor:
        enlarged.append(1)
        return engine(x)

    monkeypatch.setattr(upscaler, "engine", counting)
    assert next(enlarge(upscaler, clip, stopped, "a", segment=4)).done == 4
    list(enlarge(upscaler, clip, stopped, "a", segment=4))
    assert len(enlarged) <= 6 + 2, "and what was worked ahead"
    assert stopped.read_bytes() == whole.read_bytes()


def test_the_command_enlarges_videos(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`upscale clip.mp4 out.mkv`; a file that is no video is refused."""
    weights.save(tiny_model(), "nano", tmp_path / "weights", {}, {})
    network = ["--preset", "nano", "--weights", str(tmp_path / "weights"), "--device", "cpu", "--engine", "torch"]
    assert main(["upscale", str(clip), str(tmp_path / "out.mkv"), *network]) == 0
    assert frames(tmp_path / "out.mkv")[0][1].shape == (64, 96, 3)
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    capsys.readouterr()
    assert main(["upscale", str(tmp_path / "no.mp4"), str(tmp_path / "out2.mp4"), *network]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert main(["upscale", str(clip), str(tmp_path / "out3.mp4"), "--dry-run", "--quality", "90", *network]) == 2
    assert "--dry-run, --quality N cannot be used with a video" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    assert main(["upscale", str(clip), str(tmp_path / "out"), *network]) == 0, "into a folder, under its own name"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]


def test_a_full_disk_ends_a_video_and_costs_a_segment(
    clip: Path, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so; the same call goes on once there is room."""
    fsync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 8:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FullError, match="disk is full"):
        list(enlarge(upscaler, clip, tmp_path / "out.mp4", "a", segment=2))
    monkeypatch.undo()
    assert not (tmp_path / "out.mp4").exists()
    assert next(enlarge(upscaler, clip, tmp_path / "out.mp4", "a", segment=2)).done == 2
    list(enlarge(upscaler, clip, tmp_path / "out.mp4", "a", segment=2))
    assert len(frames(tmp_path / "out.mp4")) == 10
    assert not (tmp_path / ".sr_model").exists()


def test_a_video_without_pictures_is_refused(tmp_path: Path, upscaler: Upscaler) -> None:
    """With a sentence, and nothing is written."""
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    with pytest.raises(StorageError):
        list(enlarge(upscaler, tmp_path / "no.mp4", tmp_path / "out.mp4", ""))
    assert [path.name for path in tmp_path.iterdir()] == ["no.mp4"]
