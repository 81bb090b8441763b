"""The folder that `export --page` writes."""

import json
import re
from pathlib import Path

import pytest

from sr_model.commands.main import main
from sr_model.models import weights
from sr_model.ui.serving.assets import UI
from sr_model.ui.standalone import static_page
from tests.conftest import tiny_model

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("weights")
    weights.save(tiny_model(), "nano", place, {}, {})
    return place


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, place: Path) -> Path:
    page = tmp_path_factory.mktemp("site") / "page"
    static_page.write(page, "nano", place)
    return page


def kept(page: Path) -> tuple[str, list[str]]:
    """The version and all paths that the service worker knows."""
    lines = dict(re.findall(r"^const (VERSION|FIRST|LATER) = (.*);$", (page / "service.js").read_text(), re.MULTILINE))
    return json.loads(lines["VERSION"]), json.loads(lines["FIRST"]) + json.loads(lines["LATER"])


def test_the_service_worker_knows_every_file(page: Path) -> None:
    """All but itself, the page under its own name, licences and what is for people; and none that is not there."""
    held = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    others = {"service.js", "index.html", "README.md"}
    assert {path for path in held if not path.endswith(".LICENCE")} - others == set(kept(page)[1]) - {""}


def test_the_page_names_no_other_host_and_leaves_no_gap(page: Path) -> None:
    """Its text has every part of the page filled in, and no address."""
    text = (page / "index.html").read_text()
    assert "http" not in re.sub(r"http-equiv|https://huggingface.co", "", text)
    assert re.findall(r"<!-- [\w/]+ -->", text) == []
    for folder in ("parts/picker", "viewer/viewer", "parts/status"):
        assert (UI / f"{folder}.html").read_text() in text


def test_a_page_is_replaced_and_its_version_changes_with_its_network(page: Path, tmp_path: Path) -> None:
    """Visitors who have the page then get the new one."""
    before, _ = kept(page)
    weights.save(tiny_model(seed=1), "nano", tmp_path, {}, {})
    assert main(["export", "nano", "--page", str(page), "--weights", str(tmp_path)]) == 0
    assert kept(page)[0] != before


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as a checkout, whose README would be overwritten."""
    (tmp_path / "README.md").write_text("mine")
    assert main(["export", "--page", str(tmp_path), "--weights", str(place)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--half"], "--half only"),
        (["--scale", "2", "--body"], "--scale and --body only"),
        (["base"], "no weights of base"),
        (["nano-int8"], "choose that"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    """In words, before anything is written."""
    folder = tmp_path / "page"
    assert main(["export", *options, "--page", str(folder), "--weights", str(place)]) > 0
    assert words in capsys.readouterr().err
    assert not folder.exists()


def test_the_folder_is_a_static_space(page: Path) -> None:
    """Its README begins with front matter that the Hub accepts for one."""
    from huggingface_hub import RepoCard

    data = RepoCard.load(page / "README.md", ignore_metadata_errors=False).data.to_dict()
    assert (data["sdk"], data["app_file"], data["license"]) == ("static", "index.html", "mit")
    assert len(data["short_description"]) <= 60
