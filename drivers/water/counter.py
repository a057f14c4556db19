"""A meter's counter: what each reading adds, and what to make of one that leaps. Pure.

A counter only ever goes up, and no faster than its pipe lets water through. A reading that does
not follow from the last one is held until the next one tells:

    the next follows from      then
    the last good reading      the held one was wrong and is forgotten
    the held reading           the counter did leap, see below
    neither                    the next one is held instead

    a leap                                             is       counts
    up, by no more than MOST_CAUGHT_UP_ML              use      the leap: the meter had stood still
    back, from just below the end of a register        rollover what it takes over the end
    back, to where a counter is that began at zero     reset    nothing
    back otherwise, or further up                      swapped  nothing

What was used before and after the leap counts in every case. Volumes are whole millilitres, so
that hours add up to their day to the last digit.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ML_PER_M3 = 1_000_000
_HOUR_MS = 3_600_000

# The overload flow Q4 of the largest meter a flat has, DN20 with Q3 = 4 m3/h: Q4 is 1.25 Q3
# (ISO 4064-1:2014). No meter is made to count faster than that for long.
OVERLOAD_ML_PER_H = 5 * ML_PER_M3
# Meters with a battery renew their registers only every few minutes, so the water of some minutes
# may show within a second. A quarter of an hour of overload is 1.25 m3: still far below what a
# wrong digit or another meter would show.
SLUGGISH_MS = 15 * 60_000
# A meter that stood still and shows its true count again has no more to catch up than a year of
# one person, who uses 130 to 150 litres a day.
MOST_CAUGHT_UP_ML = 50 * ML_PER_M3
# A counter that began again shows less than this: new meters come with a little from their test.
NEAR_ZERO_ML = ML_PER_M3
# Where registers end: 4 to 8 digits of m3, and 32 bits of litres.
_ENDS_ML = (*(10**digits * ML_PER_M3 for digits in range(4, 9)), 2**32 * 1000)
# "Just below the end" is the last hundredth of a register, however long nobody looked.
_LAST_PART = 100


# Of a note only what can be a time is believed: until the year 6429.
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=2**47)]


class Count(msgspec.Struct, frozen=True):
    """What the counter showed, and when (ms since 1970)."""

    at_ms: TimeMs
    counter_ml: int


class Break(msgspec.Struct, frozen=True, tag="break"):
    """The counter leapt: what it was, and what it is."""

    what: Literal["rollover", "reset", "swapped"]
    at_ms: int
    was_ml: int
    is_ml: int


class Step(msgspec.Struct, frozen=True):
    """What was used since the last good reading (ml, never negative)."""

    use_ml: int
    leap: Break | None = None


class Counter:
    """One meter's counter; `last` is its last good reading."""

    def __init__(self, last: Count | None = None) -> None:
        self.last = last
        self.held: Count | None = None  # a reading that is not believed yet

    def feed(self, now: Count, resolution_ml: int) -> Step | None:
        """What this reading adds; None if it is held.

        Args:
            now: the reading, not earlier than the last one unless the clock was set.
            resolution_ml: the counter's smallest step; going back so far is no leap.
        """
        last, held = self.last, self.held
        if last is None:
            step = Step(0)
        elif _follows(last, now, resolution_ml):
            step = Step(_up(last, now))
            # A last digit that wavers must not count each time it comes back.
            now = Count(now.at_ms, max(last.counter_ml, now.counter_ml))
        elif held is not None and _follows(held, now, resolution_ml):
            step = _leap(last, held, now, resolution_ml)
        else:
            self.held = now
            return None
        self.last, self.held = now, None
        return step


def _follows(before: Count, now: Count, resolution_ml: int) -> bool:
    change = now.counter_ml - before.counter_ml
    return -resolution_ml <= change <= _most(before, now, resolution_ml)


def _most(before: Count, now: Count, resolution_ml: int) -> int:
    """The most that can have gone through from one reading to the other (ml)."""
    passed_ms = max(now.at_ms - before.at_ms, SLUGGISH_MS)
    return OVERLOAD_ML_PER_H * passed_ms // _HOUR_MS + resolution_ml


def _up(before: Count, now: Count) -> int:
    return max(0, now.counter_ml - before.counter_ml)


def _leap(last: Count, held: Count, now: Count, resolution_ml: int) -> Step:
    """The held reading was true: what kind of leap it was, and what counts."""
    after = _up(held, now)
    leap = held.counter_ml - last.counter_ml
    if 0 < leap <= MOST_CAUGHT_UP_ML:
        return Step(leap + after)
    most = _most(last, held, resolution_ml)
    what, counts = _kind(last.counter_ml, held.counter_ml, most)
    return Step(counts + after, Break(what, held.at_ms, last.counter_ml, held.counter_ml))


def _kind(
    was_ml: int, is_ml: int, most_ml: int
) -> tuple[Literal["rollover", "reset", "swapped"], int]:
    if is_ml > was_ml:
        return "swapped", 0
    for end_ml in _ENDS_ML:
        over_ml = end_ml - was_ml + is_ml
        if was_ml < end_ml and over_ml <= min(most_ml, end_ml // _LAST_PART):
            return "rollover", over_ml
    return ("reset" if is_ml <= max(most_ml, NEAR_ZERO_ML) else "swapped"), 0
