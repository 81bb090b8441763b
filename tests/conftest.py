import os
from pathlib import Path

# One thread is as fast as many on tiny networks, waits for no other, and gives the same results on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from safetensors.torch import save as save_tensors

from sr_model.imaging.finishing import fused
from sr_model.inference.upscaler import Upscaler
from sr_model.models import weights
from sr_model.networks import Config, Network, build
from sr_model.networks.autoencoder import AutoencoderConfig

# A slow or busy machine fails no law.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

EXAMPLES = Path(__file__).parent.parent / "examples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is neither `long` nor `slow` is `quick`: a loop of about a minute for those who write code."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker("long")
        if not any(item.get_closest_marker(name) for name in ("long", "slow")):
            item.add_marker("quick")


@pytest.fixture(autouse=True)
def of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a process expects many pictures lasts as long as it; tests are to find it as if they were alone."""
    monkeypatch.setattr(fused, "_expected", False)


def tiny_model(scale: int = 2, seed: int = 0) -> Network:
    """A small network whose every weight matters: fresh ones start as bicubic and would pass tests by doing nothing."""
    return randomised(
        AutoencoderConfig(scale, width=8, latent_width=8, encoder_blocks=1, latent_blocks=1, decoder_blocks=1), seed
    )


def randomised(config: Config, seed: int = 0) -> Network:
    """A network with weights of one size everywhere."""
    network = build(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network.eval()


def save_mixed(preset: str, folder: Path) -> None:
    """Write weights that are mixed of two tiny networks, at x2."""
    parent, heavy = tiny_model(), tiny_model(seed=1)
    sets = {"parent": parent.state_dict(), "heavy": heavy.state_dict()}
    data = save_tensors({f"{name}.{key}": value for name, state in sets.items() for key, value in state.items()})
    card = weights.save(parent, preset, folder, {}, {})
    strengths = {"parent": 0.0, "heavy": 1.0}
    weights.install(data, replace(card, strengths=strengths, sha256=hashlib.sha256(data).hexdigest()), folder)


@pytest.fixture
def model() -> Network:
    return tiny_model()


@pytest.fixture
def upscaler(model: Network) -> Upscaler:
    return Upscaler(model, device="cpu", tile=64, engine="torch")


@pytest.fixture
def network(tmp_path: Path) -> list[str]:
    """Options of the command line for a tiny network."""
    weights.save(tiny_model(), "nano", tmp_path / "weights", {}, {})
    return ["--preset", "nano", "--weights", str(tmp_path / "weights"), "--device", "cpu", "--engine", "torch"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A real photo, 451x300."""
    return Image.open(EXAMPLES / "chelsea.png").convert("RGB")


@pytest.fixture
def photo_folder(tmp_path: Path, photo: Image.Image) -> Path:
    """Four different real photos of 120x96 pixels, one of them in a folder of its own."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i, name in enumerate(("a.png", "b.png", "c.png", "more/d.png")):
        photo.crop((i * 80, 60, i * 80 + 120, 156)).save(folder / name)
    return folder


@pytest.fixture
def pairs_folder(tmp_path: Path, photo: Image.Image) -> Path:
    """Six real pairs for x2 in the public layout; the low resolution is sharper than bicubic makes it."""
    folder = tmp_path / "pairs"
    rows = ["low_res,high_res"]
    for name in ("low res", "high res"):
        (folder / name).mkdir(parents=True)
    for i in range(6):
        high = photo.crop((i * 50, 60, i * 50 + 120, 156))
        high.save(folder / "high res" / f"{i}.png")
        high.resize((60, 48), Image.Resampling.LANCZOS).save(folder / "low res" / f"{i}.png")
        rows.append(f"{i}.png,{i}.png")
    (folder / "image_data.csv").write_text("\n".join(rows) + "\n")
    return folder
