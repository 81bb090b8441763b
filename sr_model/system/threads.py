"""Threads that work for a line of items: how many bytes they may take together, and how they end."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import SimpleQueue
from typing import Any


class StoppedError(Exception):
    """Nobody wants the results any more."""


class Room:
    """Bytes that may be taken at the same time; who waits is let in in the order of the index, which has no gaps."""

    def __init__(self, size: int) -> None:
        self._size, self._taken, self._turn, self._closed = size, 0, 0, False
        self._changed = threading.Condition()

    def enter(self, index: int, size: int) -> None:
        """Wait for one's turn, and until `size` fits or nobody else is in. Raises StoppedError once it is closed."""

        def may_enter() -> bool:
            fits = self._taken == 0 or self._taken + size <= self._size
            return self._closed or (self._turn == index and fits)

        with self._changed:
            self._changed.wait_for(may_enter)
            if self._closed:
                raise StoppedError
            self._taken += size
            self._turn += 1
            self._changed.notify_all()

    def leave(self, size: int) -> None:
        """Give back what `enter` took."""
        with self._changed:
            self._taken -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody enters any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Workers:
    """Threads that end with the process, unlike those of `concurrent.futures`, which it waits for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._stopped = False
        self._tasks: SimpleQueue[tuple[Future, Callable[..., Any], tuple] | None] = SimpleQueue()
        for _ in range(count):
            threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, future: Future, function: Callable[..., Any], *arguments: Any) -> None:
        """Call the function in a thread; the future gets what it returns or raises."""
        self._tasks.put((future, function, arguments))

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True
        for _ in range(self._count):
            self._tasks.put(None)

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None and not self._stopped:
            future, function, arguments = task
            with suppress(InvalidStateError):  # who waited for it has been told that all is stopped
                try:
                    future.set_result(function(*arguments))
                except InvalidStateError:
                    raise
                except BaseException as error:  # the future's owner is to see it
                    future.set_exception(error)
            del task, future, function, arguments
