"""The journal's promise for one event: await it, and the event is on flash."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from gateway.journal.delivery import Delivery
    from gateway.journal.entry import Entry
    from gateway.model import Lane


class Commit(Future[None]):
    """Done when one group of records is on flash; shared by all receipts of the group."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()  # a caller that stops waiting cancels nothing


class Receipt:
    """Where an accepted event stands: its lane and seq, whether it is on flash, and delivered."""

    __slots__ = ("_commit", "_deliver", "_entry", "lane")

    def __init__(
        self, lane: Lane, entry: Entry, commit: Commit, deliver: Callable[[Entry], Delivery]
    ) -> None:
        self.lane = lane
        self._deliver = deliver
        self._entry = entry
        self._commit = commit

    @property
    def seq(self) -> int:
        """The seq that the event has, or will have unless the flash refuses."""
        return self._entry.seq

    @property
    def durable(self) -> bool:
        """The event is on flash."""
        return self._commit.done() and self._commit.exception() is None

    def result(self, timeout_s: float | None = None) -> int:
        """Block until the event is on flash; its seq.

        Raises:
            JournalWriteFailed: the flash refused; the event is kept in memory and tried again.
            TimeoutError: it took longer than `timeout_s`.
        """
        self._commit.result(timeout_s)
        return self.seq

    async def delivered(self) -> None:
        """Return when the far side has committed the event, on whatever way it got there.

        Raises:
            JournalError: it had to go before that, for want of room or too old.
        """
        await asyncio.wrap_future(self._deliver(self._entry))

    def __await__(self) -> Generator[None, None, int]:
        """`await receipt` is `result()` without blocking the event loop."""
        yield from asyncio.wrap_future(self._commit).__await__()
        return self.seq
