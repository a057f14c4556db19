"""Takes alarms from one output's line and has them told. A task of its own for each output.

    claim the oldest -> tell, gateway by gateway -> out of the line, or put off, or given up

It asks the store on a thread of its own, so a store that is slow for it is slow for nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from collector.due import AT_ONCE_MS
from collector.outputs.alarm import alarm_of
from collector.outputs.patience import Patience
from collector.outputs.port import Outcome
from collector.storage.words import now_ms
from gateway.backoff import Backoff
from gateway.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.due import Due
    from collector.outputs.port import Output, Verdict
    from collector.store import Store

log = logging.getLogger("hearth.outputs")

T = TypeVar("T")

# For what nobody rings for: alarms that were put off, and those that a collector left behind that
# was killed. Nothing is written where nobody waits.
POLL_S = 1.0
# A ring in the middle of a far end's trouble is tried, but not more often than this.
LEAST_PAUSE_S = 0.5
# The store keeps a claim for 60 s at most, and an alarm that is begun then takes up to 30 s.
MAX_QUEUED_S = 25.0
STORE_RETRY_FIRST_S, STORE_RETRY_CAP_S = 0.1, 10.0
BEHIND = "waits for an earlier alarm, or for the far end"


class Counts(NamedTuple):
    """How often what happened, since this process started."""

    told: int
    failed: int  # tries
    given_up: int
    store_errors: int


class Teller:
    """One output's task.

    Args:
        store: opened with the output's name.
        output: closed when `run` ends.
    """

    def __init__(self, store: Store, output: Output) -> None:
        self.output = output
        self._store = store
        self._patience = Patience(time.monotonic, now_ms)
        self._bell = asyncio.Event()
        self._counters: Counter[str] = Counter()
        # Claimed, and not known to be back in the line or out of it. By id and tries, because what
        # is put off until now may be claimed again before its putting off is known here.
        self._mine: dict[tuple[int, int], Due] = {}
        self._rows: dict[str, deque[tuple[Due, float]]] = {}  # with when each was claimed
        self._ended = False
        self._trouble = ""
        self._thread = ThreadPoolExecutor(1, f"output-{output.name}")

    @property
    def counts(self) -> Counts:
        """How often what happened."""
        return Counts(*(self._counters[name] for name in Counts._fields))

    def ring(self) -> None:
        """There may be an alarm in the line. To be called in the event loop."""
        self._bell.set()

    async def run(self) -> None:
        """Tell alarms until cancelled, or until nobody can be told any more by this process."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(tasks)
        finally:
            await self._leave()

    async def _serve(self, tasks: asyncio.TaskGroup) -> None:
        backoff = Backoff(STORE_RETRY_FIRST_S, STORE_RETRY_CAP_S)
        while not self._ended:
            await asyncio.sleep(self._patience.asked_s)
            self._bell.clear()
            try:
                claimed = await self._claim()
            except StoreError as error:
                self._store_failed(error)
                await asyncio.sleep(backoff.next_s())
                continue
            backoff.reset()
            for due in claimed:
                if (due.id, due.tries) not in self._mine:  # else its claim ran out in our hands
                    self._line_up(due, tasks)
            await self._rest(idle=not claimed)

    async def _claim(self) -> list[Due]:
        """As many as there is room for."""
        room = self.output.width - len(self._mine)
        return await self._ask(self._store.due, self.output.name, room) if room else []

    def _line_up(self, due: Due, tasks: asyncio.TaskGroup) -> None:
        """Behind those of its gateway; each gateway that has some is a task."""
        self._mine[due.id, due.tries] = due
        row = "" if self.output.in_order else due.gateway
        if row in self._rows:
            self._rows[row].append((due, time.monotonic()))
        else:
            self._rows[row] = deque([(due, time.monotonic())])
            tasks.create_task(self._tell_row(row))

    async def _rest(self, *, idle: bool) -> None:
        """Before the next look into the line."""
        if self._patience.away_s:
            await asyncio.sleep(min(LEAST_PAUSE_S, self._patience.away_s))
            await self._wait(self._patience.away_s)
        elif idle:
            await self._wait(POLL_S)

    async def _wait(self, seconds: float) -> None:
        """Until somebody rings, but not for longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()

    async def _tell_row(self, name: str) -> None:
        row, until_ms, decided_s = self._rows[name], 0, 0.0
        while row:
            due, claimed_s = row.popleft()
            try:
                if until_ms and claimed_s < decided_s:
                    await self._put_off(due, until_ms, BEHIND)
                else:
                    until_ms = await self._tell_or_wait(due, claimed_s)
                    decided_s = time.monotonic()
            except StoreError as error:
                self._store_failed(error)  # its claim lapses, and it is told again
            self._make_room(due, more=not until_ms)
        del self._rows[name]

    def _make_room(self, due: Due, *, more: bool) -> None:
        """One is out of hand; ring for more, if the line was left because hands were full."""
        if more and len(self._mine) >= self.output.width:
            self._bell.set()
        del self._mine[due.id, due.tries]

    async def _tell_or_wait(self, due: Due, claimed_s: float) -> int:
        """Until when those behind it wait, to the same millisecond; 0 if they do not."""
        held_until_ms = self._patience.held_until_ms(due)
        if held_until_ms:
            await self._put_off(due, held_until_ms, BEHIND)
            return held_until_ms
        if self._ended or time.monotonic() - claimed_s >= MAX_QUEUED_S:
            return await self._put_off(due, AT_ONCE_MS, "those before it took too long")
        verdict = await self.output.tell(alarm_of(due))
        if verdict.outcome is Outcome.TOLD:
            await self._told(due)
            return 0
        self._counters["failed"] += 1
        self._say(verdict.reason)
        if verdict.outcome is Outcome.ENDED:
            self._ended = True
            self._bell.set()
            return await self._put_off(due, AT_ONCE_MS, verdict.reason)
        return await self._try_again(due, verdict)

    async def _told(self, due: Due) -> None:
        self._counters["told"] += 1
        self._patience.told(due)
        if self._trouble:
            self._trouble = ""
            log.info("output %s: works again", self.output.name)
        await self._ask(self._store.told, due)

    async def _try_again(self, due: Due, verdict: Verdict) -> int:
        """Put off what was not told, or give it up; returns what `_tell_or_wait` does."""
        again = self._patience.failed(due, verdict)
        if not again.give_up:
            waited = msgspec.structs.replace(due, waited_ms=again.waited_ms)
            await self._put_off(waited, again.at_ms, verdict.reason)
            return again.at_ms if again.holds else 0
        await self._ask(self._store.give_up, due, verdict.reason)
        self._patience.forget(due)
        self._counters["given_up"] += 1
        name = f"{due.gateway} {due.kind} {due.journal}/{due.lane}/{due.seq}"
        log.error("output %s: gave up %s: %s", self.output.name, name, verdict.reason)
        return 0

    async def _put_off(self, due: Due, until_ms: int, reason: str) -> int:
        await self._ask(self._store.put_off, due, until_ms, reason)
        return until_ms

    async def _leave(self) -> None:
        """Give back what was claimed and not told, so that the next one need not wait for it."""
        try:
            for due in self._mine.values():
                await asyncio.shield(self._put_off(due, AT_ONCE_MS, "its collector ended"))
        except StoreError as error:
            self._store_failed(error)  # the claims lapse
        finally:
            self._thread.shutdown(wait=False)
            await self.output.close()

    def _store_failed(self, error: StoreError) -> None:
        self._counters["store_errors"] += 1
        self._say(f"the store: {error}")

    def _say(self, reason: str) -> None:
        """Log a trouble once, not with every alarm that it is the trouble of."""
        if reason != self._trouble:
            self._trouble = reason
            log.warning("output %s: %s", self.output.name, reason)

    async def _ask(self, question: Callable[..., T], *values: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, question, *values)
