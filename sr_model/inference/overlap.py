"""Many items at once: while the network works on one, others are loaded and saved in the background.

Pictures that have been loaded and are not yet saved take at most `budget` bytes, or as much as the largest one needs.
"""

import atexit
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

from sr_model.errors import SRError
from sr_model.imaging.images import Picture
from sr_model.inference.batches import Enlarged, Stream, Tick
from sr_model.system.threads import Room, StoppedError, Workers

Item = TypeVar("Item")
Result = TypeVar("Result")

BUDGET = 1_500_000_000  # bytes: two photos of 12 megapixels at x2, or hundreds of small pictures
AHEAD = 64  # items that are on their way at most, however small


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """What `load` returns where the network has nothing to do."""

    result: Result


@dataclass(frozen=True)
class Pictures:
    """What the network made of an item's pictures, and the seconds that it took; or the error that it ended in."""

    pictures: list[Picture]
    seconds: float = 0.0
    error: SRError | None = None


Admit = Callable[[int], None]
Load = Callable[[Item, Admit], list[Picture] | Finished[Result]]
Save = Callable[[Item, Pictures], Result]
Enlarge = Callable[[Stream], Iterator[Tick | Enlarged]]  # as batches.enlarge_all does; called once for each lane


def cost(size: tuple[int, int], scale: int, frames: int = 1) -> int:
    """Bytes that pictures of (width, height) and their results take at most: as arrays, in Pillow and as files."""
    w, h = size
    return 11 * w * h * (1 + scale**2) * frames


def overlapped(
    items: Iterable[Item],
    load: Load[Item, Result],
    enlarge: Enlarge,
    save: Save[Item, Result],
    budget: int = BUDGET,
    threads: int = 1,
    lanes: int = 1,
) -> Generator[Tick | Result, None, None]:
    """Yield what `save` or `Finished` gave for each item, in order, and a Tick after each tile.

    `items` is iterated in a thread of its own; `load` and `save` run in `threads` threads each, and `enlarge` in
    `lanes` threads, each of which takes the next picture when it is done with the last one. Before `load` decodes
    anything it calls `admit` with the bytes that it is going to take, which waits until there is room. What `items`,
    `load` or `save` raise is raised in the item's place, and ends it all. Whoever stops iterating stops the work
    within a tile; a `load` or `save` that has begun goes on in its thread.
    """
    line = _Line(load, enlarge, save, budget, threads, lanes)
    atexit.register(line.stop)  # an iterator that is still there then must not be in the network
    try:
        yield from line.run(items)
    finally:
        line.stop()
        atexit.unregister(line.stop)


@dataclass
class _Ticket(Generic[Item]):
    """An item on its way."""

    index: int
    item: Item
    loaded: Future = field(default_factory=Future)
    saved: Future = field(default_factory=Future)
    cost: int | None = None  # None until it is let into the room
    missing: int = 1  # pictures that the network has not done yet, and 1 while nobody knows how many there are
    enlarged: dict[int, Picture] = field(default_factory=dict)  # by their numbers
    seconds: float = 0.0
    error: SRError | None = None


class _Line(Generic[Item, Result]):
    """The threads, what they hand to each other, and how they end."""

    def __init__(
        self,
        load: Load[Item, Result],
        enlarge: Enlarge,
        save: Save[Item, Result],
        budget: int,
        threads: int,
        lanes: int,
    ) -> None:
        self._load, self._enlarge, self._save = load, enlarge, save
        self._room = Room(budget)
        self._slots = threading.Semaphore(AHEAD)
        self._stopped = threading.Event()
        self._loaders, self._savers = Workers(threads), Workers(threads)
        self._to_enlarge: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._awaited: Future = Future()
        self._line: deque[_Ticket] = deque()  # what the network has been given and the consumer has not
        self._events: SimpleQueue[Tick | _Ticket | BaseException | None] = SimpleQueue()
        self._pictures = self._in_order()
        self._taking = threading.Lock()  # the next picture
        self._handing = threading.Lock()  # on what is done
        self._lanes = [threading.Thread(target=self._work, daemon=True) for _ in range(lanes)]
        self._working = lanes

    def run(self, items: Iterable[Item]) -> Iterator[Tick | Result]:
        threading.Thread(target=self._feed, args=(items,), daemon=True).start()
        for lane in self._lanes:
            lane.start()
        while (event := self._events.get()) is not None:
            if isinstance(event, Tick):
                yield event
            elif isinstance(event, BaseException):
                raise event
            else:
                result = event.saved.result()
                self._room.leave(event.cost or 0)
                self._slots.release()
                del event  # or its result would stay in memory until the next one is there
                yield result
                del result

    def stop(self) -> None:
        """Wait for the network's tiles and for nothing else."""
        self._stopped.set()
        self._room.close()
        self._slots.release(AHEAD)
        self._to_enlarge.put(None)
        with suppress(InvalidStateError):
            self._awaited.set_exception(StoppedError())
        self._loaders.stop()
        self._savers.stop()
        for lane in self._lanes:
            if lane.ident is not None:
                lane.join()

    def _feed(self, items: Iterable[Item]) -> None:
        index = 0
        try:
            for item in items:
                self._slots.acquire()
                if self._stopped.is_set():
                    return
                ticket = _Ticket(index, item)
                self._to_enlarge.put(ticket)
                self._loaders.submit(ticket.loaded, self._load_one, ticket)
                index += 1
                del item, ticket
        except BaseException as error:  # the caller's iterable may raise anything, and the caller is to see it
            failed: _Ticket = _Ticket(index, None)
            failed.loaded.set_exception(error)
            self._to_enlarge.put(failed)
        self._to_enlarge.put(None)

    def _load_one(self, ticket: _Ticket) -> list[Picture] | Finished[Result]:
        def admit(size: int) -> None:
            self._room.enter(ticket.index, size)
            ticket.cost = size

        try:
            return self._load(ticket.item, admit)
        finally:
            if ticket.cost is None:
                admit(0)  # others wait for its turn to pass

    def _work(self) -> None:
        """One of the network's threads."""
        try:
            for event in self._enlarge(self._shared()):
                if self._stopped.is_set():
                    return
                if isinstance(event, Tick):
                    self._events.put(event)
                else:
                    self._collect(event)
                    self._hand_on()
            with self._handing:
                self._working -= 1
                if not self._working:
                    self._events.put(None)
        except StoppedError:
            pass
        except BaseException as error:  # to be raised where the results are waited for
            self._events.put(error)

    def _shared(self) -> Stream:
        """The pictures for one lane: the next ones that no other lane has taken."""
        while True:
            with self._taking:
                try:
                    item = next(self._pictures)
                except StopIteration:
                    return
            yield item
            del item  # or it would stay in memory while this lane waits for the next one

    def _in_order(self) -> Stream:
        """The pictures of all items in order, as they are loaded; None before what may be a wait."""
        while True:
            if self._to_enlarge.empty():
                yield None
            ticket = self._to_enlarge.get()
            if ticket is None:
                return
            self._awaited = ticket.loaded
            if not self._awaited.done():
                yield None
            if self._stopped.is_set():
                return
            self._line.append(ticket)
            try:
                loaded = ticket.loaded.result()
            except StoppedError:
                raise
            except BaseException as error:
                ticket.saved.set_exception(error)
                ticket.missing = 0
                self._hand_on()
                return
            ticket.loaded = self._awaited = Future()  # or the pictures would stay in memory until they are saved
            if isinstance(loaded, Finished):
                ticket.saved.set_result(loaded.result)
                ticket.missing = 0
                self._hand_on()
                continue
            ticket.missing = len(loaded)
            for number in range(len(loaded)):
                yield (ticket, number), loaded.pop(0)

    def _collect(self, event: Enlarged) -> None:
        ticket: _Ticket
        ticket, number = event.key
        with self._handing:
            ticket.seconds += event.seconds
            if isinstance(event.result, SRError):
                ticket.error = ticket.error or event.result
            else:
                ticket.enlarged[number] = event.result
            ticket.missing -= 1
            if not ticket.missing:
                self._savers.submit(ticket.saved, self._save_one, ticket)

    def _save_one(self, ticket: _Ticket) -> Result:
        pictures = [] if ticket.error else [ticket.enlarged[number] for number in sorted(ticket.enlarged)]
        made = Pictures(pictures, ticket.seconds, ticket.error)
        ticket.enlarged = {}
        return self._save(ticket.item, made)

    def _hand_on(self) -> None:
        """Give what is complete to the consumer; never one before those that came earlier."""
        with self._handing:
            while self._line and not self._line[0].missing:
                self._events.put(self._line.popleft())
