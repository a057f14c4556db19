"""A rhythm of light or sound: pure data, and what it is at any moment."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import NamedTuple

import msgspec


class Moment(NamedTuple):
    """How an output is at one moment of a pattern."""

    on: bool
    until_s: float  # since the pattern began: when that changes; infinite if never


class Pattern(msgspec.Struct, frozen=True):
    """Seconds on, off, on, off ...; off when they are over, or from the start if it repeats."""

    spans_s: tuple[float, ...]
    repeats: bool = True

    def at(self, elapsed_s: float) -> Moment:
        """How it is, so long after it began."""
        turn_s = sum(self.spans_s)
        begun_s = 0.0
        if self.repeats and 0 < turn_s < math.inf:
            begun_s = math.floor(elapsed_s / turn_s) * turn_s
        for number, end_s in enumerate(accumulate(self.spans_s)):
            if elapsed_s < begun_s + end_s:
                return Moment(number % 2 == 0, begun_s + end_s)
        if self.repeats and self.spans_s:  # at the very end of a turn, by rounding
            return Moment(on=True, until_s=begun_s + turn_s + self.spans_s[0])
        return Moment(on=False, until_s=math.inf)


OFF = Pattern(())
STEADY = Pattern((math.inf,))
