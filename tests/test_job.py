import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from sr_model import Upscaler
from sr_model.bulk.job import Job, file_job, folder_job
from sr_model.bulk.journal import FOLDER
from sr_model.bulk.outputs import Output
from sr_model.bulk.plan import plan
from sr_model.bulk.records import Record
from sr_model.commands.display import Display, Report
from sr_model.commands.main import main
from sr_model.errors import ConfigError, FullError, StorageError
from sr_model.imaging import images
from sr_model.imaging.agreement import decibels, deviation
from sr_model.imaging.images import open_image
from sr_model.inference.batches import Tick
from sr_model.models import weights
from sr_model.networks import Network
from tests.conftest import save_mixed, tiny_model


@pytest.fixture
def upscaler(model: Network) -> Upscaler:
    return Upscaler(model, device="cpu", tile=64, engine="torch")


@pytest.fixture
def network(tmp_path: Path) -> list[str]:
    """Options of the command line for a tiny network."""
    weights.save(tiny_model(), "nano", tmp_path / "weights", {}, {})
    return ["--preset", "nano", "--weights", str(tmp_path / "weights"), "--device", "cpu", "--engine", "torch"]


def statuses(job: Job, upscaler: Upscaler) -> dict[str, str]:
    """What becomes of each file, by the name of its result."""
    return {os.path.relpath(record.target, job.out): record.status for record in job.run(upscaler)}


def files(folder: Path) -> dict[str, bytes]:
    """What can be seen in a folder."""
    found = (path for path in folder.rglob("*") if path.is_file() and FOLDER not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


ALL = ["a.png", "b.png", "c.png", "more/d.png"]


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


def test_names_may_hold_anything(tmp_path: Path, photo: Image.Image, network: list[str]) -> None:
    """Bytes that are no text, line breaks, and as many bytes as a file system allows; again, and all is skipped."""
    (tmp_path / "in").mkdir()
    names = [b"latin\xe9.png", b"two\nlines.png", b"-x.png", b" .png", b"x" * 251 + b".png"]
    for name in names:
        photo.crop((0, 0, 8, 8)).save(os.fsdecode(bytes(tmp_path / "in") + b"/" + name))
    command = [sys.executable, "-m", "sr_model", "upscale", str(tmp_path / "in"), str(tmp_path / "out"), *network]
    for expected in ("5 done", "5 skipped"):
        done = subprocess.run(command, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")
        assert expected.encode() in done.stdout
    assert sorted(name for name in os.listdir(bytes(tmp_path / "out")) if name != FOLDER.encode()) == sorted(names)


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


def test_the_report_has_a_line_for_each_file(photo_folder: Path, tmp_path: Path, network: list[str]) -> None:
    """What was done, skipped and refused, as JSON; the exit status says whether anything was refused."""
    out, report = tmp_path / "out", tmp_path / "report.jsonl"
    command = ["upscale", str(photo_folder), str(out), "--report", str(report), *network]
    assert main(command) == 0
    (photo_folder / "b.png").write_bytes(b"nothing")
    (photo_folder / "e.png").write_bytes((photo_folder / "c.png").read_bytes())
    assert main(command) == 1
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["skipped", "refused", "skipped", "done", "skipped"]
    assert {"source", "target", "reason", "seconds", "settings", "sha256_in", "sha256_out"} <= set(lines[0])
    assert lines[2]["sha256_out"] == lines[3]["sha256_out"]


def test_a_report_is_replaced_when_there_is_a_line_for_it(tmp_path: Path) -> None:
    """A job that waits for another one leaves what that one writes; a file that cannot be written is told."""
    path = tmp_path / "report.jsonl"
    first, waiting = Report(path), Report(path)
    record = Record("a.png", "out/a.png", "done")
    first.add(record)
    first.add(record)
    assert len(path.read_text().splitlines()) == 2
    waiting.add(record)
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(StorageError, match=r"report .* cannot be written"):
        Report(tmp_path / "no" / "report.jsonl")
    full = Report(Path("/dev/full"))
    with pytest.raises(FullError, match="disk is full"):
        full.add(record)


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
def test_errors_reach_their_file_beside_a_bar(photo_folder: Path, tmp_path: Path, network: list[str]) -> None:
    """In a terminal there is a bar; what is refused is named in the file that stderr goes to."""
    (photo_folder / "b.png").write_bytes(b"nothing")
    shown, terminal = os.openpty()
    command = [sys.executable, "-m", "sr_model", "upscale", str(photo_folder), str(tmp_path / "out"), *network]
    with open(tmp_path / "errors", "w") as errors:
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
        job = subprocess.Popen(command, stdout=terminal, stderr=errors, env=environment)
    os.close(terminal)
    text = b""
    with suppress(OSError), open(shown, "rb", buffering=0) as stream:  # a terminal ends with an error
        while part := stream.read(1000):
            text += part
    assert job.wait() == 1
    assert (tmp_path / "errors").read_text().startswith(f"{photo_folder / 'b.png'}: This is not an image")
    assert b"4 of 4 files" in text
    assert b"left" in text


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


def test_globs_choose_files(photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """By name in every folder, or by the path below IN."""
    (photo_folder / "a.jpg").write_bytes((photo_folder / "a.png").read_bytes())
    for globs, expected in (
        (("[bd].png",), ["b.png", "more/d.png"]),
        (("more/*",), ["more/d.png"]),
        (("*.jpg", "c*"), ["a.png", "c.png"]),
    ):
        job = folder_job(str(photo_folder), str(tmp_path / "-".join(globs).replace("/", "_")), globs=globs)
        assert list(statuses(job, upscaler)) == expected


def test_names_formats_and_sizes_are_as_asked(
    photo_folder: Path, tmp_path: Path, network: list[str], photo: Image.Image
) -> None:
    """--suffix, --format, --quality and --max-side; smaller results stay as they are."""
    photo.crop((0, 0, 20, 10)).save(photo_folder / "small.png")
    photo.crop((0, 0, 300, 200)).save(photo_folder / "wide.png")
    sizes = {}
    for quality in ("30", "90"):
        out = tmp_path / quality
        options = ["--suffix", "_x2", "--format", "jpg", "--quality", quality, "--max-side", "150"]
        assert main(["upscale", str(photo_folder), str(out), *options, *network]) == 0
        assert "more/d_x2.jpg" in files(out)
        assert Image.open(out / "a_x2.jpg").size == (150, 120)
        assert Image.open(out / "small_x2.jpg").size == (40, 20)
        assert Image.open(out / "wide_x2.jpg").size == (150, 100)
        sizes[quality] = (out / "a_x2.jpg").stat().st_size
    assert sizes["30"] < sizes["90"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--quality", "90"], "png files have no quality"),
        (["--quality", "0", "--format", "jpg"], "--quality is 0"),
        (["--quality", "best"], "normal, max"),
        (["--max-side", "0"], "--max-side is 0"),
        (["--suffix", "a/b"], "--suffix is 'a/b'"),
        (["--from-file", "list.parquet"], "list.parquet"),
        (["--strength", "0.5"], "--strength is for weights that repair"),
        (["--column", "path"], "give the list by --from-file"),
        (["--workers", "2"], "give --cluster"),
        (["--report", "s3://bucket/report.jsonl"], "is a URL"),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: list[str], words: str, photo_folder: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the option's name, before any work."""
    assert main(["upscale", str(photo_folder), str(photo_folder / "out"), *options, *network]) != 0
    assert words in capsys.readouterr().err
    assert not files(photo_folder / "out")


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("large.png", ["--glob", "*.png"], "IN is one picture"),
        ("large.png", ["--suffix", "_x2"], "OUT names the file"),
        ("large.png", ["--format", "webp"], "OUT names the file"),
        ("a.png", [], "replace the original"),
    ],
)
def test_options_of_folders_are_refused_for_one_picture(
    target: str,
    options: list[str],
    words: str,
    photo_folder: Path,
    network: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where OUT names the file, and nothing is written."""
    before = files(photo_folder)
    assert main(["upscale", str(photo_folder / "a.png"), str(photo_folder / target), *options, *network]) != 0
    assert words in capsys.readouterr().err
    assert files(photo_folder) == before


@pytest.mark.parametrize("name", ["a.png", "shard.tar", "."])
def test_nothing_is_written_to_the_web(
    name: str, photo_folder: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture, a shard and a folder alike: OUT is a disk or a store."""
    with tarfile.open(photo_folder / "shard.tar", "w") as shard:
        shard.add(photo_folder / "a.png", "a.png")
    assert main(["upscale", str(photo_folder / name), "http://127.0.0.1:9/out.tar", *network]) != 0
    assert "results are written to a disk" in capsys.readouterr().err


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


def test_a_dry_run_tells_and_writes_nothing(
    photo_folder: Path, tmp_path: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """How many files, how long and how much disk; what is done counts as done, and sizes come close to the truth."""
    out = tmp_path / "out"
    command = ["upscale", str(photo_folder), str(out), *network]
    assert main([*command, "--dry-run"]) == 0
    first = capsys.readouterr().out
    assert "4 files to enlarge, 0 done before" in first
    assert "free" in first
    assert not out.exists()
    assert main(command) == 0
    (photo_folder / "e.jpg").write_bytes(b"nothing")
    capsys.readouterr()
    assert main([*command, "--dry-run"]) == 0
    assert "0 files to enlarge, 4 done before, 1 that will be refused" in capsys.readouterr().out


def test_a_dry_run_counts_what_the_network_will_do(
    photo_folder: Path, tmp_path: Path, upscaler: Upscaler, photo: Image.Image
) -> None:
    """What is only shrunk takes it no time, and what a format cannot hold will be refused."""
    photo.save(photo_folder / "e.gif", save_all=True, append_images=[photo.rotate(180)])
    found = plan(folder_job(str(photo_folder), str(tmp_path / "out"), Output(format="jpg", max_side=60)), upscaler)
    assert (found.files, found.refused, found.seconds) == (4, 1, 0)
    assert found.megapixels == 4 * 60 * 48 / 1e6


def test_a_log_gets_plain_lines(
    photo_folder: Path, tmp_path: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each result's name, and at the end what became of all; no bar."""
    assert main(["upscale", str(photo_folder), str(tmp_path / "out"), *network]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [str(tmp_path / "out" / name) for name in ALL]
    assert lines[4].startswith("4 done, 0 skipped, 0 refused in ")


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


@pytest.mark.parametrize("kind", ["txt", "csv", "tsv", "parquet"])
def test_lists_name_files(photo_folder: Path, tmp_path: Path, upscaler: Upscaler, kind: str) -> None:
    """Names below IN keep their folders, whole ones keep their whole path; what is not there is refused."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (photo_folder / "b.png").rename(elsewhere / "b.png")
    names = ["more/d.png", str(photo_folder / "a.png"), str(elsewhere / "b.png"), "missing.png", "more/d.png"]
    path = tmp_path / f"list.{kind}"
    if kind == "txt":
        path.write_text("\n".join(names) + "\n\n")
    elif kind == "parquet":
        parquet.write_table(pyarrow.table({"id": range(5), "path": names}), path)
    else:
        separator = "," if kind == "csv" else "\t"
        lines = [f"id{separator}path", *(f"{i}{separator}{name}" for i, name in enumerate(names))]
        path.write_text("\n".join(lines))
    job = folder_job(str(photo_folder), str(tmp_path / "out"), listed=str(path))
    results = statuses(job, upscaler)
    inside = str(elsewhere / "b.png").lstrip("/")
    assert results == {"more/d.png": "done", "a.png": "done", inside: "done", "missing.png": "refused"}


def test_a_list_may_come_through_a_pipe(
    photo_folder: Path, tmp_path: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Which can be read only once; --glob chooses from it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("a.png\nb.png\nmore/d.png\n",))
    writer.start()
    options = ["--from-file", str(pipe), "--glob", "[ad].png", *network]
    assert main(["upscale", str(photo_folder), str(tmp_path / "out"), *options]) == 0
    writer.join()
    assert "2 done, 0 skipped, 0 refused" in capsys.readouterr().out
    assert sorted(files(tmp_path / "out")) == ["a.png", "more/d.png"]


def test_a_list_without_the_column_is_named(
    photo_folder: Path, tmp_path: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the columns that there are; --column chooses."""
    path = tmp_path / "list.csv"
    path.write_text("id,file\n1,a.png\n")
    command = ["upscale", str(photo_folder), str(tmp_path / "out"), "--from-file", str(path), *network]
    assert main(command) == 2
    assert "id, file" in capsys.readouterr().err
    assert main([*command, "--column", "file"]) == 0


def test_a_job_is_a_python_interface(photo_folder: Path, tmp_path: Path, upscaler: Upscaler) -> None:
    """Ticks count the pixels of what is enlarged, between the records of the files."""
    steps = list(folder_job(str(photo_folder), str(tmp_path / "out")).steps(upscaler))
    assert sum(step.pixels for step in steps if isinstance(step, Tick)) == 4 * 120 * 96
    assert len([step for step in steps if isinstance(step, Record)]) == 4
