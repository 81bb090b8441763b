"""Tar shards: pictures in, pictures out, under the same names."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_model import Upscaler
from sr_model.bulk.job import file_job, folder_job
from sr_model.bulk.journal import FOLDER
from sr_model.commands.display import Display
from sr_model.errors import ConfigError
from sr_model.imaging.images import open_image
from tests.jobs import files, statuses


def test_a_shard_is_written_under_another_name(photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """Into a folder under its own, or as the .tar that is named; another file in that place is left alone."""
    with tarfile.open(tmp_path / "in.tar", "w") as shard:
        shard.add(photo_folder / "a.png", "a.png")
    (tmp_path / "out").mkdir()
    for target, expected in (("out", "out/in.tar"), ("other.tar", "other.tar")):
        assert "done" in statuses(file_job(str(tmp_path / "in.tar"), str(tmp_path / target)), upscaler).values()
        with tarfile.open(tmp_path / expected) as shard:
            assert shard.getnames() == ["a.png"]
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="must be a folder or end in"):
        file_job(str(tmp_path / "in.tar"), str(tmp_path / "notes.txt"))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def shard(path: Path, photo: Image.Image, count: int = 4) -> None:
    """A shard in webdataset's layout: a photo, its label and its mask a sample; the third photo is broken."""
    path.parent.mkdir(exist_ok=True)
    work = path.parent.parent / "parts"
    work.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for i in range(count):
            photo.crop((i, 0, i + 30, 20)).save(work / f"{i}.jpg")
            photo.convert("1").resize((30, 20)).save(work / f"{i}.mask.png")
            (work / f"{i}.json").write_text(json.dumps({"label": i}))
            if i == 2:
                (work / f"{i}.jpg").write_bytes(b"broken")
            for name in (f"{i}.jpg", f"{i}.json", f"{i}.mask.png"):
                tar.add(work / name, f"train/{name}")


def test_shards_become_shards(tmp_path: Path, photo: Image.Image, upscaler: Upscaler) -> None:
    """Pictures are enlarged, all else is copied, in order; a sample whose picture is broken is left out and told."""
    shard(tmp_path / "in" / "a.tar", photo)
    shard(tmp_path / "in" / "b.tar", photo, 2)
    out = tmp_path / "out"
    job = folder_job(str(tmp_path / "in"), str(out), globs=("*.tar",))
    records = list(job.run(upscaler))
    assert [record.status for record in records] == ["done", "done", "refused", "done", "done", "done", "done", "done"]
    assert records[2].source.endswith("a.tar/train/2.jpg")
    with tarfile.open(out / "a.tar") as tar:
        names = tar.getnames()
        assert names == [f"train/{i}.{part}" for i in (0, 1, 3) for part in ("png", "json", "mask.png")]
        (tmp_path / "0.png").write_bytes(tar.extractfile("train/0.png").read())  # type: ignore[union-attr]
        assert tar.extractfile("train/3.json").read() == b'{"label": 3}'  # type: ignore[union-attr]
    expected = upscaler(open_image(tmp_path / "parts" / "0.jpg"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "0.png")), np.asarray(expected))
    assert hashlib.sha256((out / "a.tar").read_bytes()).hexdigest() == records[4].sha256_out
    assert [record.status for record in job.run(upscaler)] == ["skipped", "skipped"]


def test_a_shard_cannot_write_elsewhere(tmp_path: Path, photo: Image.Image, upscaler: Upscaler) -> None:
    """One with a name that leads out of the folder of results is refused as a whole."""
    photo.crop((0, 0, 8, 8)).save(tmp_path / "a.png")
    for i, name in enumerate(("../../../out.png", str(tmp_path / "there.png"))):
        with tarfile.open(tmp_path / f"{i}.tar", "w") as tar:
            info = tar.gettarinfo(tmp_path / "a.png")
            info.name = name
            tar.addfile(info, io.BytesIO((tmp_path / "a.png").read_bytes()))
        (record,) = file_job(str(tmp_path / f"{i}.tar"), str(tmp_path / "a/b/c")).run(upscaler)
        assert record.status == "refused"
        assert "leads out" in record.reason
    assert {path.name for path in tmp_path.rglob("*.png")} == {"a.png"}


def test_what_a_killed_job_left_of_a_shard_goes(tmp_path: Path, photo: Image.Image, upscaler: Upscaler) -> None:
    """As what it left of a picture does."""
    shard(tmp_path / "in" / "0.tar", photo, count=1)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f".0.tar.{dead.pid}.tmp").touch()
    list(file_job(str(tmp_path / "in" / "0.tar"), str(tmp_path / "out")).run(upscaler))
    assert sorted(files(tmp_path / "out")) == ["0.tar"]


def test_a_shard_counts_as_one_file_of_many_pictures(tmp_path: Path, photo: Image.Image, upscaler: Upscaler) -> None:
    """What is shown at the end are pictures; a shard that has been done before is one that is skipped."""
    shard(tmp_path / "in" / "0.tar", photo, count=2)
    job = file_job(str(tmp_path / "in" / "0.tar"), str(tmp_path / "out"))
    for expected in ({"done": 2}, {"skipped": 1}):
        display = Display(2)
        for step in job.steps(upscaler):
            display.show(step)
        assert display.counts == expected


def test_a_shard_that_was_interrupted_goes_on_within(tmp_path: Path, photo: Image.Image, upscaler: Upscaler) -> None:
    """Its finished pictures are not made again, and nothing of the way there is left."""
    shard(tmp_path / "in" / "a.tar", photo)
    outs = [tmp_path / "whole", tmp_path / "stopped"]
    jobs = [folder_job(str(tmp_path / "in"), str(out), globs=("*.tar",)) for out in outs]
    list(jobs[0].run(upscaler))
    stopped = jobs[1].run(upscaler)
    next(stopped)
    stopped.close()  # type: ignore[attr-defined]
    assert files(outs[1]) == {}
    records = list(jobs[1].run(upscaler))
    assert records[0].status == "skipped"
    assert files(outs[1]) == files(outs[0])
    assert not list((outs[1] / FOLDER / "shards").iterdir())
