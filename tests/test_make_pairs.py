import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model.data.make_pairs import RECORD, write_pairs
from sr_model.data.pairs import read_pairs
from sr_model.errors import ConfigError, DataError
from sr_model.figures.sheets import degradation_sheet
from sr_model.imaging import images
from sr_model.imaging.resampling import shrink, soften

NAMES = ["a.png", "b.png", "c.png", "more_d.png"]


def silent(text: str) -> None:
    pass


def write(
    source: Path,
    target: Path,
    scale: int = 2,
    degradation: str = "bicubic",
    seed: int = 0,
    shrink: int | None = None,
    say: Callable[[str], None] = silent,
    warn: Callable[[str], None] = pytest.fail,
) -> int:
    return write_pairs(source, target, scale, degradation, seed, shrink, say, warn)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def listed(target: Path) -> list[str]:
    with open(target / "image_data.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(list(row) == ["low_res", "high_res"] and row["low_res"] == row["high_res"] for row in rows)
    return [row["high_res"] for row in rows]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pairs_are_the_original_and_its_low_resolution(photo_folder: Path, tmp_path: Path, scale: int) -> None:
    """The high picture is the original cut to a multiple of the scale, and the low one is what shrink makes of it."""
    photo = Image.open(photo_folder / "a.png").crop((0, 0, 119, 95))
    photo.save(photo_folder / "a.png")
    lines: list[str] = []
    assert write(photo_folder, tmp_path / "out", scale, say=lines.append) == 4
    assert lines == [f"{i}/4 {name}" for i, name in enumerate(NAMES, 1)]
    assert listed(tmp_path / "out") == NAMES

    high = images.to_tensor(images.load(tmp_path / "out/high res/a.png").pixels)
    expected = images.to_tensor(np.asarray(photo))[..., : 95 - 95 % scale, : 119 - 119 % scale]
    assert torch.equal(high, expected)
    assert torch.equal(images.to_tensor(images.load(tmp_path / "out/low res/a.png").pixels), shrink(high, scale))


@pytest.mark.parametrize("degradation", ["bicubic", "photo"])
@pytest.mark.parametrize("scale", [1, 2])
def test_what_is_written_can_be_read_as_pairs(photo_folder: Path, tmp_path: Path, scale: int, degradation: str) -> None:
    """The list of pairs that training reads takes all of them, with their scale."""
    write(photo_folder, tmp_path / "out", scale, degradation)
    pairs = read_pairs(tmp_path / "out/image_data.csv", scale, None, None, pytest.fail)
    assert [pair.high.name for pair in pairs] == NAMES


@pytest.mark.parametrize("factor", [2, 3, None])
def test_at_scale_1_the_low_picture_was_smaller_once(photo_folder: Path, tmp_path: Path, factor: int | None) -> None:
    """At scale 1 both sizes are equal, and the low picture was shrunk by the factor named, or 2 or 4, and enlarged."""
    write(photo_folder, tmp_path / "out", 1, shrink=factor)
    for name in NAMES:
        high, low = (images.to_tensor(images.load(tmp_path / "out" / f / name).pixels) for f in ("high res", "low res"))
        assert any(torch.equal(low, soften(high, n)) for n in ([factor] if factor else [2, 4]))


@pytest.mark.parametrize(("scale", "degradation"), [(2, "photo"), (1, "bicubic")])
def test_adding_a_picture_changes_no_other(
    photo_folder: Path, tmp_path: Path, photo: Image.Image, scale: int, degradation: str
) -> None:
    """A picture's randomness depends on the seed and its own name only."""
    write(photo_folder, tmp_path / "before", scale, degradation)
    photo.save(photo_folder / "another.png")
    write(photo_folder, tmp_path / "after", scale, degradation)
    before, after = contents(tmp_path / "before/low res"), contents(tmp_path / "after/low res")
    assert set(after) - set(before) == {"another.png"}
    assert before == {name: after[name] for name in before}

    write(photo_folder, tmp_path / "other seed", scale, degradation, seed=7)
    assert contents(tmp_path / "other seed/low res") != after


def test_transparency_is_laid_on_white_and_grey_is_kept_grey(tmp_path: Path) -> None:
    """Training and pairs see the same pixels of transparent and of 16-bit grey pictures."""
    (tmp_path / "in").mkdir()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "in/clear.png")
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(tmp_path / "in/grey.png")
    write(tmp_path / "in", tmp_path / "out")
    for name, level in (("clear.png", 255), ("grey.png", 128)):
        for folder, side in (("high res", 8), ("low res", 4)):
            pixels = images.load(tmp_path / "out" / folder / name).pixels
            assert (pixels == np.full((side, side, 3), level, np.uint8)).all()


def test_bad_pictures_are_named_and_left_out(photo_folder: Path, tmp_path: Path) -> None:
    """A file that is no picture and one smaller than the scale cost nothing but themselves."""
    (photo_folder / "more/broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (9, 1)).save(photo_folder / "thin.png")
    warnings: list[str] = []
    assert write(photo_folder, tmp_path / "out", warn=warnings.append) == 4
    assert [text.split(" is skipped")[0] for text in warnings] == [os.path.join("more", "broken.jpg"), "thin.png"]
    assert listed(tmp_path / "out") == NAMES


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    """A missing folder, an empty one, and one of unreadable files are told apart; none leaves a list."""
    folder = tmp_path / "in"
    with pytest.raises(DataError, match="no folder"):
        write(folder, tmp_path / "out")
    folder.mkdir()
    with pytest.raises(DataError, match="no photo"):
        write(folder, tmp_path / "out")
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="None of the 1 pictures"):
        write(folder, tmp_path / "out", warn=silent)
    assert not (tmp_path / "out/image_data.csv").exists()


def test_results_inside_the_source_are_not_read(photo_folder: Path) -> None:
    """A second call, into the same folder or another, finds the originals alone; the same call writes the same."""
    write(photo_folder, photo_folder / "out", degradation="photo")
    before = contents(photo_folder / "out")
    assert write(photo_folder, photo_folder / "out", degradation="photo") == 4
    assert contents(photo_folder / "out") == before
    assert write(photo_folder, photo_folder / "out3", 3) == 4


@pytest.mark.parametrize("file", ["image_data.csv", "holiday.jpg", "high res/a.png"])
def test_other_files_are_never_replaced(photo_folder: Path, tmp_path: Path, file: str) -> None:
    """A folder that holds anything but a result of the same settings is refused and left as it was."""
    (tmp_path / "out" / file).parent.mkdir(parents=True)
    (tmp_path / "out" / file).write_text("precious")
    with pytest.raises(ConfigError, match="Name another folder"):
        write(photo_folder, tmp_path / "out")
    assert contents(tmp_path / "out") == {file: b"precious"}
    with pytest.raises(ConfigError, match="is a file"):
        write(photo_folder, tmp_path / "out" / file)


def test_results_of_other_settings_and_the_source_itself_are_never_replaced(photo_folder: Path, tmp_path: Path) -> None:
    """Pairs of two settings are not mixed, and originals are not written among."""
    write(photo_folder, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ConfigError, match="other settings"):
        write(photo_folder, tmp_path / "out", seed=1)
    assert contents(tmp_path / "out") == before
    for target in (photo_folder, photo_folder.parent):
        with pytest.raises(ConfigError, match="did not write"):
            write(photo_folder, target)


def test_an_interrupted_call_leaves_no_list_and_can_be_made_again(photo_folder: Path, tmp_path: Path) -> None:
    """The list is written last, so that it never names a picture that is not there."""

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(photo_folder, tmp_path / "out", say=interrupt)
    assert (tmp_path / "out" / RECORD).exists()
    assert not (tmp_path / "out/image_data.csv").exists()
    assert write(photo_folder, tmp_path / "out") == 4


def test_names_are_flat_and_differ(tmp_path: Path) -> None:
    """Names that only folders, endings or letter case tell apart stay apart, and odd ones can be read from the list."""
    names = ["x/a.png", "x/a.jpg", "x_a.png", "X_A.bmp", "line\nbreak.png", " spaces .png", 'comma, quote".png']
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "in" / name)
    write(tmp_path / "in", tmp_path / "out")
    written = listed(tmp_path / "out")
    assert len({name.casefold() for name in written}) == len(names)
    assert {"X_A.png", "line break.png", "spaces.png"} <= set(written)  # X_A.bmp is the first of its kind
    assert len(read_pairs(tmp_path / "out/image_data.csv", 2, None, None, pytest.fail)) == len(names)


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"scale": 5}, "--scale"),
        ({"degradation": "magic"}, "--degradation"),
        ({"seed": -1}, "--seed"),
        ({"shrink": 2}, "--shrink"),
        ({"scale": 1, "shrink": 1}, "--shrink"),
        ({"scale": 1, "shrink": 2, "degradation": "photo"}, "--shrink"),
    ],
)
def test_impossible_settings_are_refused_by_name(photo_folder: Path, tmp_path: Path, settings: dict, flag: str) -> None:
    """A wrong setting is named before anything is written."""
    with pytest.raises(ConfigError, match=flag):
        write(photo_folder, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scale", [1, 3])
def test_the_sheet_shows_the_original_beside_its_low_resolutions(photo: Image.Image, scale: int) -> None:
    """A sheet has three panels a row, is the same for one seed, and takes pictures smaller than a panel."""
    picture = images.from_pil(photo.crop((0, 0, 100, 80)))
    sheet = degradation_sheet(picture, scale, seed=1, count=5)
    assert sheet.width > 3 * 99
    assert sheet.height > 2 * 78
    assert sheet == degradation_sheet(picture, scale, seed=1, count=5)
    assert sheet != degradation_sheet(picture, scale, seed=2, count=5)
