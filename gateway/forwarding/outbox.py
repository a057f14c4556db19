"""One lane of the journal, seen as batches to send: what next, what again, what is done.

It holds no events. A batch that must be sent again is read again from the journal, with the same
boundaries; what the journal lost of it meanwhile is left out, and the gap event further on tells.

An acknowledgement that does not come in time is answered by sending one batch again, then after
growing delays another: one, because a collector that is down needs no more to be found when it is
back. Each acknowledgement that comes lets the next one go.
"""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.backoff import Backoff
from gateway.codec import MAX_BATCH_EVENTS
from gateway.forwarding.outstanding import Outstanding, Parcel, Verdict
from gateway.model import Lane

if TYPE_CHECKING:
    from collections.abc import Callable

# A call is asked for after this time at the latest, however patient the settings are: when a broker
# comes back, a gateway may be there before the collector, and what it sends then reaches nobody.
URGENT_PATIENCE_S = 2.0
# Longest waits for an acknowledgement before the next sending. A call is asked for more often.
PATIENCE_CAP_S = {Lane.URGENT: 30.0, Lane.ROUTINE: 300.0}
# Batches of one lane that wait for the collector's word: 64 x 16 KiB cover a round trip of one
# second at 1 MB/s, more than the uplink of a home has.
MAX_OUTSTANDING = 64


class Run(Protocol):
    """Neighbouring events: `payloads[i]` has seq `first + i`."""

    @property
    def first(self) -> int:
        """Seq of the first payload."""
        ...

    @property
    def payloads(self) -> tuple[bytes, ...]:
        """The events, each in its CBOR; at least one."""
        ...


class Backlog(Protocol):
    """The part of a journal that is read and freed here."""

    @property
    def uuid(self) -> bytes:
        """16 bytes that name the journal."""
        ...

    def durable(self, lane: Lane) -> int:
        """The highest seq that is on flash."""
        ...

    def acknowledged(self, lane: Lane) -> int:
        """Everything up to here is freed."""
        ...

    def read(self, lane: Lane, after: int, max_bytes: int) -> Run | None:
        """The next durable run behind `after`; None if there is nothing more. Called on threads."""
        ...

    def acknowledge(self, lane: Lane, through: int) -> None:
        """Free everything up to `through`. Called on the event loop, so it must not wait."""
        ...

    def watch(self, callback: Callable[[Lane], None]) -> None:
        """Call back, on any thread, after each commit."""
        ...


class Outgoing(NamedTuple):
    """A batch to send now."""

    parcel: Parcel
    events: tuple[bytes, ...]


class Outbox:
    """What of one lane is to be sent.

    Args:
        lane: which lane.
        backlog: the journal.
        ack_timeout_s: how long after the broker has a batch its acknowledgement is overdue.
    """

    def __init__(self, lane: Lane, backlog: Backlog, ack_timeout_s: float) -> None:
        self.lane = lane
        self.journal = backlog.uuid  # the uuid under which its batches travel
        self.outstanding = Outstanding(backlog.acknowledged(lane))
        self.wake = asyncio.Event()  # something happened that its sender may wait for
        self._backlog = backlog
        if lane is Lane.URGENT:
            ack_timeout_s = min(ack_timeout_s, URGENT_PATIENCE_S)
        self._ack_timeout_s = ack_timeout_s
        self._nothing_at = -1  # what was durable when the journal had nothing more to read
        self._patience = Backoff(ack_timeout_s, max(PATIENCE_CAP_S[lane], ack_timeout_s))
        self._ask_again_at_s = -inf

    @property
    def drained(self) -> bool:
        """Everything durable is acknowledged, or lost and told."""
        reached = self.outstanding.freed >= self._backlog.durable(self.lane)
        return not self.outstanding and (reached or self._exhausted)

    @property
    def pressing(self) -> bool:
        """Whether there is, or may be, a batch that could be sent at once."""
        more = not self._exhausted and len(self.outstanding) < MAX_OUTSTANDING
        return more or self.outstanding.next_queued() is not None

    @property
    def _exhausted(self) -> bool:
        """The journal has nothing that was not read. It may end in a hole, so seqs do not tell."""
        return self._nothing_at == self._backlog.durable(self.lane)

    async def next(self, max_bytes: int, limit_bytes: int) -> Outgoing | None:
        """The next batch; None if there is nothing to send now. Clears `wake` first.

        Args:
            max_bytes: how large a new batch may be.
            limit_bytes: how large a batch that is sent again may be; it keeps its boundaries unless
                it is larger than this.

        Raises:
            JournalError: the journal cannot be read.
        """
        self.wake.clear()
        while parcel := self._next_again(time.monotonic()):
            if outgoing := await self._read_again(parcel, limit_bytes):
                return outgoing
        if self._exhausted or len(self.outstanding) >= MAX_OUTSTANDING:
            return None
        durable = self._backlog.durable(self.lane)
        run = await self._read(self.outstanding.read_through, max_bytes)
        if run is None:
            if self._backlog.durable(self.lane) == durable:  # else look again when woken
                self._nothing_at = durable
            return None
        events = run.payloads[:MAX_BATCH_EVENTS]
        return Outgoing(self.outstanding.add(run.first, run.first + len(events) - 1), events)

    def halve(self, parcel: Parcel) -> None:
        """A batch is too large for the link: it goes as two. One event alone goes as it is."""
        middle = (parcel.first + parcel.last) // 2
        self.outstanding.replace(parcel, [(parcel.first, middle), (middle + 1, parcel.last)])

    async def woken(self) -> None:
        """Wait for `wake`, or until a batch is to be sent again."""
        at_s = max(self.outstanding.next_due_s(), self._ask_again_at_s)
        try:
            async with asyncio.timeout(None if at_s == inf else max(at_s - time.monotonic(), 0)):
                await self.wake.wait()
        except TimeoutError:
            return  # overdue; `next` knows

    def landed(self, parcel: Parcel) -> None:
        """The broker has it."""
        self.outstanding.landed(parcel, time.monotonic() + self._ack_timeout_s)

    def refused(self, parcel: Parcel) -> None:
        """The broker would not have it."""
        self.outstanding.refused(parcel, time.monotonic() + self._ack_timeout_s)

    def acknowledge(self, first: int, last: int) -> Verdict:
        """`first..last` is stored over there: free what that makes free."""
        freed = self.outstanding.freed
        verdict = self.outstanding.acknowledge(first, last)
        if verdict is Verdict.TAKEN:
            self._patience.reset()
            self._ask_again_at_s = -inf
            self._free(freed)
        return verdict

    def ask_again(self) -> None:
        """A collector came: what waits for a word may have reached nobody, so send it again now."""
        self.outstanding.overdue()
        self._ask_again_at_s = -inf
        self.wake.set()

    def _free(self, freed_before: int) -> None:
        if self.outstanding.freed > freed_before:
            self._backlog.acknowledge(self.lane, self.outstanding.freed)
        self.wake.set()

    def _next_again(self, now_s: float) -> Parcel | None:
        """What a lost link took along, else one batch whose acknowledgement is overdue."""
        parcel = self.outstanding.next_queued()
        if parcel is None and now_s >= self._ask_again_at_s:
            parcel = self.outstanding.next_overdue(now_s)
            if parcel is not None:
                self._ask_again_at_s = now_s + self._patience.next_s()
        return parcel

    async def _read_again(self, parcel: Parcel, max_bytes: int) -> Outgoing | None:
        """The events of a batch; None if the journal lost some: what is left takes its place."""
        runs: list[tuple[int, tuple[bytes, ...]]] = []
        after = parcel.first - 1
        while after < parcel.last:
            run = await self._read(after, max_bytes)
            if run is None or run.first > parcel.last:
                break
            events = run.payloads[: min(parcel.last - run.first + 1, MAX_BATCH_EVENTS)]
            runs.append((run.first, events))
            after = run.first + len(events) - 1
        ranges = [(first, first + len(events) - 1) for first, events in runs]
        if ranges == [(parcel.first, parcel.last)]:
            return Outgoing(parcel, runs[0][1])
        freed = self.outstanding.freed
        self.outstanding.replace(parcel, ranges)
        self._free(freed)
        return None

    async def _read(self, after: int, max_bytes: int) -> Run | None:
        return await asyncio.to_thread(self._backlog.read, self.lane, after, max_bytes)
