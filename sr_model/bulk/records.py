"""What has become of a file: a line of the report and of the journal."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["done", "skipped", "refused"]


@dataclass(frozen=True)
class Item:
    """A file to enlarge: plain values, so that it can be sent to another machine."""

    source: str  # a path or a URL
    target: str  # the name of the result below OUT, with /
    size: int = 0  # bytes
    version: str = ""  # as of storage.Entry
    problem: str = ""  # likewise


@dataclass(frozen=True)
class Record:
    """What has become of an item."""

    source: str
    target: str  # a path or a URL
    status: Status
    reason: str = ""  # why it was skipped or refused, as a sentence
    seconds: dict[str, float] = field(default_factory=dict)  # by what they were spent on: load, network, save
    size: tuple[int, int] | None = None  # (width, height) of what was read
    result_size: tuple[int, int] | None = None
    frames: int = 1
    strength: float | None = None  # 0 to 1, of its first frame, where the weights are mixed; only if it was asked for
    agreement: float | None = None  # dB, of the frame that agrees least with its source; only if it was asked for
    bytes_in: int = 0
    bytes_out: int = 0
    sha256_in: str = ""
    sha256_out: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    shard: str = ""  # of a picture in a shard: the shard's source

    @property
    def pixels(self) -> int:
        """Of the result."""
        w, h = self.result_size or (0, 0)
        return w * h * self.frames

    def line(self, **more: Any) -> str:
        """One line of JSON, with its end."""
        return json.dumps(asdict(self) | more) + "\n"


def settings_id(settings: dict[str, Any]) -> str:
    """Equal for settings that make equal files."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
