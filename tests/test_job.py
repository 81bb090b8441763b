import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_model import Upscaler
from sr_model.bulk.job import file_job, folder_job
from sr_model.bulk.journal import FOLDER
from sr_model.bulk.outputs import Output
from sr_model.bulk.records import Record
from sr_model.commands.main import main
from sr_model.errors import FullError, StorageError
from sr_model.imaging import images
from sr_model.imaging.agreement import decibels, deviation
from sr_model.imaging.images import open_image
from sr_model.inference.batches import Tick
from sr_model.networks import Network
from tests.conftest import save_mixed, tiny_model
from tests.jobs import ALL, files, statuses


def test_what_is_done_is_skipped_by_content_and_settings(
    photo_folder: Path, tmp_path: Path, upscaler: Upscaler, photo: Image.Image
) -> None:
    """A changed picture, a changed or lost result, other settings and another network are done again; nothing else."""
    out = tmp_path / "out"
    job = folder_job(str(photo_folder), str(out))
    assert statuses(job, upscaler) == dict.fromkeys(ALL, "done")
    first = files(out)
    assert statuses(job, upscaler) == dict.fromkeys(ALL, "skipped")

    times = (photo_folder / "a.png").stat()
    data = bytearray((photo_folder / "b.png").read_bytes())
    (photo_folder / "a.png").write_bytes(data)
    os.utime(photo_folder / "a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    (out / "b.png").unlink()
    (out / "c.png").write_bytes(first["c.png"][:-1] + b"x")
    expected = dict.fromkeys(ALL[:3], "done") | {"more/d.png": "skipped"}
    assert statuses(job, upscaler) == expected
    assert files(out) == first | {"a.png": first["b.png"]}

    (out / "a.png").touch()  # another time, the same content
    assert statuses(job, upscaler) == dict.fromkeys(ALL, "skipped")
    assert set(statuses(folder_job(str(photo_folder), str(out), Output(max_side=100)), upscaler).values()) == {"done"}
    assert set(statuses(job, Upscaler(tiny_model(seed=1), "cpu", engine="torch")).values()) == {"done"}


def test_records_say_what_became_of_each_file(photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """Sizes, hashes and seconds of what was done, and a sentence for what was not; in the order of the names."""
    (photo_folder / "b.png").write_bytes(b"nothing")
    out = tmp_path / "out"
    records = list(folder_job(str(photo_folder), str(out)).run(upscaler))
    assert [Path(record.source).name for record in records] == ["a.png", "b.png", "c.png", "d.png"]
    done, refused, *_ = records
    assert (done.status, done.size, done.result_size) == ("done", (120, 96), (240, 192))
    assert done.sha256_in == hashlib.sha256((photo_folder / "a.png").read_bytes()).hexdigest()
    assert done.sha256_out == hashlib.sha256((out / "a.png").read_bytes()).hexdigest()
    assert done.bytes_out == (out / "a.png").stat().st_size
    assert set(done.seconds) == {"load", "network", "save"}
    assert done.settings["scale"] == 2
    assert refused.status == "refused"
    assert "not an image" in refused.reason
    assert not (out / "b.png").exists()


def test_what_cannot_be_listed_is_refused_and_the_rest_done(
    photo_folder: Path, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that may not be read and a link that leads nowhere cost themselves and nothing else."""
    (photo_folder / "gone.png").symlink_to("nowhere.png")
    (photo_folder / "loop.png").symlink_to("loop.png")
    scandir = os.scandir

    def guarded(folder: Path) -> object:  # the owner of all files may read all folders
        if folder == photo_folder / "more":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    records = list(folder_job(str(photo_folder), str(tmp_path / "out")).run(upscaler))
    assert [record.status for record in records] == ["done"] * 3 + ["refused"] * 3
    reasons = {Path(record.source).name: record.reason for record in records[3:]}
    assert reasons["gone.png"] == "There is no such file."
    assert "symbolic links" in reasons["loop.png"]
    assert reasons["more"] == "The folder cannot be read: Permission denied."


# A command whose process gets a signal just before or after its Nth call of a function of os that writes results.
SIGNALLED = """
import os, signal, sys
from sr_model.commands.main import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us in the background has it ignored
number, name, count, before = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "before"
function, calls = getattr(os, name), []

def signalled(*arguments):
    calls.append(arguments)
    if before and len(calls) == count:
        os.kill(os.getpid(), number)
    result = function(*arguments)
    if not before and len(calls) == count:
        os.kill(os.getpid(), number)
    return result

setattr(os, name, signalled)
sys.exit(main(sys.argv[5:]))
"""


def signalled(number: int, where: tuple[str, int, str], arguments: list[str]) -> subprocess.CompletedProcess:
    name, count, when = where
    command = [sys.executable, "-c", SIGNALLED, str(number), name, str(count), when, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def many(folder: Path, photo: Image.Image, count: int) -> list[str]:
    """So many different pictures; their names."""
    folder.mkdir()
    for i in range(count):
        photo.crop((i, i, 60 + i, 50 + i)).save(folder / f"{i:03}.png")
    return [f"{i:03}.png" for i in range(count)]


def test_a_report_says_how_well_results_agree(tmp_path: Path, photo_folder: Path, photo: Image.Image) -> None:
    """In dB, of files, animations and shards' members; with mixed weights also how strongly each was repaired."""
    save_mixed("photo", tmp_path / "weights")
    photo.crop((0, 0, 90, 70)).save(photo_folder / "e.jpg", quality=30)
    frames = [photo.crop((left, 0, left + 64, 48)) for left in (0, 200)]
    frames[0].save(photo_folder / "f.webp", save_all=True, append_images=frames[1:], lossless=True)
    with tarfile.open(photo_folder / "g.tar", "w") as shard:
        shard.add(photo_folder / "a.png", "a.png")
    report, out = tmp_path / "report", tmp_path / "out"
    options = ["--preset", "photo", "--weights", str(tmp_path / "weights"), "--device", "cpu", "--engine", "torch"]
    command = ["upscale", str(photo_folder), str(out), "--format", "webp", "--report", str(report), *options]
    for more in ([], ["--glob", "*.tar"]):
        assert main([*command, *more]) == 0
        records = {Path(line["source"]).name: line for line in map(json.loads, report.read_text().splitlines())}
        made = {name: record for name, record in records.items() if record["result_size"]}
        assert set(made) == ({"a.png"} if more else {"a.png", "b.png", "c.png", "d.png", "e.jpg", "f.webp"})
        for name, record in made.items():
            assert 5 < record["agreement"] < 80
            assert record["seconds"].keys() == {"load", "network", "measure", "save"}
            assert (record["strength"] > 0.5) == (name == "e.jpg")
        result, source = images.load(out / "a.webp"), images.load(photo_folder / "a.png")
        if not more:
            assert made["a.png"]["agreement"] == round(decibels(deviation(result, source)), 2)
    assert main([*command, "--glob", "*.png"]) == 0
    skipped = map(json.loads, report.read_text().splitlines())
    assert {(line["status"], line["agreement"]) for line in skipped} == {("skipped", None)}


@pytest.mark.long
def test_a_killed_job_goes_on_where_it_stopped(tmp_path: Path, photo: Image.Image, network: list[str]) -> None:
    """After kill -9 each file that is there is whole and is not made again; in the end all are as without the kill."""
    names = many(tmp_path / "in", photo, 12)
    killed, whole, report = tmp_path / "killed", tmp_path / "whole", tmp_path / "report"
    assert main(["upscale", str(tmp_path / "in"), str(whole), *network]) == 0
    expected = files(whole)
    command = ["upscale", str(tmp_path / "in"), str(killed), "--report", str(report), *network]
    done = 0
    for where in (("replace", 3, "before"), ("replace", 3, "after"), ("fsync", 10, "before")):
        assert signalled(signal.SIGKILL, where, command).returncode == -signal.SIGKILL
        left = {name: data for name, data in files(killed).items() if not name.endswith(".tmp")}
        assert left == {name: expected[name] for name in left}
        assert done < len(left) < len(names)
        done = len(left)
    assert main(command) == 0
    statuses = [json.loads(line)["status"] for line in report.read_text().splitlines()]
    assert statuses.count("skipped") in (done, done - 1)  # one was written and not yet noted
    assert files(killed) == expected, "and what the killed processes left half-written is gone"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_job_leaves_only_whole_files(
    number: signal.Signals, tmp_path: Path, photo: Image.Image, network: list[str]
) -> None:
    """Ctrl-C ends it with status 130 and no traceback, and nothing half-written is left."""
    names = many(tmp_path / "in", photo, 100)
    out = tmp_path / "out"
    done = signalled(number, ("replace", 3, "before"), ["upscale", str(tmp_path / "in"), str(out), *network])
    assert done.returncode == 130
    assert done.stderr == "stopped; the same command goes on from here\n"
    assert 2 <= len(files(out)) < len(names)
    assert {open_image(out / name).height for name in files(out)} == {100}


def test_stopping_ends_within_a_tile(tmp_path: Path, photo: Image.Image, model: Network) -> None:
    """Who stops asking after a tile sees no file made, and no further tile begun."""
    photo.save(tmp_path / "large.png")
    upscaler = Upscaler(model, "cpu", tile=16, engine="torch")
    engine, tiles = upscaler.engine, []

    def counting(x: object) -> object:
        tiles.append(1)
        return engine(x)  # type: ignore[arg-type]

    upscaler.engine = counting  # type: ignore[assignment]
    steps = file_job(str(tmp_path / "large.png"), str(tmp_path / "out.png")).steps(upscaler)
    assert isinstance(next(steps), Tick)
    steps.close()
    begun = len(tiles)
    assert begun < 500, "of 551"
    assert not (tmp_path / "out.png").exists()
    threading.Event().wait(0.2)
    assert len(tiles) == begun


def test_a_full_disk_ends_the_job_and_costs_nothing(
    photo_folder: Path, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so and stops, what was there stays, and the same call goes on once there is room."""
    out = tmp_path / "out"
    job = folder_job(str(photo_folder), str(out))
    written: list[int] = []
    fsync = os.fsync

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 8:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    records: list[Record] = []
    with pytest.raises(FullError, match="the disk is full"):
        records.extend(job.run(upscaler))
    monkeypatch.undo()
    left = files(out)
    assert len(left) < 4
    assert all(open_image(out / name).size == (240, 192) for name in left)
    assert list(statuses(job, upscaler).values()).count("done") >= 4 - len(left)
    assert sorted(files(out)) == ALL


def test_a_folder_that_cannot_be_locked_is_told(photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """As one that cannot be written."""
    (tmp_path / "out" / FOLDER / "lock").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be written"):
        list(folder_job(str(photo_folder), str(tmp_path / "out")).run(upscaler))


@pytest.mark.long
def test_two_jobs_on_one_folder_do_everything_once(tmp_path: Path, photo: Image.Image, network: list[str]) -> None:
    """The second waits until the first has ended and finds its work done."""
    many(tmp_path / "in", photo, 4)
    job = folder_job(str(tmp_path / "in"), str(tmp_path / "out"))
    first = job.run(Upscaler(tiny_model(), "cpu", engine="torch"))
    records = [next(first)]  # and holds the folder from now on
    report = tmp_path / "report"
    command = [sys.executable, "-m", "sr_model", "upscale", str(tmp_path / "in"), str(tmp_path / "out")]
    second = subprocess.Popen([*command, "--report", report, *network], stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert "waiting for another job" in second.stderr.readline()
    records += first
    assert second.wait() == 0
    second.stderr.close()
    assert [record.status for record in records] == ["done"] * 4
    assert [json.loads(line)["status"] for line in report.read_text().splitlines()] == ["skipped"] * 4


def test_the_end_of_a_journal_may_be_torn(photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """Half of a line, as power loss leaves it, costs the file it is about and no other."""
    out = tmp_path / "out"
    job = folder_job(str(photo_folder), str(out))
    statuses(job, upscaler)
    journal = next((out / FOLDER).glob("*.jsonl"))
    journal.write_bytes(journal.read_bytes()[:-20])
    assert statuses(job, upscaler) == dict.fromkeys(ALL, "skipped") | {"more/d.png": "done"}
    assert statuses(job, upscaler) == dict.fromkeys(ALL, "skipped")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_exif_is_kept_only_if_asked_for(tmp_path: Path, photo: Image.Image, upscaler: Upscaler, ending: str) -> None:
    """With its place and its camera; turned upright, with the new size, and without the old preview."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8769)[0xA002] = 30
    photo.crop((0, 0, 30, 20)).save(tmp_path / "in.jpg", exif=exif)
    out = str(tmp_path / f"out.{ending}")
    for keep in (False, True):
        (record,) = file_job(str(tmp_path / "in.jpg"), out, Output(keep_exif=keep)).run(upscaler)
        assert record.status == "done"
        written = Image.open(out)
        assert written.size == (40, 60)
        found = written.getexif()
        assert (found.get(0x010F) == "a camera", 0x0112 in found) == (keep, False)
    assert found.get_ifd(0x8825)[1] == "N"
    assert found.get_ifd(0x8769)[0xA002] == 40


def frames(path: Path) -> Iterator[tuple[Image.Image, int]]:
    with Image.open(path) as image:
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            image.load()
            yield image.convert("RGB"), round(image.info.get("duration") or 0)


@pytest.mark.parametrize("source", ["gif", "webp", "png"])
@pytest.mark.parametrize("target", ["gif", "webp", "png"])
def test_an_animation_stays_one(
    tmp_path: Path, photo: Image.Image, upscaler: Upscaler, source: str, target: str
) -> None:
    """Its frames are enlarged one by one, and it lasts as long and repeats as it did."""
    shown = [photo.crop((i * 40, 0, i * 40 + 40, 30)) for i in range(3)]
    path, out = tmp_path / f"in.{source}", tmp_path / f"out.{target}"
    lossless = source == "webp"  # what the other formats do not know, they pass over
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=[100, 50, 200], loop=0, lossless=lossless)
    (record,) = file_job(str(path), str(out)).run(upscaler)
    assert (record.status, record.frames, record.result_size) == ("done", 3, (80, 60))
    results = list(frames(out))
    assert [duration for _, duration in results] == [100, 50, 200]
    assert Image.open(out).info["loop"] == 0
    for (small, _), (large, _) in zip(frames(path), results, strict=True):
        difference = np.abs(np.asarray(large).astype(int) - np.asarray(upscaler(small)))
        assert difference.max() == 0 if target != "gif" else difference.mean() < 6  # 256 colours


def test_an_animation_that_a_format_cannot_hold_is_refused(
    tmp_path: Path, photo: Image.Image, upscaler: Upscaler
) -> None:
    """Rather than its first frame written without a word."""
    small = photo.resize((20, 10))
    small.save(tmp_path / "in.gif", save_all=True, append_images=[small.rotate(180)])
    (record,) = file_job(str(tmp_path / "in.gif"), str(tmp_path / "out.jpg")).run(upscaler)
    assert record.status == "refused"
    assert "animation" in record.reason


def test_a_job_is_a_python_interface(photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """Ticks count the pixels of what is enlarged, between the records of the files."""
    steps = list(folder_job(str(photo_folder), str(tmp_path / "out")).steps(upscaler))
    assert sum(step.pixels for step in steps if isinstance(step, Tick)) == 4 * 120 * 96
    assert len([step for step in steps if isinstance(step, Record)]) == 4
