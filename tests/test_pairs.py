import re
from pathlib import Path

import pytest
from PIL import Image

from sr_model.data import pairs
from sr_model.data.pairs import Pair, read_pairs
from sr_model.errors import DataError


def read(file: Path, scale: int = 2, low: str | None = None, high: str | None = None) -> tuple[list[Pair], list[str]]:
    warnings: list[str] = []
    return read_pairs(file, scale, low, high, warnings.append), warnings


@pytest.fixture
def listing(pairs_folder: Path) -> Path:
    return pairs_folder / "image_data.csv"


def long(listing: Path, *extra: str) -> Path:
    """So many good rows that few bad ones are less than 1 %."""
    header, *rows = listing.read_text().splitlines()
    listing.write_text("\n".join([header, *extra, *rows * 60]) + "\n")
    return listing


def test_folders_beside_the_csv_are_found(listing: Path) -> None:
    """Names without folders lie in "low res" and "high res"; lines count from the header."""
    found, warnings = read(listing)
    assert not warnings
    assert [(p.line, p.low.name, p.high.name) for p in found[:2]] == [(2, "0.png", "0.png"), (3, "1.png", "1.png")]
    assert all(p.low.is_file() and p.high.is_file() and p.low != p.high for p in found)


@pytest.mark.parametrize("names", [("LR", "HR"), ("low_resolution", "High-Resolution"), ("input", "target")])
def test_folders_have_many_names(listing: Path, names: tuple[str, str]) -> None:
    """Case, spaces and signs do not count."""
    (listing.parent / "low res").rename(listing.parent / names[0])
    (listing.parent / "high res").rename(listing.parent / names[1])
    assert len(read(listing)[0]) == 6


def test_folders_can_be_named(listing: Path, tmp_path: Path) -> None:
    """--low-dir and --high-dir go before what lies beside the CSV; a missing one is named."""
    elsewhere = tmp_path / "elsewhere"
    (listing.parent / "low res").rename(elsewhere)
    assert len(read(listing, low=str(elsewhere))[0]) == 6
    with pytest.raises(DataError, match="--high-dir: there is no folder"):
        read(listing, low=str(elsewhere), high=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_scale_is_told_from_the_files(photo: Image.Image, tmp_path: Path, scale: int) -> None:
    """Equal sizes are x1, truly smaller ones x2 to x4; of an odd large picture the rest is cut off."""
    for i, (w, h) in enumerate(((48, 36), (49, 37))):
        photo.crop((0, 0, w, h)).save(tmp_path / f"high{i}.png")
        photo.crop((0, 0, w // scale, h // scale)).save(tmp_path / f"low{i}.png")
    listing = tmp_path / "list.csv"
    listing.write_text("low_res,high_res\nlow0.png,high0.png\nlow1.png,high1.png\n")
    assert pairs.scale_of(listing) == scale
    assert len(read(listing, scale)[0]) == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("gone.png,0.png", "line 2: there is no gone.png in low res"),
        ("0.png,", "line 2: high_res is empty"),
        ("0.png", "line 2: high_res is empty"),
        ("broken.png,0.png", "line 2: broken.png: This is not an image"),
        ("odd.png,0.png", "line 2: odd.png is 50x40 and 0.png is 120x96; the large one must be 1, 2, 3 or 4"),
        ("same.png,0.png", "line 2: same.png and 0.png are a pair for x1, not x2"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_left_out(
    listing: Path, photo: Image.Image, row: str, message: str
) -> None:
    """Below 1 % the others are used; above, the run stops before it starts and says what to mend."""
    low = listing.parent / "low res"
    (low / "broken.png").write_bytes(b"nothing")
    photo.crop((0, 0, 50, 40)).save(low / "odd.png")
    photo.crop((0, 0, 120, 96)).save(low / "same.png")
    header, *rows = listing.read_text().splitlines()

    listing.write_text("\n".join([header, row, *rows]))
    with pytest.raises(DataError, match=r"1 of 7 rows of image_data.csv cannot be used.*" + re.escape(message)):
        read(listing)

    listing.write_text("\n".join([header, *rows]))
    found, warnings = read(long(listing, row))
    assert len(found) == 360
    assert message in warnings[0]
    assert warnings[1:] == ["image_data.csv: 1 of 361 rows are skipped."]


def test_many_bad_rows_are_counted_not_all_named(listing: Path) -> None:
    """The terminal is not flooded."""
    with listing.open("a") as stream:
        stream.writelines(f"gone{i}.png,0.png\n" for i in range(50))
    warnings: list[str] = []
    with pytest.raises(DataError, match="50 of 56 rows"):
        read_pairs(listing, 2, None, None, warnings.append)
    assert len(warnings) == pairs.NAMED + 1
    assert "50 of 56 rows are skipped" in warnings[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "begins with 'a,b'; its first line must be low_res,high_res"),
        ("", "its first line must be low_res,high_res"),
        ("low_res,high_res\n", "lists no pair"),
    ],
)
def test_a_file_that_is_no_list_of_pairs_says_what_one_is(tmp_path: Path, text: str, message: str) -> None:
    """The header is given as it must be."""
    file = tmp_path / "list.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read(file)


def test_a_byte_order_mark_spaces_and_more_columns_do_no_harm(listing: Path) -> None:
    """As spreadsheets write them."""
    rows = listing.read_text().splitlines()[1:]
    text = "\ufeffid, high_res, low_res\r\n" + "".join("7, {1} , {0}\r\n".format(*row.split(",")) for row in rows)
    listing.write_bytes(text.encode())
    assert len(read(listing)[0]) == 6
