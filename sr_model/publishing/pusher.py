"""The weights of a training run on the Hub: each improvement, if asked for, and what there is at the end."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from sr_model.errors import HubError, SRError
from sr_model.models import hub
from sr_model.publishing.push import PHOTO, Files, Target, choose, prepare, push, upload, weights_files

Say = Callable[[str], None]


class Pusher:
    """Pushes the weights in a run folder. Raises ConfigError and HubError at once if this user may not push there."""

    def __init__(self, folder: Path, repo: str, every: bool, say: Say, warn: Say) -> None:
        """`repo` is owner/name[@branch]; with `every`, improvements are pushed too."""
        self.folder, self.every, self.say, self.warn = folder, every, say, warn
        self.target = Target(hub.parse_or_refuse("--push", repo))
        prepare(self.target)
        self._waiting: Files | None = None
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, "pusher")
        self._upload: Future[None] | None = None

    def improved(self) -> None:
        """Push the weights as they are now, without figures, while training goes on.

        Of improvements that come faster than the network only the newest is pushed. Failures are warnings.
        """
        if not self.every:
            return
        files: Files = {}
        for preset, scale in choose(self.folder, ()):
            files |= weights_files(preset, scale, self.folder)
        with self._lock:
            idle, self._waiting = self._waiting is None, files
        if idle:
            self._upload = self._thread.submit(self._upload_waiting)

    def finished(self) -> None:
        """Push what there is, with figures. Raises HubError, which says how to push later."""
        self.close()
        photo = PHOTO if PHOTO.exists() else None
        try:
            address = push(self.folder, (), self.target, photo, self.say)
        except SRError as error:
            name = self.target.repo.name
            raise HubError(
                f"The run is finished, but its weights could not be pushed. {error} Push them with: "
                f"python -m sr_model push --weights {self.folder} --repo {name}"
            ) from error
        self.say(f"Pushed to {address}")

    def close(self) -> None:
        """Wait for an upload that is under way."""
        self._thread.shutdown()

    def _upload_waiting(self) -> None:
        with self._lock:
            files, self._waiting = self._waiting, None
        assert files is not None, "there was something to upload"
        try:
            self.say(f"Pushed to {upload(files, self.target, self.say)}")
        except SRError as error:
            self.warn(f"This improvement is not pushed. {error}")
