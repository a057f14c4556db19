"""Whose claims have lapsed, as one store sees it: those whose beats (hands.py) stand still.

What counts is looks, not time: a look is one that the database answered. So while the database
stands still nobody seems dead, and no clock that is set, or wrong on one of several machines, makes
a claim longer or shorter.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# As often as a Teller looks into an empty line (1 s), or a little more often.
LOOK_S = 0.9
# After the first sight of a beat. It is raised once a second, so a process that lives would have to
# miss three in a row; after one that died its alarms are told again within five seconds.
LOOKS = 4

Beat = tuple[int, int]  # id of the alarm, beat


class Lapses:
    """Of each output's line on its own; used by one thread at a time."""

    def __init__(self) -> None:
        self._looked_s: dict[str, float] = {}
        self._seen: dict[str, dict[int, Beat]] = {}  # by output, id: beat, looks since

    def is_time(self, output: str) -> bool:
        """Whether to look into a line now; more often would count more than there is to see."""
        now_s = time.monotonic()
        if now_s - self._looked_s.get(output, -LOOK_S) < LOOK_S:
            return False
        self._looked_s[output] = now_s
        return True

    def among(self, output: str, in_hand: Iterable[Beat]) -> list[Beat]:
        """Those that have lapsed, in order, after one more look at all that are in hand."""
        before, seen = self._seen.get(output, {}), {}
        for number, beat in in_hand:
            last_beat, looks = before.get(number, (beat, -1))
            seen[number] = beat, looks + 1 if beat == last_beat else 0
        self._seen[output] = seen
        return sorted((number, beat) for number, (beat, looks) in seen.items() if looks >= LOOKS)
