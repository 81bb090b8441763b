import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_model import Upscaler
from sr_model.commands.main import main
from sr_model.commands.train import train_main
from sr_model.evaluation.comparison import evaluate
from sr_model.imaging.images import open_image
from sr_model.models import weights
from sr_model.networks.tutorials import ClassicConfig
from tests.conftest import tiny_model


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder of weights, as a training run leaves one."""
    weights.save(tiny_model(), "nano", tmp_path / "weights", {}, {"validation": {"psnr": 1.0}})
    return tmp_path / "weights"


@pytest.fixture
def network(trained: Path) -> list[str]:
    return ["--preset", "nano", "--weights", str(trained), "--device", "cpu"]


def test_a_file_is_enlarged_as_the_library_does(
    photo_folder: Path, tmp_path: Path, trained: Path, network: list[str]
) -> None:
    """What is written equals what Upscaler returns, pixel for pixel."""
    out = tmp_path / "out" / "large.png"
    assert main(["upscale", str(photo_folder / "a.png"), str(out), *network]) == 0
    expected = Upscaler.from_preset("nano", 2, "cpu", trained)(Image.open(photo_folder / "a.png"))
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(expected))


def test_a_folder_is_enlarged_and_bad_files_are_named(
    photo_folder: Path, tmp_path: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are done, the bad one is on stderr with its reason, and the exit status is 1."""
    (photo_folder / "broken.jpg").write_bytes(b"\xff\xd8 nothing")
    Image.new("RGB", (5, 4)).save(photo_folder / "a.jpg")  # beside a.png
    out = tmp_path / "out"
    assert main(["upscale", str(photo_folder), str(out), *network]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert "broken.jpg: " in errors[0]
    written = {p.relative_to(out).as_posix(): open_image(p).size for p in out.rglob("*.png")}
    assert written == {
        "a.png": (10, 8),
        "a.png.png": (240, 192),
        "b.png": (240, 192),
        "c.png": (240, 192),
        "more/d.png": (240, 192),
    }


def test_a_folder_s_own_results_are_not_input_again(photo_folder: Path, network: list[str]) -> None:
    """OUT may lie within IN; a second call does the same work as the first."""
    for _ in range(2):
        assert main(["upscale", str(photo_folder), str(photo_folder / "large"), *network]) == 0
    assert len(list((photo_folder / "large").rglob("*.png"))) == 4


@pytest.mark.parametrize(
    "target", ["same file", "same folder", "folder around it", "file for a folder", "unknown ending"]
)
def test_originals_are_never_replaced(photo_folder: Path, network: list[str], target: str) -> None:
    """Calls that would write over the originals, or could not write at all, are refused before any work."""
    before = {p: p.read_bytes() for p in photo_folder.rglob("*.png")}
    photo = photo_folder / "a.png"
    source, out = {
        "same file": (photo, photo),
        "same folder": (photo_folder, photo_folder),
        "folder around it": (photo_folder, photo_folder.parent),
        "file for a folder": (photo_folder, photo),
        "unknown ending": (photo, photo_folder / "a.tiff"),
    }[target]
    assert main(["upscale", str(source), str(out), *network]) != 0
    assert {p: p.read_bytes() for p in photo_folder.rglob("*.*") if p.is_file()} == before


def test_evaluate_prints_json_of_what_the_library_measures(
    photo_folder: Path, trained: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON is the library's report, and --record puts its mean beside the weights, losing nothing there."""
    assert main(["evaluate", "--data", str(photo_folder), "--json", "--record", *network]) == 0
    report = json.loads(capsys.readouterr().out)
    expected = evaluate(Upscaler.from_preset("nano", 2, "cpu", trained), 2, photo_folder)
    assert report == expected | {"preset": "nano"}
    metrics = weights.read_card("nano", 2, trained).metrics
    assert metrics["validation"] == {"psnr": 1.0}
    assert metrics["photos"]["psnr"] == pytest.approx(expected["mean"]["psnr"], abs=1e-4)


def test_evaluate_prints_a_table(photo_folder: Path, network: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each picture, their mean, and the definition of the numbers."""
    assert main(["evaluate", "--data", str(photo_folder), *network]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[2:6]] == ["a.png", "b.png", "c.png", "more/d.png"]
    assert "mean of 4 pictures of photos" in lines[6]
    assert "BT.601" in lines[7]


def test_bicubic_can_be_evaluated_at_any_scale(photo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The yardstick needs no weights, and is compared with itself; it is not a network whose figures are recorded."""
    assert main(["evaluate", "--data", str(photo_folder), "--json", "--preset", "bicubic", "--scale", "3"]) == 0
    mean = json.loads(capsys.readouterr().out)["mean"]
    assert (mean["psnr"], mean["ssim"]) == (mean["bicubic_psnr"], mean["bicubic_ssim"])
    assert main(["evaluate", "--data", str(photo_folder), "--record", "--preset", "bicubic"]) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["upscale", "missing.png", "out.png"], 1, "no file or folder"),
        (["upscale", "examples", "out", "--preset", "giant"], 2, "nano, small, base"),
        (["upscale", "examples", "out", "--scale", "9"], 2, "2, 3, 4"),
        (["upscale", "examples", "out", "--device", "tpu"], 2, "auto, cuda, mps, cpu"),
        (["evaluate", "--data", "nowhere"], 1, "no picture in nowhere"),
        (["upscale"], 2, "required"),
        (["nonsense"], 2, "invalid choice"),
    ],
)
def test_wrong_calls_end_in_a_sentence(arguments: list[str], status: int, words: str) -> None:
    """Exit status 2 for a wrong call, 1 for what is not there, a sentence on stderr and no traceback."""
    result = subprocess.run([sys.executable, "-m", "sr_model", *arguments], capture_output=True, text=True)
    assert result.returncode == status
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_train_py_refuses_what_it_does_not_know() -> None:
    """Options of train.py are the fields of TrainConfig; their conflicts are told by the flag's name."""
    for arguments, words in ((["--epochs", "0"], "--epochs is 0"), (["--epoch", "5"], "unrecognized arguments")):
        result = subprocess.run([sys.executable, "train.py", *arguments], capture_output=True, text=True)
        assert result.returncode == 2
        assert words in result.stderr


def test_a_folder_is_degraded_into_pairs_that_training_and_evaluation_take(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`degrade` writes the copies, their CSV and the sheet; bad files are named; the scale is told from the files."""
    (photo_folder / "broken.png").write_bytes(b"nothing")
    out, sheet = tmp_path / "made", tmp_path / "sheet.png"
    arguments = ["degrade", str(photo_folder), str(out), "--scale", "3", "--degradation", "photo"]
    assert main([*arguments, "--sheet", str(sheet)]) == 1
    printed = capsys.readouterr()
    assert "broken.png" in printed.err
    assert "4 pairs" in printed.out
    assert open_image(sheet).width > 300

    assert main(["evaluate", "--data", str(out), "--preset", "bicubic", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["scale"] == 3
    assert len(report["pictures"]) == 4

    run = tmp_path / "run"
    options = ["--max-steps", "1", "--patch-size", "16", "--batch-size", "2", "--run-dir", str(run), "--device", "cpu"]
    assert train_main(["--preset", "nano", "--data", str(out), "--val-fraction", "0.3", *options]) == 0
    assert weights.available(run) == [("nano", 3)]


def test_a_preset_brings_its_own_settings_and_what_is_typed_goes_first(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """classic restores with batches of 4 and mean squared error, unless told otherwise; --help says so."""
    options = ["--max-steps", "1", "--patch-size", "16", "--run-dir", str(tmp_path), "--network", "skips=true,width=8"]
    assert train_main(["--preset", "classic", "--data", str(photo_folder), "--loss", "l1", *options]) == 0
    network, card = weights.load("classic", 1, tmp_path)
    assert network.config == ClassicConfig(1, width=8, skips=True)
    assert card.training["arguments"]["batch_size"] == 4
    assert card.training["arguments"]["loss"] == "l1"
    with pytest.raises(SystemExit):
        train_main(["--help"])
    settings = "--scale 1 --loss mse --optimizer adam --batch-size 4 --patch-size 128"
    assert f"--preset classic: {settings}" in capsys.readouterr().out


@pytest.mark.long
def test_figures_of_a_network_and_of_a_picture_are_written(
    photo_folder: Path, tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Encoder, decoder and whole as SVG and PNG; with --image the five panels; each file is named."""
    arguments = ["figures", "nano", "--image", str(photo_folder / "a.png"), "--weights", str(trained)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    written = {Path(line) for line in capsys.readouterr().out.splitlines()}
    assert written == set((tmp_path / "out").iterdir())
    assert len(written) == 7
    assert main(["figures", "giant", "--out", str(tmp_path)]) == 2


def test_one_unwritable_file_never_stops_a_folder(
    trained: Path, tmp_path: Path, photo: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """A result that WebP cannot hold is reported with its name, and the pictures after it are enlarged."""
    source = tmp_path / "in"
    source.mkdir()
    Image.new("RGB", (9000, 2)).save(source / "a.png")
    Image.fromarray(np.full((6, 8), 40_000, np.uint16)).save(source / "b.png")
    photo.crop((0, 0, 20, 20)).save(source / "c.png")
    out = tmp_path / "out"
    arguments = ["--preset", "nano", "--weights", str(trained), "--device", "cpu", "--format", "webp"]
    assert main(["upscale", str(source), str(out), *arguments]) == 1
    assert sorted(path.name for path in out.glob("*.webp")) == ["b.webp", "c.webp"]
    assert "a.png: 18000x4 pixels do not fit into a webp file" in capsys.readouterr().err
    assert 100 < np.asarray(Image.open(out / "b.webp").convert("L")).mean() < 200, "16-bit grey is not clipped to white"


@pytest.mark.parametrize(
    "command", ["upscale a.png b.png", "evaluate --data .", "quantize nano --data . --val-data .", "figures nano"]
)
def test_scale_0_is_no_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong scale is a usage error that names the choices."""
    assert main([*command.split(), "--scale", "0"]) == 2
    assert "1, 2, 3, 4" in capsys.readouterr().err
