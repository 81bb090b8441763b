from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import RepoCard
from PIL import Image

from sr_model import Upscaler
from sr_model.commands.main import main
from sr_model.commands.train import train_main
from sr_model.imaging.images import open_image
from sr_model.models import weights
from sr_model.publishing import model_card
from tests.conftest import EXAMPLES, tiny_model
from tests.hub_server import OWNER, READER, Hub, pretending

pytestmark = pytest.mark.long

NAME = "someone/sharp"
SCORES = {"pictures": 5, "psnr": 31.5, "ssim": 0.9, "bicubic_psnr": 30.0, "bicubic_ssim": 0.85}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that huggingface_hub takes for the real one, its owner logged in."""
    with pretending(tmp_path, monkeypatch) as server:
        monkeypatch.setenv("HF_TOKEN", OWNER)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Weights of two presets at two scales, measured, of small networks."""
    for seed, (preset, scale) in enumerate((("nano", 2), ("base", 2), ("base", 4))):
        sets = {"sets": {"bsds400": 399}}
        metrics = {"Set5": SCORES, "validation": {"psnr": 1.0}}
        weights.save(tiny_model(scale, seed), preset, tmp_path / "weights", sets, metrics)
    return tmp_path / "weights"


def push(folder: Path, *arguments: str, repo: str = NAME) -> int:
    return main(["push", *arguments, "--repo", repo, "--weights", str(folder), "--image", str(small_photo(folder))])


def small_photo(folder: Path) -> Path:
    path = folder.parent / "photo.png"
    open_image(EXAMPLES / "chelsea.png").convert("RGB").resize((60, 40)).save(path)
    return path


def test_what_is_pushed_can_be_pulled(server: Hub, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All presets and scales in one commit, bit for bit, and figures that open; the commit's address is printed."""
    assert push(folder) == 0
    repository = server.model(NAME)
    assert capsys.readouterr().out.strip() == f"{server.url}/{NAME}/commit/{repository.refs['main']}"
    for path in folder.iterdir():
        assert repository.files[path.name] == path.read_bytes()
    pictures = [name for name in repository.files if name.endswith(".png")]
    assert len(pictures) == 6
    for name in pictures:
        (folder.parent / "picture.png").write_bytes(repository.files[name])
        Image.open(folder.parent / "picture.png").verify()
        assert f"]({name})" in repository.files["README.md"].decode()
    upscaler = Upscaler.from_pretrained(NAME, "base", 4, device="cpu", engine="torch")
    assert upscaler.card == weights.read_card("base", 4, folder)


def test_the_model_card_has_what_the_hub_reads(server: Hub, folder: Path) -> None:
    """Library, licence, tags, task, data sets and, in the model-index, the evaluator's figures of each network."""
    assert push(folder, "nano", "base-x4") == 0
    data = RepoCard(server.model(NAME).files["README.md"].decode()).data.to_dict()
    assert (data["library_name"], data["license"], data["pipeline_tag"]) == ("sr-model", "mit", "image-to-image")
    assert "super-resolution" in data["tags"]
    assert data["datasets"] == ["bsds400"]
    index = {entry["name"]: entry["results"] for entry in data["model-index"]}
    assert set(index) == {"nano-x2", "base-x4"}
    (result,) = index["nano-x2"]
    assert result["task"]["type"] == "image-to-image"
    assert result["dataset"]["name"] == "Set5"
    assert {m["type"]: m["value"] for m in result["metrics"]} == {"psnr": 31.5, "ssim": 0.9}


def test_an_edited_card_is_kept(server: Hub, folder: Path) -> None:
    """Only what is between the marks is renewed; people's text and metadata, and other models' results, stay."""
    assert push(folder, "nano") == 0
    text = server.model(NAME).files["README.md"].decode()
    ours = text.split(model_card.BEGIN)[1].split(model_card.END)[0]
    edited = text.replace("# sharp", "# My title").replace("license: mit", "license: cc-by-4.0\nco2: 3")
    edited = edited.replace("model-index:\n", "model-index:\n- name: theirs\n  results: []\n").replace(ours, "\nOLD\n")
    server.add(NAME, {"README.md": (edited + "\nMy last words.\n").encode()})
    assert push(folder, "base") == 0
    new = server.model(NAME).files["README.md"].decode()
    data = RepoCard(new).data.to_dict()
    assert (data["license"], data["co2"]) == ("cc-by-4.0", 3)
    assert [entry["name"] for entry in data["model-index"]] == ["theirs", "nano-x2", "base-x2", "base-x4"]
    assert "# My title" in new
    assert new.endswith("\nMy last words.\n")
    assert "OLD" not in new
    assert "| nano-x2 |" in new, "what is there already stays in the table"
    assert "| base-x4 |" in new


def test_a_card_without_marks_keeps_its_text(server: Hub, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever removed the marks wants no text of ours; the metadata are renewed all the same."""
    server.add(NAME, {"README.md": b"---\nlicense: mit\n---\nAll mine.\n"})
    assert push(folder, "nano") == 0
    new = server.model(NAME).files["README.md"].decode()
    assert RepoCard(new).text.strip() == "All mine."
    assert "model-index" in RepoCard(new).data.to_dict()
    assert "only its metadata are renewed" in capsys.readouterr().out
    server.add("someone/fresh", {"README.md": b"---\nlicense: apache-2.0\n---\n"})
    assert push(folder, "nano", repo="someone/fresh") == 0
    fresh = server.model("someone/fresh").files["README.md"].decode()
    assert model_card.BEGIN in fresh
    assert "license: apache-2.0" in fresh


def test_two_pushes_at_once_both_arrive(server: Hub, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that comes second makes its card again on top of the other's: nobody's results are lost."""
    server.add(NAME, {})
    server.before_commit = [lambda: push(folder, "base")]
    assert push(folder, "nano") == 0
    assert "on top of theirs" in capsys.readouterr().out
    files = server.model(NAME).files
    assert {"nano-x2.safetensors", "base-x2.safetensors", "base-x4.safetensors"} <= set(files)
    assert all(f"| {name} |" in files["README.md"].decode() for name in ("nano-x2", "base-x2", "base-x4"))


def test_an_interrupted_push_goes_on(server: Hub, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trouble that passes is waited for; of a push that failed, large files that arrived are not sent again."""
    server.failures = [("/commit/", 502), ("/preupload/", 503)]
    assert push(folder, "nano") == 0
    server.failures = [("/commit/", 500)] * 10
    assert push(folder, "base") == 1
    assert "Try again in a few minutes" in capsys.readouterr().err
    sent = len(server.uploaded)
    server.failures = []
    assert push(folder, "base") == 0
    assert len(server.uploaded) == sent == 3


def test_a_branch_and_a_pull_request(server: Hub, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--revision commits to a branch, which is made; --create-pr leaves main as it is and prints the request."""
    assert push(folder, "nano", "--revision", "trial") == 0
    repository = server.model(NAME)
    assert "nano-x2.json" in repository.commits[repository.refs["trial"]]
    assert not repository.files
    capsys.readouterr()
    assert push(folder, "nano", "--create-pr") == 0
    assert capsys.readouterr().out.strip() == f"{server.url}/{NAME}/discussions/1"
    assert not repository.files


def test_private_means_private(server: Hub, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new repository is private; into one that is public nothing is pushed under that wish."""
    assert push(folder, "nano", "--private") == 0
    assert server.model(NAME).private
    server.add("someone/open", {})
    assert push(folder, "nano", "--private", repo="someone/open") == 1
    assert "someone/open is public" in capsys.readouterr().err
    assert not server.model("someone/open").files


@pytest.mark.parametrize(
    ("token", "arguments", "words"),
    [
        ("", [], "log in with `hf auth login`, or set HF_TOKEN"),
        (READER, [], "make one that may write"),
        ("hf_wrong", [], "another HF_TOKEN"),
        (OWNER, ["giant"], "has no weights giant; there are: nano-x2, base-x2, base-x4"),
        (OWNER, ["--revision", "a", "--repo", f"{NAME}@b"], "give one of them"),
        (OWNER, ["--repo", "nonsense"], "write owner/name"),
    ],
)
def test_a_push_that_cannot_be_is_a_sentence(
    server: Hub,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    token: str,
    arguments: list[str],
    words: str,
) -> None:
    """No token, one that may only read, a wrong one, weights that are not there, a name that is none."""
    monkeypatch.setenv("HF_TOKEN", token)
    assert main(["push", "--repo", NAME, "--weights", str(folder), *arguments]) != 0
    assert words in capsys.readouterr().err


def test_metadata_that_are_no_yaml_are_left_alone(
    server: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They cannot be renewed without losing something, so the push says what to do."""
    server.add(NAME, {"README.md": b"---\n: : [\n---\nText\n"})
    assert push(folder, "nano") == 1
    assert "not valid YAML" in capsys.readouterr().err


def train(photo_folder: Path, run: Path, *arguments: str) -> int:
    options = ["--max-steps", "4", "--val-every", "2", "--patch-size", "16", "--batch-size", "2", "--device", "cpu"]
    return train_main(["--preset", "nano", "--data", str(photo_folder), "--run-dir", str(run), *options, *arguments])


def test_training_pushes_at_its_end_and_each_improvement(server: Hub, photo_folder: Path, tmp_path: Path) -> None:
    """What is on the Hub at the end is what is in the run folder, with figures; the card has no name of its owner's."""
    assert train(photo_folder, tmp_path / "run", "--push", NAME, "--push-every") == 0
    repository = server.model(NAME)
    for name in ("nano-x2.json", "nano-x2.safetensors"):
        assert repository.files[name] == (tmp_path / "run" / name).read_bytes()
    assert model_card.drawing_name("nano-x2") in repository.files
    assert NAME not in repository.files["nano-x2.json"].decode()
    commits = [files for files in repository.commits.values() if "nano-x2.json" in files]
    assert len({files["nano-x2.json"] for files in commits[:-1]}) >= 1, "improvements came before the end"
    assert model_card.drawing_name("nano-x2") not in commits[0]


def test_training_says_before_it_begins_that_it_could_not_push(
    server: Hub,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Hours of training do not end in a refusal; trouble at the end leaves the weights and the command to push them."""
    assert train(photo_folder, tmp_path / "run", "--push-every") == 2
    assert train(photo_folder, tmp_path / "run", "--push", "nonsense") == 2
    monkeypatch.setenv("HF_TOKEN", READER)
    assert train(photo_folder, tmp_path / "run", "--push", NAME) == 1
    assert "make one that may write" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("*.json*"))
    monkeypatch.setenv("HF_TOKEN", OWNER)
    server.failures = [("/commit/", 500)] * 10
    assert train(photo_folder, tmp_path / "run", "--push", NAME) == 1
    assert f"python -m sr_model push --weights {tmp_path / 'run'} --repo {NAME}" in capsys.readouterr().err
    server.failures = []
    assert train(photo_folder, tmp_path / "run", "--push", NAME, "--resume") == 0
    assert "nano-x2.json" in server.model(NAME).files
