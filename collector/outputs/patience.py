"""When an alarm that could not be told is tried again, whom it holds up, and when it is given up.

Two faults look alike from here and want different things. While the far end is away, everything
fails: nothing is gained by trying all of it, and order is worth keeping. An alarm that alone is not
taken (a receiver that stumbles over its content) must not stand in front of the others. Which it is
shows by what else is told meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collector.outputs.port import Outcome
from gateway.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.due import Due
    from collector.outputs.port import Verdict

# A far end that is away: the first tries catch a restart, the last ones do not wake up a server
# that stumbles, and are the most that a call waits once it is back.
AWAY_FIRST_S, AWAY_CAP_S = 0.5, 30.0
# An alarm that alone is not taken: somebody has to mend something, in minutes or hours.
ALONE_FIRST_S, ALONE_CAP_S = 1.0, 600.0
# Others of its gateway wait for it so long, for the sake of order: a restart of what is behind a
# webhook, and still in time for a call that comes after one that nobody can be told of.
HOLD_S = 15.0
# A far end may ask for a pause; a person on the floor does not wait for longer than this.
MAX_PAUSE_S = 60.0
# What was not taken for a day and a night is left to whoever reads `undelivered`. They are the sum
# of its waits, which the store keeps: restarts make it no later, and no sleep or set clock sooner.
GIVE_UP_AFTER_S = 24 * 3600.0
MAX_TROUBLES = 10_000  # alarms whose failures are remembered; forgotten ones begin anew


class Again(NamedTuple):
    """What to do with an alarm that could not be told."""

    at_ms: int  # since 1970 UTC
    waited_ms: int  # all its waits, this one included
    holds: bool  # those behind it wait until then
    give_up: bool


class _Trouble(msgspec.Struct):
    """One alarm's failures, as this process saw them."""

    since_s: float
    told_then: int  # how many had been told at its last failure
    alone: Backoff


class Patience:
    """Of one output. Its times are of two clocks: waits are monotonic, moments are the store's.

    Args:
        clock_s: monotonic seconds.
        clock_ms: ms since 1970 UTC.
    """

    def __init__(self, clock_s: Callable[[], float], clock_ms: Callable[[], int]) -> None:
        self._clock_s, self._clock_ms = clock_s, clock_ms
        self._away = Backoff(AWAY_FIRST_S, AWAY_CAP_S)
        self._away_until_s = self._asked_until_s = clock_s()
        self._away_until_ms = self._asked_until_ms = clock_ms()
        self._told = 0
        self._troubles: dict[int, _Trouble] = {}
        self._held: dict[str, tuple[int, int]] = {}  # by gateway: which alarm, until when

    @property
    def away_s(self) -> float:
        """How long to leave a far end alone that fails; 0 if it works."""
        return max(0.0, self._away_until_s - self._clock_s())

    @property
    def asked_s(self) -> float:
        """How long to leave a far end alone that asked for it."""
        return max(0.0, self._asked_until_s - self._clock_s())

    def told(self, due: Due) -> None:
        """An alarm was told: the far end works."""
        self._told += 1
        self._away.reset()
        self._away_until_s = self._clock_s()
        self.forget(due)

    def forget(self, due: Due) -> None:
        """An alarm left the line: nobody waits for it."""
        self._troubles.pop(due.id, None)
        self._release(due)

    def failed(self, due: Due, verdict: Verdict) -> Again:
        """An alarm was not told."""
        now_s = self._clock_s()
        trouble = self._troubles.get(due.id) or self._new_trouble(due, now_s)
        its_own = verdict.outcome is Outcome.REFUSED or trouble.told_then != self._told
        trouble.told_then = self._told
        self._note_asked(now_s, min(verdict.pause_s, MAX_PAUSE_S))
        at_ms = self._in(trouble.alone.next_s()) if its_own else self._next_away_ms()
        if self.asked_s:
            at_ms = max(at_ms, self._asked_until_ms)
        holds = now_s - trouble.since_s < HOLD_S
        if holds:
            self._held[due.gateway] = due.id, at_ms
        else:
            self._release(due)
        wait_ms = max(0, min(at_ms - self._clock_ms(), round(1000 * ALONE_CAP_S)))
        old = due.waited_ms >= 1000 * GIVE_UP_AFTER_S
        return Again(at_ms, due.waited_ms + wait_ms, holds, old)

    def held_until_ms(self, due: Due) -> int:
        """Until when an alarm is not tried; 0 if it may be.

        It waits for an earlier one of its gateway, or because the far end asked for a pause; to the
        millisecond, so that they come from the line together, and in their order.
        """
        first, until_ms = self._held.get(due.gateway, (due.id, 0))
        if first >= due.id:
            until_ms = 0
        if self.asked_s:
            until_ms = max(until_ms, self._asked_until_ms)
        return until_ms if until_ms > self._clock_ms() else 0

    def _note_asked(self, now_s: float, pause_s: float) -> None:
        if now_s + pause_s > self._asked_until_s:
            self._asked_until_s = now_s + pause_s
            self._asked_until_ms = self._in(pause_s)

    def _new_trouble(self, due: Due, now_s: float) -> _Trouble:
        if len(self._troubles) >= MAX_TROUBLES:  # of what another collector told since, for example
            del self._troubles[next(iter(self._troubles))]
        alone = Backoff(ALONE_FIRST_S, ALONE_CAP_S)
        trouble = self._troubles[due.id] = _Trouble(now_s, self._told, alone)
        return trouble

    def _next_away_ms(self) -> int:
        """The same moment for all that fail before it, so that they come again in their order."""
        if not self.away_s:
            wait_s = self._away.next_s()
            self._away_until_s = self._clock_s() + wait_s
            self._away_until_ms = self._in(wait_s)
        return self._away_until_ms

    def _in(self, seconds: float) -> int:
        return self._clock_ms() + round(1000 * seconds)

    def _release(self, due: Due) -> None:
        if self._held.get(due.gateway, (0, 0))[0] == due.id:
            del self._held[due.gateway]
