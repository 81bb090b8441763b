import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import compare, speed
from sr_model import Upscaler
from sr_model.benchmark import measuring, worker
from sr_model.benchmark.measuring import Case, choose
from sr_model.benchmark.plot import plot, spread
from sr_model.benchmark.report import figures, interquartile_range
from sr_model.benchmark.worker import Memory, measure
from sr_model.commands.main import main
from sr_model.errors import ConfigError
from sr_model.evaluation.comparison import evaluate
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import enlarge_bicubic
from sr_model.models import weights
from sr_model.networks.architecture import layers
from sr_model.system.files import between_marks
from tests.conftest import EXAMPLES, tiny_model

pytestmark = pytest.mark.long

CPU = torch.device("cpu")
SIZES = [(40, 24), (17, 9)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process is started once, and the peak is of tiny matrices."""
    monkeypatch.setattr(measuring, "STARTS", 1)
    monkeypatch.setattr(measuring, "MATRIX", 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a preset at two scales, and of one that is no preset."""
    folder = tmp_path_factory.mktemp("weights")
    for preset, scale in (("nano", 2), ("nano", 3), ("nano-other", 2)):
        weights.save(tiny_model(scale), preset, folder, {}, {})
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Iterator[dict[str, Any]]:
    """Both engines that are on every machine, measured for real."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "STARTS", 1)
        patch.setattr(measuring, "MATRIX", 64)
        cases = choose(["nano"], [2], device="cpu", folder=folder)
        yield measuring.benchmark(cases, SIZES, runs=3, folder=folder)


def test_all_that_there_is_is_measured_unless_something_is_named(folder: Path) -> None:
    """Networks are those of the folder, whatever their names; what is named narrows them and the engines."""
    cpu = partial(choose, device="cpu", folder=folder)
    assert cpu() == [
        Case(preset, scale, engine, "cpu")
        for preset, scale in weights.available(folder)
        for engine in ("openvino", "torch")
    ]
    assert {(case.preset, case.scale) for case in cpu(scales=[2])} == {("nano", 2), ("nano-other", 2)}
    assert cpu(["nano-other"], [2], "torch") == [Case("nano-other", 2, "torch", "cpu")]


def test_the_report_has_every_network_engine_and_size(report: dict[str, Any]) -> None:
    """It is JSON, sizes are from small to large, and each has as many runs as were asked for."""
    assert json.loads(json.dumps(report)) == report
    assert [(case["preset"], case["engine"]) for case in report["cases"]] == [("nano", "openvino"), ("nano", "torch")]
    for case in report["cases"]:
        assert len(case["starts"]) == 1
        assert [(row["width"], row["height"]) for row in case["sizes"]] == sorted(SIZES)
        assert all(len(row["runs"]) == len(row["network_runs"]) == 3 for row in case["sizes"])
    assert {"date", "cpu", "threads", "torch", "openvino", "definition"} <= report.keys()
    assert report["peak_gflops"]["cpu"].keys() == {"before", "after"}


def test_every_figure_follows_from_the_runs(report: dict[str, Any]) -> None:
    """Medians are the runs', the network's time is a part of the whole, and the work is architecture's count."""
    for row in (row for case in report["cases"] for row in case["sizes"]):
        megapixels = row["width"] * row["height"] * 4 / 1e6
        assert row["ms_per_megapixel"] == pytest.approx(1000 * statistics.median(row["runs"]) / megapixels)
        assert all(0 < network < whole for network, whole in zip(row["network_runs"], row["runs"], strict=True))
        work = sum(layer.multiply_adds for layer in layers(tiny_model(), (row["height"], row["width"])))
        assert row["multiply_adds"] == work
        peak = report["peak_gflops"]["cpu"]["before"] * 1e9
        assert row["share_of_peak"] == pytest.approx(2 * work / statistics.median(row["network_runs"]) / peak)


def test_figures_of_known_runs() -> None:
    """A quarter of a megapixel at x2 makes one; five runs, and a network that does half of what the machine can."""
    measured = {
        "width": 500, "height": 500, "runs": [3.0, 1.0, 2.0, 4.0, 9.0], "network_runs": [1.0],
        "multiply_adds": 10**9, "peak_mb": 1.0,
    }  # fmt: skip
    result = figures(measured, scale=2, peak_gflops=4)
    assert result["ms_per_megapixel"] == 3000
    assert result["ms_spread"] == 2000
    assert result["network_ms_spread"] is None
    assert result["share_of_peak"] == 0.5


@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=20))
def test_the_interquartile_range_is_numpy_s(values: list[float]) -> None:
    """A second implementation."""
    low, high = np.percentile(values, [25, 75])
    assert interquartile_range(values) == pytest.approx(high - low, abs=1e-9)


def test_what_takes_too_long_is_skipped_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any run; where the limit is reached only after the first, there is this one."""
    upscaler = Upscaler(tiny_model(), "cpu", engine="torch")
    memory = Memory(CPU)
    assert "limit" in measure(upscaler, memory, (16, 16), runs=3, limit=1e-9)["skipped"]
    monkeypatch.setattr(worker, "warm_up", lambda *_: 0.0)
    assert len(measure(upscaler, memory, (16, 16), runs=3, limit=1e-9)["runs"]) == 1


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks cannot be reset here")
def test_memory_is_the_peak_since_the_last_reset() -> None:
    """What was given back is seen until then, and not after it; in a process of its own, as where it is used."""
    program = (
        "import numpy as np, torch\n"
        "from sr_model.benchmark.worker import Memory\n"
        "memory = Memory(torch.device('cpu'))\n"
        "np.ones(100_000_000, np.uint8)\n"
        "before = memory.over_idle()\n"
        "memory.reset()\n"
        "print(before, memory.over_idle())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 95e6
    assert after < 50e6


def test_the_command_prints_json_and_draws(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but JSON on stdout, the table on stderr, and a PNG."""
    image = tmp_path / "plots" / "speed.png"
    only = ["--preset", "nano-other", "--engine", "torch", "--device", "cpu", "--size", "20x10", "--runs", "1"]
    assert main(["benchmark", "--weights", str(folder), *only, "--json", "--plot", str(image)]) == 0
    printed = capsys.readouterr()
    (case,) = json.loads(printed.out)["cases"]
    assert (case["preset"], case["engine"], len(case["sizes"])) == ("nano-other", "torch", 1)
    assert "20x10" in printed.err
    with Image.open(image) as drawn:
        assert drawn.format == "PNG"


def test_a_network_that_fails_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the sentence of the error that its process met, and exit status 1."""
    (tmp_path / "nano-x2.json").write_bytes((folder / "nano-x2.json").read_bytes())
    (tmp_path / "nano-x2.safetensors").write_bytes(b"damaged")
    assert main(["benchmark", "--weights", str(tmp_path), "--engine", "torch", "--device", "cpu"]) == 1
    assert "nano-x2, torch: nano-x2.safetensors does not match its sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "huge"], "nano-x2, nano-x3, nano-other-x2"),
        (["--preset", "nano-other", "--scale", "3"], "nano-x3"),
        (["--engine", "onnx"], "all, openvino, torch"),
        (["--device", "tpu"], "auto, cuda, mps, cpu"),
        (["--size", "640"], "640x360"),
        (["--size", "0x10"], "640x360"),
        (["--size", "99999x99999"], "64,000,000"),
        (["--runs", "0"], "more than 0"),
        (["--limit", "0"], "more than 0"),
        (["--plot", "speed.txt"], ".png"),
    ],
)
def test_wrong_calls_end_in_a_sentence(
    folder: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what would be right, and the exit status is 2."""
    assert main(["benchmark", "--weights", str(folder), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


def test_a_system_that_does_not_tell_its_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows, rather than a figure that means something else."""
    monkeypatch.setitem(sys.modules, "resource", None)
    with pytest.raises(ConfigError, match="Windows"):
        measuring.benchmark([])


def test_openvino_must_be_there_where_it_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unasked it is left out; another engine's figures never stand under its name."""
    monkeypatch.setattr(measuring, "_has_openvino", lambda: False)
    assert {case.engine for case in choose(device="cpu", folder=folder)} == {"torch"}
    with pytest.raises(ConfigError, match="pip install openvino"):
        choose(engine="openvino", folder=folder)


def test_the_plot_is_a_picture_whatever_was_skipped(report: dict[str, Any]) -> None:
    """Lines end where networks were skipped, and there may be none at all."""
    skipped = [{"width": 40, "height": 24, "skipped": "too long"}]
    some = [report["cases"][0], report["cases"][1] | {"sizes": skipped}]
    for cases in (report["cases"], some, some[1:], []):
        assert plot(report | {"cases": cases}).startswith(b"\x89PNG")


@given(st.lists(st.floats(0, 1), max_size=20).map(sorted))
def test_labels_keep_apart(places: list[float]) -> None:
    """And stay where they are if they are apart already."""
    moved = spread(places, 0.1)
    assert len(moved) == len(places)
    assert all(b - a > 0.0999 for a, b in pairwise(moved))
    assert spread(moved, 0.09) == pytest.approx(moved)


def test_the_readme_s_table_has_every_case(report: dict[str, Any]) -> None:
    """A row for each, between the marks, which stay; putting it there again changes nothing."""
    marks = speed.BEGIN, speed.END
    text = between_marks(speed.README.read_text(), *marks, speed.section(report))
    assert between_marks(text, *marks, speed.section(report)) == text
    rows = speed.table(report).splitlines()[2:]
    assert all(row in text for row in rows)
    assert [row.split(" | ")[:3] for row in rows] == [["| x2", "nano", "OpenVINO"], ["| x2", "nano", "torch"]]
    unmeasured = report | {"cases": [report["cases"][0], report["cases"][1] | {"error": "No.", "sizes": []}]}
    assert speed.table(unmeasured).splitlines()[3].count(" - ") == 5


def test_compared_are_the_same_pictures_by_the_same_score(
    photo_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line of the table holds what evaluate gives, and what cannot be had is named once with its reason."""
    every = dict(compare.ways(2, None))
    chosen = {name: every[name] for name in ("Pillow, bicubic", "OpenCV, FSRCNN", "OpenCV, EDSR")}
    monkeypatch.setattr(compare, "ways", lambda *_: chosen.items())
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert compare.main(["--data", str(photo_folder), "--size", "8x8", "--runs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    mean = evaluate(every["Pillow, bicubic"](), 2, photo_folder)["mean"]
    assert lines[2].startswith(f"| Pillow, bicubic | {mean['psnr']:.2f} | {mean['ssim']:.4f} | ")
    assert lines[3:] == [
        "Left out: OpenCV, FSRCNN, OpenCV, EDSR: OpenCV is not installed (pip install opencv-contrib-python-headless)."
    ]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_needs_no_network_makes_pictures_of_the_right_size(scale: int) -> None:
    """Pillow's bicubic is what the presets begin with, but for rounding; every shipped preset is compared."""
    every = dict(compare.ways(scale, None))
    photo = Picture(np.array(Image.open(EXAMPLES / "coffee.png").convert("RGB"))[40:71, 50:93])
    expected = enlarge_bicubic(photo, scale).pixels.astype(int)
    assert np.abs(every["Pillow, bicubic"]()(photo).pixels - expected).max() <= 1
    for name in ("Pillow, Lanczos", "torch, bicubic"):
        assert every[name]()(photo).pixels.shape == expected.shape
    for preset, own in weights.available():
        assert any(weights.name(preset, own) in name for name in every) == (own in (1, scale))
