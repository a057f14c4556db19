"""One reminder at work: what is due now, what was missed. Pure: time is given."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from gateway.model import Stamp, TimeQuality

if TYPE_CHECKING:
    from gateway.announce import Item
    from gateway.reminders.book import Progress
    from gateway.reminders.reminder import Reminder
    from gateway.reminders.schedule import Occurrence
    from gateway.timekeeper import Moment, Timekeeper

# More missed occurrences of one reminder are not counted; that is ten days of every quarter hour.
MOST_MISSED = 1000
# A clock that is set back by less comes past times at which something rang a short while ago: that
# does not ring again. By more, and what rang was rung at a wrong time: it rings at the right one.
SET_BACK_MS = 12 * 3_600_000


class Due(NamedTuple):
    """What time brought."""

    rings: Occurrence | None
    missed: list[Occurrence]  # in their order


class Plan:
    """A reminder, its schedule and how far it got."""

    def __init__(self, reminder: Reminder, progress: Progress) -> None:
        self.reminder = reminder
        self.progress = progress
        self.schedule = reminder.schedule
        self.next: Occurrence | None = None
        self.repeat_uptime_ms: int | None = None  # None: not worked out since the start of hearth
        self.item: Item | None = None
        self.heard = False  # somebody has heard at least the start of what rings
        self._next_for_ms: int | None = None

    def settle(self, now: Moment, time: Timekeeper) -> bool:
        """Mind a clock that became known, or was set back; whether that changed anything."""
        it = self.progress
        before_ms = it.settled_ms
        if it.settled_ms is None:
            then = Stamp(it.set_boot, it.set_uptime_ms, 0, TimeQuality.UNKNOWN)
            it.settled_ms = time.wall_ms_of(then) or now.wall_ms
        elif now.wall_ms < it.settled_ms:
            if it.rung_ms - now.wall_ms >= SET_BACK_MS:
                it.rung_ms = now.wall_ms
            it.settled_ms = max(now.wall_ms, it.rung_ms)
        return it.settled_ms != before_ms

    def due(self, now: Moment, grace_ms: int, time: Timekeeper) -> Due:
        """What is due; it counts as settled from here on."""
        settled_ms = self.progress.settled_ms or 0
        if self._next_for_ms != settled_ms:
            self._look_ahead(settled_ms, time)
        if self.next is None or self.next.at_ms > now.wall_ms:
            return Due(None, [])
        late_ms = now.wall_ms - grace_ms
        old = takewhile(lambda it: it.at_ms < late_ms, self.schedule.after(settled_ms, time))
        missed = list(islice(old, MOST_MISSED))
        new = self.schedule.after(max(settled_ms, late_ms - 1), time)
        found = list(takewhile(lambda it: it.at_ms <= now.wall_ms, new))
        rings = found.pop() if found else None
        self.progress.settled_ms = rings.at_ms if rings else late_ms - 1
        self._look_ahead(self.progress.settled_ms, time)
        return Due(rings, missed + found)

    def _look_ahead(self, settled_ms: int, time: Timekeeper) -> None:
        self.next = self.schedule.next_after(settled_ms, time)
        self._next_for_ms = settled_ms
