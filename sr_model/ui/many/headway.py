"""How far a queue is: what the page shows of its rows."""

import time
from typing import Any

from sr_model.ui.handlers import Updates, busy
from sr_model.ui.many.plans import Plan
from sr_model.ui.many.rows import Queue, Row


class Headway:
    """Of a turn's work on `pending`, the numbers of the rows that are left, which shrinks as they are done."""

    def __init__(self, queue: Queue, plan: Plan, pending: list[int]) -> None:
        self._queue, self._plan, self._pending = queue, plan, pending
        self._all = list(pending)
        self._ticked = 0  # pixels that the network has done
        self._begin = self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begin

    def tick(self, pixels: int) -> None:
        self._ticked += pixels

    def is_due(self, interval: float) -> bool:
        """Whether that long has passed since it last was."""
        due = time.monotonic() - self._last > interval
        if due:
            self._last = time.monotonic()
        return due

    def left(self) -> dict[int, tuple[float, float]]:
        """(part that is done, seconds until it is all) by the numbers of the rows that are left, in order.

        The network takes the rows in order, and what it has done is told as pixels only.
        """
        rows = self._queue.rows
        gone = set(self._all) - set(self._pending)
        done = max(0, self._ticked - sum(rows[n].pixels for n in gone if _is_done(rows[n])))
        cost = self.seconds / self._ticked if self._ticked else self._plan.cost
        found, seconds = {}, 0.0
        for number in self._pending:
            pixels = rows[number].pixels
            part = min(done, pixels)
            done -= part
            seconds += (pixels - part) * cost
            found[number] = part / pixels, seconds
        return found

    def status(self) -> Updates:
        """The status line's words and bar."""
        seconds = max((seconds for _, seconds in self.left().values()), default=0.0)
        total = sum(not row.reason for row in self._queue.rows) - len(self._plan.refusals)
        done = total - len(self._pending)
        return busy("files", f"{done} of {total} pictures done, about {seconds:.0f} s left", done, total, seconds)


def shown(queue: Queue, plan: Plan | None, headway: Headway | None = None) -> dict[str, Any]:
    """The queue's value for the page: its name, its rows, how many are to be done in what time, and the results."""
    pending = plan.pending(queue) if plan else []
    left = headway.left() if headway else {}
    rows = []
    for number, row in enumerate(queue.rows):
        value = {"name": row.name, "size": row.size, **_state(row)}
        if plan and number in plan.refusals:
            value |= {"state": "refused", "text": plan.refusals[number]}
        elif number in left:
            part, seconds = left[number]
            begun = part > 0 or number == next(iter(left))
            value |= {"state": "working" if begun else "waiting", "part": part, "left": seconds}
        elif plan and number in pending and value["state"] == "waiting":
            value["left"] = row.pixels * plan.cost
        rows.append(value)
    results = [row.record for row in queue.rows if row.record and _is_done(row)]
    return {
        "id": queue.folder.name,
        "rows": rows,
        "pending": len(pending),
        "seconds": sum(queue.rows[n].pixels for n in pending) * plan.cost if plan else 0.0,
        "results": {"count": len(results), "bytes": sum(record.bytes_out for record in results)},
    }


def _state(row: Row) -> dict[str, Any]:
    record = row.record
    if row.reason or (record and record.status == "refused"):
        return {"state": "refused", "text": row.reason or (record.reason if record else "")}
    if record:
        return {"state": "done", "result": record.result_size, "bytes": record.bytes_out}
    return {"state": "waiting"}


def _is_done(row: Row) -> bool:
    return row.record is not None and row.record.status == "done"
