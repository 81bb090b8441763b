"""What tests of folder jobs share."""

import os
from pathlib import Path

from sr_model.bulk.job import Job
from sr_model.bulk.journal import FOLDER
from sr_model.inference.upscaler import Upscaler

ALL = ["a.png", "b.png", "c.png", "more/d.png"]  # results of the fixture photo_folder


def statuses(job: Job, upscaler: Upscaler) -> dict[str, str]:
    """What becomes of each file, by the name of its result."""
    return {os.path.relpath(record.target, job.out): record.status for record in job.run(upscaler)}


def files(folder: Path) -> dict[str, bytes]:
    """What can be seen in a folder."""
    found = (path for path in folder.rglob("*") if path.is_file() and FOLDER not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
