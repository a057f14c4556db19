"""Which characteristic has fallen silent while others still talk. Pure: time is given.

Only what a family calls steady is watched, and of that only what has told STEADY values in a row
without a pause: a band that is not worn may keep its heart rate to itself from the start.
"""

from __future__ import annotations

# A band that is just being put on or taken off tells fewer values than that.
STEADY = 8


class Rhythm:
    """The characteristics of one connection, and when each told something."""

    def __init__(self, steady: frozenset[str], silence_s: float) -> None:
        self._steady = steady
        self._silence_s = silence_s
        self._told_s: dict[str, float] = {}
        self._in_a_row: dict[str, int] = {}

    def told(self, uuid: str, now_s: float) -> None:
        """A characteristic told something."""
        paused = self._is_late(uuid, now_s)
        self._in_a_row[uuid] = 1 if paused else self._in_a_row.get(uuid, 0) + 1
        self._told_s[uuid] = now_s

    def renewed(self, uuid: str, now_s: float) -> None:
        """A characteristic was subscribed again: its silence is counted from now."""
        self._told_s[uuid] = now_s

    def silent(self, now_s: float) -> str | None:
        """A steady characteristic that has been silent for too long, while another was not."""
        late = [uuid for uuid in self._told_s if self._is_late(uuid, now_s)]
        if len(late) == len(self._told_s):
            return None
        steady = (uuid for uuid in late if uuid in self._steady)
        return next((uuid for uuid in steady if self._in_a_row[uuid] >= STEADY), None)

    def _is_late(self, uuid: str, now_s: float) -> bool:
        return now_s - self._told_s.get(uuid, now_s) > self._silence_s
