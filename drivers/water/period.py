"""From readings to hours and days, each with the volume that the counter shows for it. Pure.

The counter at a border between two periods is interpolated if the readings around it are at most
NEAR_MS apart. If they are further apart nobody knows how much of the use between them belongs to
which side, and it is not guessed:

            hour 1      |      hour 2      |      hour 3
    ----r----r----r     |                  |     r----r----
                  '------- a hole ---------------'

Hour 1 is told with what was used until the last reading before the hole. Hour 3 is told with what
was used since that reading. Both say what they cover, and that they are not complete. Hour 2, of
which nothing was seen, is not told. A hole within a period does it no harm: the counter counts on.

So whatever the counter counts is in exactly one hour and in exactly one day.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from drivers.water import local_time
from drivers.water.counter import TimeMs  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from datetime import tzinfo

    from drivers.water.counter import Count

Span = Literal["hour", "day"]

# A meter is asked once a minute, and one that fell silent at least every five (bus/meter.py), so
# this bridges a missed answer even then. What interpolation can shift over a border is at most the
# use of these minutes, and for the sum of both sides it is nothing.
NEAR_MS = 10 * 60_000


class Open(msgspec.Struct, frozen=True):
    """A period that goes on: where it starts, from when its use is known, and how much that is."""

    start_ms: TimeMs
    covered_from_ms: TimeMs
    first_ml: int
    used_ml: Annotated[int, msgspec.Meta(ge=0)]


class Period(msgspec.Struct, frozen=True, tag="period"):
    """A period that is over. Times in ms since 1970, counter values as before any leap."""

    span: Span
    start_ms: TimeMs
    end_ms: TimeMs
    covered_from_ms: TimeMs  # before the start, if the use of a hole is in it
    covered_to_ms: TimeMs
    first_ml: int  # the counter at either end of what is covered
    last_ml: int
    volume_ml: int

    @property
    def complete(self) -> bool:
        """Whether the volume is exactly that of the period."""
        return (self.covered_from_ms, self.covered_to_ms) == (self.start_ms, self.end_ms)


class Series:
    """The hours, or the days, of one meter, one after the other."""

    def __init__(self, span: Span, tz: tzinfo | None, begun: Open) -> None:
        start, end = _BORDERS[span]
        self._span = span
        self._start_of, self._end_of = partial(start, tz=tz), partial(end, tz=tz)
        self.open = begun

    @classmethod
    def begin(cls, span: Span, tz: tzinfo | None, first: Count) -> Series:
        """From the very first reading."""
        start = _BORDERS[span][0](first.at_ms, tz)
        return cls(span, tz, Open(start, first.at_ms, first.counter_ml, 0))

    def advance(self, at_ms: int, before: Count, use_ml: int) -> list[Period]:
        """The periods that are over, given what was used since the reading before."""
        if at_ms < before.at_ms:  # the clock was set back
            told = self._close_early(before)
            self.open = Open(self._start_of(at_ms), at_ms, before.counter_ml, use_ml)
            return told
        told = []
        here_ms, counter_ml, left_ml = before.at_ms, before.counter_ml, use_ml
        while (end_ms := self._end_of(self.open.start_ms)) <= at_ms:
            if not _is_exact(end_ms, before.at_ms, at_ms):
                told += self._close_early(before)
                # A reading that is on a border belongs to the period that ends there.
                start_ms = self._start_of(max(before.at_ms, at_ms - 1))
                self.open = Open(start_ms, before.at_ms, before.counter_ml, 0)
                continue
            part_ml = left_ml * (end_ms - here_ms) // (at_ms - here_ms)
            counter_ml += part_ml
            told.append(self._closed(end_ms, counter_ml, self.open.used_ml + part_ml))
            self.open = Open(end_ms, end_ms, counter_ml, 0)
            here_ms, left_ml = end_ms, left_ml - part_ml
        self.open = msgspec.structs.replace(self.open, used_ml=self.open.used_ml + left_ml)
        return told

    def _close_early(self, last: Count) -> list[Period]:
        """Close at the last reading; nothing is told of a period of which nothing was seen."""
        if last.at_ms <= self.open.start_ms and not self.open.used_ml:
            return []
        return [self._closed(last.at_ms, last.counter_ml, self.open.used_ml)]

    def _closed(self, covered_to_ms: int, last_ml: int, volume_ml: int) -> Period:
        return Period(
            span=self._span,
            start_ms=self.open.start_ms,
            end_ms=self._end_of(self.open.start_ms),
            covered_from_ms=self.open.covered_from_ms,
            covered_to_ms=covered_to_ms,
            first_ml=self.open.first_ml,
            last_ml=last_ml,
            volume_ml=volume_ml,
        )


def _is_exact(border_ms: int, before_ms: int, at_ms: int) -> bool:
    """Whether readings at these times tell the counter at the border, which is not after them.

    It can be before both if the time zone was changed while the gateway was off.
    """
    between = before_ms < border_ms
    return between and (at_ms - before_ms <= NEAR_MS or border_ms == at_ms)


_BORDERS = {
    "hour": (local_time.hour_start, local_time.hour_end),
    "day": (local_time.day_start, local_time.day_end),
}
