"""Which characteristic has fallen silent while others still talk. Pure: time is given.

Only what a family calls steady is watched, and of that only what has told STEADY values in a row
without a pause: a band that is not worn may keep its heart rate to itself from the start.
"""

from __future__ import annotations

import math

# A band that is just being put on or taken off tells fewer values than that.
STEADY = 8


class Rhythm:
    """The characteristics of one connection, and when each told something."""

    def __init__(self, steady: frozenset[str], silence_s: float) -> None:
        self._steady = steady
        self._silence_s = silence_s
        self._told_s: dict[str, float] = {}
        self._renewed_s: dict[str, float] = {}
        self._in_a_row: dict[str, int] = {}

    def told(self, uuid: str, now_s: float) -> None:
        """A characteristic told something."""
        paused = self._is_quiet(uuid, now_s)
        self._in_a_row[uuid] = 1 if paused else self._in_a_row.get(uuid, 0) + 1
        self._told_s[uuid] = now_s

    def renewed(self, uuid: str, now_s: float) -> None:
        """A characteristic was subscribed again: it has until the next deadline to talk."""
        self._renewed_s[uuid] = now_s

    def silent(self, now_s: float) -> str | None:
        """A steady characteristic that has been silent for too long, while another was not."""
        quiet = [uuid for uuid in self._told_s if self._is_quiet(uuid, now_s)]
        if len(quiet) == len(self._told_s):
            return None
        return next((uuid for uuid in quiet if self._is_due(uuid, now_s)), None)

    def _is_quiet(self, uuid: str, now_s: float) -> bool:
        return now_s - self._told_s.get(uuid, now_s) > self._silence_s

    def _is_due(self, uuid: str, now_s: float) -> bool:
        waits = now_s - self._renewed_s.get(uuid, -math.inf) <= self._silence_s
        return uuid in self._steady and self._in_a_row[uuid] >= STEADY and not waits
