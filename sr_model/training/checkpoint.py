"""Checkpoints of a training run: written whole or not at all, checked on reading, never a pickle."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from sr_model.errors import DataError
from sr_model.files import write_atomically

KEEP = 2  # the newest, and the one before it in case the newest is found damaged


def save(folder: Path, step: int, tensors: dict[str, Tensor], meta: dict[str, Any]) -> Path:
    """Write `step-<step>.safetensors` with its sha256 beside it, then delete all but the newest KEEP."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.safetensors"
    data = save_tensors(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
        metadata={"meta": json.dumps(meta)},
    )
    checksum = path.with_suffix(".sha256")
    # Where one of this step is replaced, its digest stays as the second.
    replaced = checksum.read_bytes().split()[:1] if path.exists() and checksum.exists() else []
    # The checksum first: killed between the two, there is no checkpoint yet, or the old one, rather than one that
    # nothing vouches for.
    write_atomically(checksum, b"\n".join([hashlib.sha256(data).hexdigest().encode(), *replaced]))
    write_atomically(path, data)
    for old in checkpoints(folder)[:-KEEP]:
        old.unlink()
        old.with_suffix(".sha256").unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """All checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def load_newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """Tensors and meta of the newest checkpoint that is whole, and a sentence for each newer one that is not.

    Raises DataError where there is none.
    """
    complaints: list[str] = []
    for path in reversed(checkpoints(folder)):
        try:
            data = path.read_bytes()
            digests = path.with_suffix(".sha256").read_text().split()
            if hashlib.sha256(data).hexdigest() not in digests:
                raise ValueError("it does not match its sha256")
            header_size = int.from_bytes(data[:8], "little")
            meta = json.loads(json.loads(data[8 : 8 + header_size])["__metadata__"]["meta"])
            return load_tensors(data), meta, complaints
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            complaints.append(f"Checkpoint {path.name} is damaged ({error}); the one before it is used.")
    raise DataError(
        f"There is no whole checkpoint in {folder} to resume from. {' '.join(complaints)} "
        "Start the run without --resume, or point --run-dir at a run that was begun."
    )
