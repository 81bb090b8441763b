import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_model.commands.main import main
from sr_model.errors import DataError
from sr_model.evaluation.comparison import compare, shrink_picture
from sr_model.evaluation.conditions import CONDITIONS, Figures, degrade, evaluate_under
from sr_model.evaluation.perception import ssimulacra2
from sr_model.imaging import images
from sr_model.imaging.images import Picture
from sr_model.inference.upscaler import enlarge_bicubic


@pytest.fixture
def reference(photo: Image.Image) -> Picture:
    return images.from_pil(photo.crop((130, 50, 290, 180)))


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image) -> Path:
    for i in range(2):
        photo.crop((130 + 40 * i, 50, 230 + 40 * i, 150)).save(tmp_path / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_is_the_same_every_time(reference: Picture, condition: str) -> None:
    """Noise is a function of the picture's name; the size is the low one, and the reference is not degraded."""
    low, high = degrade(reference, 2, condition, "a")
    again, _ = degrade(reference, 2, condition, "a")
    other, _ = degrade(reference, 2, condition, "b")
    assert np.array_equal(low.pixels, again.pixels)
    assert np.array_equal(low.pixels, other.pixels) == (not CONDITIONS[condition].noise)
    assert (low.size, high.size) == ((80, 65), (160, 130))
    assert np.array_equal(high.pixels, reference.pixels)


def test_clean_is_the_field_s_low_resolution(reference: Picture) -> None:
    """So the first row of the table is what `evaluate` measures otherwise."""
    assert np.array_equal(degrade(reference, 4, "clean", "a")[0].pixels, shrink_picture(reference, 4)[0].pixels)


def test_stronger_compression_is_worse(reference: Picture) -> None:
    """By every measure, and any condition is worse than clean."""
    scores = {}
    for condition in CONDITIONS:
        low, high = degrade(reference, 2, condition, "a")
        large = enlarge_bicubic(low, 2)
        scores[condition] = (*compare(large, high, 2), ssimulacra2(large, high))
    order = [scores[name] for name in ("clean", "jpeg90", "jpeg75", "jpeg50", "jpeg30")]
    for by_measure in zip(*order, strict=True):
        assert list(by_measure) == sorted(by_measure, reverse=True)
    assert max(scores.values()) == scores["clean"]


def test_what_the_file_says_is_kept_unless_it_comes_as_png(reference: Picture) -> None:
    """JPEGs bring their tables to what is measured; a PNG of one has the same pixels and no tables."""
    jpeg, _ = degrade(reference, 2, "jpeg50", "a")
    png, _ = degrade(reference, 2, "jpeg50-as-png", "a")
    assert jpeg.jpeg_tables
    assert png.jpeg_tables == ()
    assert np.array_equal(jpeg.pixels, png.pixels)


def test_ssimulacra2_is_100_for_equal_pictures(reference: Picture) -> None:
    """And lower for others; transparent pictures are seen on white."""
    assert ssimulacra2(reference, reference) == 100
    softer = enlarge_bicubic(shrink_picture(reference, 2)[0], 2)
    assert ssimulacra2(softer, reference) < 90
    h, w = reference.pixels.shape[:2]
    clear = Picture(reference.pixels, alpha=np.zeros((h, w), np.uint8))
    assert ssimulacra2(clear, Picture(np.full_like(reference.pixels, 255))) == 100


def test_the_share_on_which_bicubic_is_better_is_counted(folder: Path) -> None:
    """Nothing beats bicubic by being it; something that blackens every second picture is worse on half of them."""
    seen: list[str] = []
    report = evaluate_under("jpeg75", partial(enlarge_bicubic, scale=2), 2, folder, lambda name, f: seen.append(name))
    assert report["worse_than_bicubic"] == 0
    assert report["mean"]["psnr"] == report["mean"]["bicubic_psnr"]
    assert seen == ["0.png", "1.png"] == list(report["pictures"])

    calls: list[int] = []

    def sometimes_black(low: Picture) -> Picture:
        calls.append(0)
        large = enlarge_bicubic(low, 2)
        return large if len(calls) % 2 else Picture(large.pixels * 0)

    assert evaluate_under("jpeg75", sometimes_black, 2, folder)["worse_than_bicubic"] == 0.5


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """With a sentence."""
    with pytest.raises(DataError, match="no picture"):
        evaluate_under("clean", partial(enlarge_bicubic, scale=2), 2, tmp_path)


@pytest.mark.long
def test_evaluate_prints_a_row_for_each_condition(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One condition lists the pictures, all of them are a table; both can be had as JSON."""
    words = ["evaluate", "--data", str(folder), "--preset", "bicubic", "--scale", "4"]
    assert main([*words, "--degradation", "jpeg50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[2:5]] == ["0.png", "1.png", "jpeg50"]
    assert main([*words, "--degradations"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[2 : 2 + len(CONDITIONS)]] == list(CONDITIONS)
    assert main([*words, "--degradation", "noise5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["degradation"] == "noise5"
    assert Figures(**report["mean"]).psnr > 15


def test_evaluate_refuses_what_does_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown names list the known ones."""
    words = ["evaluate", "--data", str(folder), "--preset", "bicubic", "--scale", "2"]
    for more, sentence in (
        (["--degradation", "rain"], "choose one of: clean, jpeg90"),
        (["--degradation", "clean", "--degradations"], "leave out --degradation"),
    ):
        assert main([*words, *more]) == 2
        assert sentence in capsys.readouterr().err
