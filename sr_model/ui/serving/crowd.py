"""Who waits in the queue: each client's share of it, and when there is a place again."""

import math
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import gradio as gr
from starlette.exceptions import HTTPException

MOST = 24  # jobs that wait; more are turned away
SHARE = 4  # of one client, waiting and running
UNMEASURED = 15.0  # seconds of a job, before the first one has ended
SOON, NETWORK_BITS = 5, 64

OWN = "You have {count} pictures in the queue, as many as one visitor can. Please try again in about {when}."
FULL = "The queue is full: {count} pictures are waiting. Please try again in about {when}."


def client_of(request: Any) -> str:
    """Who sends a request: an IPv4 address, or the network of an IPv6 address, as one client has a whole one.

    The address is that of the connection, or what a trusted proxy says of it (`proxies.py`), never just a header's.
    """
    host = request.client.host if request is not None and request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, NETWORK_BITS), strict=False))


class Crowd:
    """Guards the queue of `page`: at most `most` jobs wait, and at most `share` of one client wait or run."""

    def __init__(self, page: gr.Blocks, most: int = MOST, share: int = SHARE) -> None:
        """To be called once the page's queue is set up."""
        self.page, self.most, self.share = page, most, share
        # Gradio's queue has no such setting, so its method is wrapped.
        push = page._queue.push

        async def guarded(body: Any, request: Any, username: Any) -> Any:
            sentence = self.refusal(request)
            if sentence:
                retry = {"retry-after": str(math.ceil(self.seconds_to_place(request)))}
                raise HTTPException(503, sentence, retry)
            return await push(body, request, username)

        page._queue.push = guarded  # type: ignore[method-assign]

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting())

    @property
    def running(self) -> int:
        """Jobs that run."""
        return len(self._running())

    @property
    def seconds_each(self) -> float:
        """What a job took on average since the start."""
        times = list(self.page._queue.process_time_per_fn.values())
        count = sum(time.count for time in times)
        return sum(time.process_time for time in times) / count if count else UNMEASURED

    def refusal(self, request: Any) -> str | None:
        """Why this client can add no job now, as a sentence, or None if it can."""
        client = client_of(request)
        own = sum(client_of(event.request) == client for event in self._jobs())
        when = in_words(self.seconds_to_place(request))
        if own >= self.share:
            return OWN.format(count=own, when=when)
        if self.waiting >= self.most:
            return FULL.format(count=self.waiting, when=when)
        return None

    def seconds_to_place(self, request: Any) -> float:
        """After so long this client may try again: its own first job has ended, or any job if it has none."""
        client = client_of(request)
        own = [i for i, event in enumerate(self._waiting()) if client_of(event.request) == client]
        before = own[0] + 1 if own and all(client_of(e.request) != client for e in self._running()) else 1
        return max(before * self.seconds_each, SOON)

    def _waiting(self) -> list[Any]:
        return [event for queue in self._queues() for event in queue.queue]

    def _running(self) -> list[Any]:
        return [event for job in self.page._queue.active_jobs if job for event in job]

    def _jobs(self) -> list[Any]:
        return self._waiting() + self._running()

    def _queues(self) -> Iterator[Any]:
        yield from list(self.page._queue.event_queue_per_concurrency_id.values())


def in_words(seconds: float) -> str:
    """Rounded up: 20 seconds, 3 minutes."""
    if seconds <= 50:
        return f"{5 * math.ceil(seconds / 5)} seconds"
    minutes = math.ceil(seconds / 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
