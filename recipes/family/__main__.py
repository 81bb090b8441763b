"""Train the whole family at once on one GPU: `python -m recipes.family --data PHOTOS --val-data HELD_OUT`.

In three parts: all networks at x2 on clean pictures; from these, x4 and x3; from base, the sets of weights of `photo`
at all scales, on what workers on the CPU have degraded meanwhile. All photos lie in the GPU's memory (8 bytes a pixel
with everything made of them), patches are cut there, and a step is one CUDA graph. The networks of a part take turns,
so that each gets its share of the time; the learning rate falls to 0 over that. Writes a folder for each network as
train.py does, to go on with: `python -m sr_model promote`, `mix` and `quantize`.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recipes.family.making import KINDS, SIDES, Store, making
from recipes.family.photos import decoded, planes
from recipes.family.pixels import CleanCuts, Cuts
from recipes.family.steps import Trainer
from sr_model import data
from sr_model.imaging.metrics import score
from sr_model.imaging.resampling import enlarge, shrink
from sr_model.models import weights
from sr_model.networks import Network, build, presets

# Shares of a part's time. What photo learns of clean pictures is the parent of its weights for damaged ones.
PRESETS = {"nano": 1.0, "small": 1.6, "base": 3.5, "photo": 2.5, "large": 5.0, "best": 7.0}
PARTS = {"x2": 0.46, "x3 and x4": 0.26, "photo": 0.28}  # shares of the whole time
KIND_SHARES = {"heavy": 1.25, "light": 0.75}
SCALES = (4, 3)  # that begin with x2's weights
BATCH = 32
CLEAN_LOSS = {"l1": 0.3, "luma": 1.0}
PHOTO_LOSS = {"l1": 0.5, "luma": 0.5, "ms_ssim": 0.3}
CLEAN_LR, PHOTO_LR = 1.5e-3, 1e-3
AHEAD = 32  # steps that the CPU may be ahead of the GPU


@dataclass(frozen=True)
class Job:
    """A network to be trained."""

    preset: str
    scale: int
    trainer: Trainer
    share: float
    kind: str = "bicubic"  # of degradation

    @property
    def name(self) -> str:
        kind = "" if self.kind == "bicubic" else f"{self.kind}-"
        return f"{self.preset}-{kind}x{self.scale}"


class Family:
    """The networks so far, by preset and scale, and where they are written to."""

    def __init__(self, folder: Path, sets: dict[str, int], held_out: list[np.ndarray], device: torch.device) -> None:
        self.folder, self.sets, self.device = folder, sets, device
        self.held_out = [torch.from_numpy(pixels.copy()).to(device) for pixels in held_out]
        self.networks: dict[tuple[str, int], Network] = {}

    def start(self, preset: str, scale: int, parent: tuple[str, int] | None) -> Network:
        """A network with everything of its parent's weights that fits; where there is none, a fresh one."""
        network = build(presets.config(preset, scale), seed=0)
        if parent:
            own = network.state_dict()
            given = self.networks[parent].state_dict()
            fits = {name: value for name, value in given.items() if own[name].shape == value.shape}
            network.load_state_dict(fits, strict=False)
        return network.to(self.device)

    def train(self, jobs: list[Job], seconds: float) -> None:
        """Train the networks of a part in turns, and keep them."""
        began = time.monotonic()
        for job in jobs:
            job.trainer.prepare()
        budget = max(1.0, seconds - (time.monotonic() - began)) * 1000 / sum(job.share for job in jobs)
        began, told, turns, events = time.monotonic(), 0.0, 0, list[torch.cuda.Event]()
        spent = dict.fromkeys((job.name for job in jobs), 0.0)  # milliseconds
        while True:
            clock = time.monotonic() - began
            job = min(jobs, key=lambda job: spent[job.name] / job.share)
            if spent[job.name] >= budget * job.share:
                break
            job.trainer.step(spent[job.name] / (budget * job.share))
            # Without a graph steps are not timed beforehand.
            spent[job.name] += (
                job.trainer.milliseconds if self.device.type == "cuda" else 1e3 * (time.monotonic() - began - clock)
            )
            turns += 1
            if self.device.type == "cuda" and turns % (AHEAD // 4) == 0:
                events.append(torch.cuda.Event())
                events[-1].record()
                if len(events) > 4:
                    events.pop(0).synchronize()
            if clock - told > 10:
                told = clock
                print(
                    f"{clock:.0f} s:",
                    *(f"{j.name} {j.trainer.steps:,} {j.trainer.mean_loss:.4f};" for j in jobs),
                    flush=True,
                )
        for job in jobs:
            self._keep(job, spent[job.name] / 1000)

    def _keep(self, job: Job, seconds: float) -> None:
        network = job.trainer.finish()
        self.networks[job.preset if job.kind == "bicubic" else job.name, job.scale] = network
        trainer = job.trainer
        arguments = {
            "preset": job.preset,
            "scale": job.scale,
            "degradation": job.kind,
            "batch_size": trainer.batch,
            "patch_size": trainer.cuts.side,
            "optimizer": "muon",
            "lr": trainer.lr,
            "loss": ",".join(f"{name}={weight:g}" for name, weight in trainer.loss.items()),
        }
        training = {
            "recipe": "recipes/family",
            "arguments": arguments,
            "sets": self.sets,
            "steps": trainer.steps,
            "hours": round(seconds / 3600, 3),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU",
            "precision": "bfloat16",
            "torch": torch.__version__,
        }
        metrics = {} if job.scale == 1 else {"validation": self._measured(network, job.scale)}
        weights.save(network, job.preset, self.folder / job.name, training, metrics)
        print(f"{job.name}: {trainer.steps:,} steps in {seconds:.0f} s,", metrics or "not measured", flush=True)

    def _measured(self, network: Network, scale: int) -> dict[str, float]:
        torch.backends.cudnn.benchmark = False  # each picture has a size of its own
        psnr, bicubic = [], []
        with torch.inference_mode():
            for pixels in self.held_out:
                high = _to_tensor(pixels[: len(pixels) // scale * scale, : pixels.shape[1] // scale * scale])
                low = shrink(high, scale)
                psnr.append(score(network(low), high, scale)[0])
                bicubic.append(score(enlarge(low, scale), high, scale)[0])
        torch.backends.cudnn.benchmark = True
        means = (round(float(np.mean(values)), 3) for values in (psnr, bicubic))
        return {"pictures": len(psnr), **dict(zip(("psnr", "bicubic_psnr"), means, strict=True))}


def _to_tensor(pixels: Tensor) -> Tensor:
    return pixels.permute(2, 0, 1)[None].float().div(255)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m recipes.family", description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", required=True, metavar="FOLDER", help="photos for training")
    parser.add_argument("--val-data", required=True, metavar="FOLDER", help="photos to measure on")
    parser.add_argument("--out", type=Path, default=Path("runs/family"), metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training (default: 10)")
    parser.add_argument("--made", type=int, default=65536, metavar="N", help="degraded patches of each kind and scale")
    options = parser.parse_args()
    train_family(options.data, options.val_data, options.out, 60 * options.minutes, options.made)


def train_family(sources: list[str], held_out: str, out: Path, seconds: float, made: int) -> None:
    """Train all, and write them below `out`. `made` is the number of degraded patches of each kind and scale."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    files = data.list_files(sources, 1, print, print)
    validation = data.list_files([held_out], 1, print, print)
    sets = dict(Counter(file.set_name for file in files))
    high, low = planes(decoded([file.path for file in files]), (2, *SCALES), device)
    family = Family(out, sets, decoded([file.path for file in validation]), device)

    def job(preset: str, scale: int, parent: tuple[str, int] | None) -> Job:
        cuts = CleanCuts(high, low[scale], scale, SIDES[scale])
        network = family.start(preset, scale, parent)
        return Job(preset, scale, Trainer(network, cuts, BATCH, CLEAN_LR, CLEAN_LOSS, last=True), PRESETS[preset])

    def repairing(kind: str, scale: int, cuts: Cuts) -> Job:
        network = family.start("photo", scale, ("photo", max(scale, 2)))
        if scale == 1:  # nothing is to be done to a clean picture
            torch.nn.init.zeros_(network.get_parameter("decoder.tail.0.weight"))
            torch.nn.init.zeros_(network.get_parameter("decoder.tail.0.bias"))
        trainer = Trainer(network, cuts, BATCH, PHOTO_LR, PHOTO_LOSS, last=False)
        return Job("photo", scale, trainer, KIND_SHARES[kind], kind)

    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        store = Store(Path(folder), made)
        with making(store, high, list(SIDES), max(1, (os.cpu_count() or 2) - 2)):
            family.train([job(preset, 2, None) for preset in PRESETS], seconds * PARTS["x2"])
            later = [job(preset, scale, (preset, 2)) for scale in SCALES for preset in PRESETS]
            family.train(later, seconds * PARTS["x3 and x4"])
        repairs = [repairing(kind, scale, store.cuts(high, kind, scale)) for scale in SIDES for kind in KINDS]
        family.train(repairs, seconds * PARTS["photo"])


if __name__ == "__main__":
    main()
