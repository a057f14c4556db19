"""One meter's hours and days, from its readings as they come. Pure: time is given.

Until the clock of this boot is known, readings wait with their time since boot; then they are
placed. From then on the boot's time tells the wall time even if the clock is lost again: after
nine hours without a time server the kernel calls it unsynchronised, yet it drifts by seconds a day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from drivers.water.counter import ML_PER_M3, Break, Count, Counter
from drivers.water.period import NEAR_MS, Open, Period, Series

if TYPE_CHECKING:
    from datetime import tzinfo

# Readings that wait for the clock: 34 hours at one a minute, 250 KiB. When there are more, every
# other one goes. The counter loses nothing by it; after three days the oldest borders are no longer
# exact.
MOST_WAITING = 2048

Told = Break | Period


class State(msgspec.Struct, frozen=True):
    """All that must be known to go on after a restart."""

    last: Count
    hour: Open
    day: Open


class _Waiting(msgspec.Struct, frozen=True):
    uptime_ms: int
    counter_ml: int
    resolution_ml: int


class Volume:
    """One meter from its first reading on, or from the state of an earlier run."""

    def __init__(self, tz: tzinfo | None = None, state: State | None = None) -> None:
        self._tz = tz
        self._counter = Counter(state.last if state else None)
        self._hours = Series("hour", tz, state.hour) if state else None
        self._days = Series("day", tz, state.day) if state else None
        self._waiting: list[_Waiting] = []
        self._boot_ms: int | None = None  # when this boot was, in ms since 1970

    @property
    def state(self) -> State | None:
        """What must be known to go on; None before the first reading is placed."""
        if self._counter.last is None or self._hours is None or self._days is None:
            return None
        return State(self._counter.last, self._hours.open, self._days.open)

    @property
    def placed(self) -> bool:
        """Whether the clock of this boot is or was known, so that times can be told."""
        return self._boot_ms is not None

    @property
    def doubt(self) -> tuple[int, int] | None:
        """The last good counter value and one that is not believed yet (ml), if there is one."""
        last, held = self._counter.last, self._counter.held
        return (last.counter_ml, held.counter_ml) if last and held else None

    def feed(
        self, volume_m3: float, resolution_m3: float, uptime_ms: int, wall_ms: int | None
    ) -> list[Told]:
        """One reading; what is over because of it, oldest first.

        Args:
            volume_m3: what the counter shows.
            resolution_m3: its smallest step.
            uptime_ms: when, since boot.
            wall_ms: the same in ms since 1970; None while the clock is not known.
        """
        counter_ml, resolution_ml = (round(m3 * ML_PER_M3) for m3 in (volume_m3, resolution_m3))
        self._waiting.append(_Waiting(uptime_ms, counter_ml, resolution_ml))
        if wall_ms is not None:
            self._boot_ms = wall_ms - uptime_ms
        if self._boot_ms is None:
            if len(self._waiting) > MOST_WAITING:
                del self._waiting[1:-1:2]
            return []
        waited, self._waiting = self._waiting, []
        return [told for reading in waited for told in self._place(reading, self._boot_ms)]

    def uptime_ms(self, at_ms: int) -> int:
        """A time of something told, since boot; negative before it. Only once `placed`."""
        return at_ms - (self._boot_ms or 0)

    def _place(self, reading: _Waiting, boot_ms: int) -> list[Told]:
        at_ms, last = reading.uptime_ms + boot_ms, self._counter.last
        if last and last.at_ms - NEAR_MS <= at_ms:
            at_ms = max(at_ms, last.at_ms)  # a clock that is set back a little stands still
        now = Count(at_ms, reading.counter_ml)
        step = self._counter.feed(now, reading.resolution_ml)
        if step is None:
            return []
        if last is None or self._hours is None or self._days is None:
            self._hours = Series.begin("hour", self._tz, now)
            self._days = Series.begin("day", self._tz, now)
            return []
        leap: list[Told] = [step.leap] if step.leap else []
        hours = self._hours.advance(at_ms, last, step.use_ml)
        return [*leap, *hours, *self._days.advance(at_ms, last, step.use_ml)]
