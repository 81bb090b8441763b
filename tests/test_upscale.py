"""What `upscale` makes of its options, and what it says."""

import json
import os
import subprocess
import sys
import tarfile
import threading
from contextlib import suppress
from pathlib import Path

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from sr_model import Upscaler
from sr_model.bulk.job import folder_job
from sr_model.bulk.journal import FOLDER
from sr_model.bulk.outputs import Output
from sr_model.bulk.plan import plan
from sr_model.bulk.records import Record
from sr_model.commands.display import Report
from sr_model.commands.main import main
from sr_model.errors import FullError, StorageError
from tests.jobs import ALL, files, statuses


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
