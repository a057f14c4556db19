"""Connections of one adapter: few, and shared fairly when more devices want one.

An adapter holds about five connections at once. Who wants one waits in a queue; who has one may
keep it for as long as nobody waits. When somebody waited for as long as a turn takes, who was
connected for longest gives up, if for at least as long: nobody is unheard for much longer than a
turn, and with one device too many each reconnects seldom.
"""

from __future__ import annotations

import asyncio
from collections import deque

# What BlueZ keeps up at once on the radio of a Pi without dropping the first again.
CONNECTIONS = 5

# Long enough to connect (a few seconds), ask everything and hear some values of each; short enough
# that with ten devices none is unheard for much longer than two minutes.
TURN_S = 60.0


class Seat:
    """One connection, for a while."""

    def __init__(self, asked_s: float, now_s: float) -> None:
        self.asked_s = asked_s
        self.since_s = now_s
        self._over = asyncio.Event()

    async def over(self) -> None:
        """Return when the turn is over: somebody else waits."""
        await self._over.wait()

    def is_over(self) -> bool:
        """Whether it was told so."""
        return self._over.is_set()

    def begin(self, now_s: float) -> None:
        """The device is connected: its turn counts from now."""
        self.since_s = now_s

    def end(self) -> None:
        """Have it given up."""
        self._over.set()


class Seats:
    """The seats of one adapter."""

    def __init__(self, count: int = CONNECTIONS) -> None:
        self.count = count  # until somebody says
        self._said = 0
        self._taken: list[Seat] = []  # longest first
        self._waiting: deque[tuple[asyncio.Future[Seat], float]] = deque()  # since when
        self._timer: asyncio.TimerHandle | None = None

    def allow(self, count: int) -> None:
        """A device says how many the adapter holds; the largest such number is believed."""
        self._said = max(self._said, count)
        self.count = self._said

    @property
    def free(self) -> int:
        """How many nobody has."""
        return max(0, self.count - len(self._taken))

    async def sit(self) -> Seat:
        """A seat, when it is this one's turn; to be left again."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Seat] = loop.create_future()
        place = waiting, loop.time()
        self._waiting.append(place)
        self._hand_on()
        try:
            return await waiting
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
                self._hand_on()
            elif waiting.done() and not waiting.cancelled() and not waiting.exception():
                self.leave(waiting.result())
            raise

    def turn_away(self, error: Exception) -> None:
        """There is nothing to wait for any more: all who wait get this error."""
        while self._waiting:
            waiting, _ = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(error)

    def leave(self, seat: Seat) -> None:
        """Give a seat back; once more is no error."""
        if seat in self._taken:
            self._taken.remove(seat)
            self._hand_on()

    def _hand_on(self) -> None:
        """Free seats to who waited longest; end turns if somebody still waits."""
        now_s = asyncio.get_running_loop().time()
        while self.free and self._waiting:
            waiting, asked_s = self._waiting.popleft()
            if waiting.cancelled():
                continue
            seat = Seat(asked_s, now_s)
            self._taken.append(seat)
            waiting.set_result(seat)
        self._end_turns(now_s)

    def _end_turns(self, now_s: float) -> None:
        """Who waited for a turn's time gets the seat of who had it for longest, if for as long."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        promised = sum(seat.is_over() for seat in self._taken)
        asked_s = [asked_s for _, asked_s in self._waiting][promised:]
        held = sorted((it for it in self._taken if not it.is_over()), key=lambda it: it.since_s)
        for asked, seat in zip(asked_s, held, strict=False):
            left_s = max(asked, seat.since_s) + TURN_S - now_s
            if left_s > 0:  # those behind came later
                self._timer = asyncio.get_running_loop().call_later(left_s, self._hand_on)
                return
            seat.end()
