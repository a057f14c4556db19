"""Connections of one adapter: few, and shared fairly when more devices want one.

An adapter holds about five connections at once. Who wants one waits in a queue; who has one may
keep it for as long as nobody waits, and has to give it up after a turn when somebody does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# What BlueZ keeps up at once on the radio of a Pi without dropping the first again.
CONNECTIONS = 5

# Long enough to connect (a few seconds), ask everything and hear some values of each; short enough
# that with ten devices none is unheard for much longer than two minutes.
TURN_S = 60.0


class Seat:
    """One connection, for a while."""

    def __init__(self, now_s: float) -> None:
        self.since_s = now_s
        self._over = asyncio.Event()

    async def over(self) -> None:
        """Return when the turn is over: somebody else waits."""
        await self._over.wait()

    def is_over(self) -> bool:
        """Whether it was told so."""
        return self._over.is_set()

    def end(self) -> None:
        """Have it given up."""
        self._over.set()


class Seats:
    """The seats of one adapter."""

    def __init__(self, count: int = CONNECTIONS) -> None:
        self.count = count
        self._taken: list[Seat] = []  # longest first
        self._waiting: deque[asyncio.Future[Seat]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def free(self) -> int:
        """How many nobody has."""
        return max(0, self.count - len(self._taken))

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Seat]:
        """A seat, when it is this one's turn."""
        seat = await self._wait()
        try:
            yield seat
        finally:
            self._taken.remove(seat)
            self._hand_on()

    async def _wait(self) -> Seat:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Seat] = loop.create_future()
        self._waiting.append(waiting)
        self._hand_on()
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._taken.remove(waiting.result())
            else:
                self._waiting.remove(waiting)
            self._hand_on()
            raise

    def _hand_on(self) -> None:
        """Free seats to who waited longest; end turns if somebody still waits."""
        now_s = asyncio.get_running_loop().time()
        while self.free and self._waiting:
            seat = Seat(now_s)
            self._taken.append(seat)
            self._waiting.popleft().set_result(seat)
        self._end_turns(now_s)

    def _end_turns(self, now_s: float) -> None:
        """As many turns as there are who wait, the longest first, once they were long enough."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        wanted = len(self._waiting) - sum(seat.is_over() for seat in self._taken)
        for seat in [seat for seat in self._taken if not seat.is_over()][: max(0, wanted)]:
            left_s = seat.since_s + TURN_S - now_s
            if left_s > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(left_s, self._hand_on)
                return  # those behind it sat down later
            seat.end()
