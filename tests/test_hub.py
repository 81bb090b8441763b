import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from PIL import Image

from sr_model import Upscaler, ui
from sr_model.commands.main import main
from sr_model.commands.train import train_main
from sr_model.errors import ConfigError, HubError, SRError, WeightsError
from sr_model.models import hub, places, weights
from tests.conftest import tiny_model
from tests.hub_server import OWNER, READER, Files, Hub, pretending

pytestmark = pytest.mark.long

NAME = "someone/sharp"


def files(seed: int = 0, preset: str = "nano", scale: int = 2) -> Files:
    """A pair of files of weights, as training leaves it."""
    folder = Path(os.environ["SR_TEST_FOLDER"]) / f"{preset}-{scale}-{seed}"
    weights.save(tiny_model(scale, seed), preset, folder, {"steps": 1}, {})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that huggingface_hub takes for the real one, an empty cache, and nobody logged in."""
    monkeypatch.setenv("SR_TEST_FOLDER", str(tmp_path / "made"))
    with pretending(tmp_path, monkeypatch) as server:
        yield server


def pull(where: str = NAME, preset: str = "nano", scale: int | None = 2, revision: str | None = None) -> Upscaler:
    return Upscaler.from_pretrained(where, preset, scale, revision, "cpu", engine="torch")


def test_what_is_pulled_is_what_was_pushed(server: Hub) -> None:
    """By name, with and without hf://; the network is the very one, and its place names the commit."""
    sha = server.add(NAME, files())
    for where in (NAME, f"hf://{NAME}", f"hf://{NAME}@main"):
        upscaler = pull(where)
        assert str(upscaler.place) == f"hf://{NAME}@{sha}"
    expected, _ = weights.load("nano", 2, Path(os.environ["SR_TEST_FOLDER"]) / "nano-2-0")
    state = expected.state_dict()
    assert all(bool((state[key] == value).all()) for key, value in upscaler.model.state_dict().items())


def test_only_what_is_needed_is_downloaded_and_only_once(server: Hub) -> None:
    """One repository holds all presets and scales; the second time nothing is fetched but the revision."""
    server.add(NAME, files() | files(1, "base") | files(2, "base", 4))
    pull()
    fetched = [line for line in server.asked if line.startswith("GET") and line.endswith(".safetensors")]
    assert len(fetched) == 1
    server.asked.clear()
    pull()
    assert not [line for line in server.asked if "resolve" in line]


def test_a_revision_stays_what_it_is(server: Hub) -> None:
    """A commit's sha, in full, names the same weights when the branch has moved on; main the new ones."""
    old = server.add(NAME, files(0))
    new = server.add(NAME, files(1))
    assert pull(revision=old).place == places.Place(pull(f"{NAME}@{old}").place.folder, hub.Repo(NAME, old))  # type: ignore[union-attr]
    assert str(pull().place) == f"hf://{NAME}@{new}"
    cards = [pull(revision=revision).card for revision in (old, new)]
    assert cards[0] != cards[1]
    with pytest.raises(ConfigError, match="names one revision"):
        pull(f"{NAME}@{old}", revision=new)


def test_a_folder_goes_before_a_repository(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What exists here is not looked for elsewhere, and a plain name that does not exist here is the Hub's."""
    server.add(NAME, files())
    weights.save(tiny_model(seed=7), "nano", tmp_path / NAME, {}, {})
    monkeypatch.chdir(tmp_path)
    assert pull().place == places.Place(Path(NAME))
    assert not server.asked


@pytest.mark.parametrize(
    ("where", "preset", "kind", "words"),
    [
        ("someone/nothing", "nano", HubError, "There is no repository someone/nothing on the Hub.*hf auth login"),
        ("someone/secret", "nano", HubError, "or it is private.*hf auth login"),
        ("someone/gated", "nano", HubError, "gated: ask for access at http.*/someone/gated"),
        (f"{NAME}@nowhere", "nano", HubError, f"{NAME} has no revision 'nowhere'; choose a branch"),
        (NAME, "base", WeightsError, "no weights for base-x2; there are: nano-x2"),
        (NAME, "giant", ConfigError, "There is no preset 'giant'; choose one of: nano"),
        ("hf://nonsense", "nano", ConfigError, "write hf://owner/name"),
        ("hf://a..b/c", "nano", HubError, "no name of a repository; write owner/name"),
    ],
)
def test_what_is_not_there_is_a_sentence(server: Hub, where: str, preset: str, kind: type[SRError], words: str) -> None:
    """Each says what is wrong and what to do, in one sentence or two."""
    server.add(NAME, files())
    server.add("someone/secret", files(), private=True)
    server.add("someone/gated", files(), gated=True)
    with pytest.raises(kind, match=words):
        pull(where, preset)


def test_a_token_opens_what_is_private_or_gated(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_TOKEN is read; a wrong one and one without access are told apart."""
    server.add("someone/secret", files(), private=True)
    server.add("someone/gated", files(), gated=True)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"does not accept who you are \(401\).*another HF_TOKEN"):
        pull("someone/secret")
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(HubError, match="log in as somebody who may see it"):
        pull("someone/secret")
    monkeypatch.setenv("HF_TOKEN", OWNER)
    assert pull("someone/secret").scale == pull("someone/gated").scale == 2


def test_a_preset_of_a_newer_version_works_if_its_network_is_known(server: Hub) -> None:
    """The json rebuilds the network, whatever its name; of an unknown kind it says to update."""
    server.add(NAME, files(preset="gigantic", scale=3))
    assert pull(preset="gigantic", scale=None).scale == 3
    changed = {name: content.replace(b'"autoencoder"', b'"hyper"') for name, content in files(1, "gigantic", 3).items()}
    server.add(NAME, changed)
    with pytest.raises(WeightsError, match=r"'hyper', which this version does not know; update.*pip install -U"):
        pull(preset="gigantic", scale=3)


def test_trouble_that_passes_is_waited_for(server: Hub) -> None:
    """Twice 503 and once 500, and the weights arrive; trouble that stays is a sentence."""
    server.add(NAME, files())
    server.failures = [("/revision/", 503), ("/revision/", 503), ("/tree/", 500)]
    assert pull().scale == 2
    server.add(NAME, files(1))
    server.failures = [("/revision/", 503)] * hub.ATTEMPTS
    assert pull().place, "what was downloaded before does for as long"
    server.add("someone/other", files())
    server.failures = [("/revision/", 503)] * hub.ATTEMPTS
    with pytest.raises(HubError, match=r"has trouble now \(HTTP status 503\). Try again"):
        pull("someone/other")


def test_a_download_that_is_cut_off_is_resumed(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is asked for from where it broke off."""
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 3_000)  # by default all of these files
    server.add(NAME, files(preset="base"))
    server.cuts = [9_000]
    assert pull(preset="base").scale == 2
    assert server.resumed == [9_000]


def test_a_damaged_download_is_fetched_again(server: Hub, tmp_path: Path) -> None:
    """By the sha256 in the json; if the Hub itself has it damaged, the sentence says so."""
    server.add(NAME, files())
    pull()
    (path,) = (tmp_path / "cache").glob("**/snapshots/*/nano-x2.safetensors")
    path.resolve().write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    server.asked.clear()
    pull()
    assert sum("nano-x2.safetensors" in line for line in server.asked if line.startswith("GET")) == 1

    sound = files(3)
    sound["nano-x2.safetensors"] = sound["nano-x2.safetensors"][:-4] + b"\0\0\0\1"
    server.add(NAME, sound)
    with pytest.raises(HubError, match=r"does not match its sha256.*Choose another revision"):
        pull()


def test_without_network_the_cache_is_used(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the Hub gone, what was pulled works by branch and by sha, and what was not is a sentence."""
    sha = server.add(NAME, files() | files(1, "base"))
    pull()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # where nobody answers
    assert str(pull().place) == str(pull(revision=sha).place) == f"hf://{NAME}@{sha}"
    for where, preset in ((NAME, "base"), ("someone/other", "nano")):
        with pytest.raises(HubError, match=r"cannot be reached.*Check the network"):
            pull(where, preset)


def test_offline_mode_is_respected(server: Hub, tmp_path: Path) -> None:
    """With HF_HUB_OFFLINE set nothing is asked; the cache does, and without it the sentence names the variable."""
    sha = server.add(NAME, files())
    pull()
    server.asked.clear()
    Image.new("RGB", (8, 6), (200, 30, 40)).save(tmp_path / "small.png")
    for name, status, words in ((NAME, 0, f"Weights: hf://{NAME}@{sha}"), ("someone/other", 1, "Unset it once")):
        pictures = [str(tmp_path / f"{size}.png") for size in ("small", "large")]
        command = [sys.executable, "-m", "sr_model", "upscale", *pictures]
        done = subprocess.run(
            [*command, "--weights", f"hf://{name}", "--preset", "nano", "--engine", "torch", "--device", "cpu"],
            env=os.environ
            | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": server.url, "HF_HUB_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr
    assert not server.asked
    assert Image.open(tmp_path / "large.png").size == (16, 12)


def test_a_full_disk_is_a_sentence(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is a cache that cannot be written; both name HF_HOME."""
    server.add(NAME, files())
    device = Path("/dev/full")
    if device.exists():
        with pytest.raises(HubError, match=r"no room.*set HF_HOME"), hub.told(hub.Repo(NAME)):
            device.write_bytes(b"x" * 100_000)
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(HubError, match="HF_HOME"):
        pull()
    with pytest.raises(HubError, match="HF_HOME"), hub.told(hub.Repo(NAME)):
        raise OSError(errno.EROFS, "Read-only file system")


def test_commands_take_a_repository_where_they_take_a_folder(
    server: Hub, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`upscale` and `evaluate` print the commit; the report keeps it; --record has no folder to write to."""
    sha = server.add(NAME, files())
    network = ["--preset", "nano", "--weights", NAME, "--device", "cpu", "--engine", "torch"]
    assert main(["upscale", str(photo_folder / "a.png"), str(tmp_path / "large.png"), *network]) == 0
    assert f"Weights: hf://{NAME}@{sha}" in capsys.readouterr().err
    with Image.open(photo_folder / "a.png") as small:
        assert np.array_equal(np.asarray(Image.open(tmp_path / "large.png")), np.asarray(pull()(small)))
    assert main(["evaluate", "--data", str(photo_folder), "--json", *network]) == 0
    assert f'"weights": "hf://{NAME}@{sha}"' in capsys.readouterr().out
    assert main(["evaluate", "--data", str(photo_folder), "--record", *network]) == 2


def test_training_begins_with_weights_of_the_hub(server: Hub, photo_folder: Path, tmp_path: Path) -> None:
    """--init takes hf://; what was learned before, and its commit, are on the new weights' card."""
    sha = server.add(NAME, files(preset="large"))
    shape = ["--preset", "large"]
    shape += ["--network", "width=8,latent_width=8,encoder_blocks=1,latent_blocks=1,decoder_blocks=1"]
    options = ["--max-steps", "1", "--patch-size", "16", "--batch-size", "2", "--device", "cpu", *shape]
    arguments = ["--data", str(photo_folder), "--run-dir", str(tmp_path / "run"), "--init", f"hf://{NAME}", *options]
    assert train_main(arguments) == 0
    card = weights.read_card("large", 2, tmp_path / "run")
    assert card.training["earlier"] == {"steps": 1, "weights": f"hf://{NAME}@{sha}"}
    with pytest.raises(SystemExit):
        train_main(["--init"])
    assert train_main([*arguments[:2], "--init", "someone/nothing", "--run-dir", str(tmp_path / "other")]) == 1


def test_the_page_says_which_weights_it_serves(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repository and commit, and the name, date and sha256 of all weights; nothing that a json makes up."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "pictures"))
    tampered = files(1, "base")
    tampered["base-x2.json"] = tampered["base-x2.json"].replace(b'"made": "20', b'"made": "<b>')
    sha = server.add(NAME, files() | tampered)
    page = ui.build_app(NAME, "cpu", engine="torch")
    (text,) = (vars(block)["value"] for block in page.page.blocks.values() if block.elem_id == "sr-weights")
    card = weights.read_card("nano", 2, places.locate(NAME).folder)
    assert f"<code>hf://{NAME}@{sha}</code> (2)</summary>" in text
    assert f"| nano-x2 | {card.made} | `{card.sha256[:16]}` |" in text
    assert "base-x2" in text
    assert "<b>" not in text
