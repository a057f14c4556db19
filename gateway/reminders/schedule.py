"""When a reminder is due: from local time, as a person says it, to instants.

A local time that the change to summer time skips is an instant all the same, as much later as the
clock was moved; a time that comes twice in autumn is its first instant. Where both a skipped time
and the one it is moved to are due, that is one instant, and rings once.
"""

from __future__ import annotations

import heapq
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gateway.reminders.rule import check_gap, occurrences, parse_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.timekeeper import Timekeeper

# No zone moves its clocks by more; the order of local times is that of instants but for so much.
_SLACK = timedelta(hours=3)


class Occurrence(NamedTuple):
    """One time at which something is due."""

    at_ms: int  # since 1970-01-01 UTC
    local: datetime  # as the rule says it


class Schedule:
    """Start and rule."""

    def __init__(self, start: datetime, rule: str = "") -> None:
        """Once, or by a rule.

        Args:
            start: local time, whole minutes.
            rule: RFC 5545 RRULE, or empty.

        Raises:
            CommandRefused: the rule is none, or one that is not taken.
        """
        self._start = start
        self._rule = parse_rule(rule) if rule else None
        if self._rule:
            check_gap(self._rule, start)
            occurrences(self._rule, start, start)

    @property
    def recurs(self) -> bool:
        """Whether it may be due more than once."""
        return self._rule is not None

    def after(self, after_ms: int, time: Timekeeper) -> Iterator[Occurrence]:
        """Every occurrence after an instant, in the order of their instants."""
        waiting: list[Occurrence] = []
        last_ms = after_ms
        for local in self._locals(time.local(after_ms) - _SLACK):
            heapq.heappush(waiting, Occurrence(time.instant_ms(local), local))
            safe_ms = time.instant_ms(local - _SLACK)
            while waiting and waiting[0].at_ms <= safe_ms:
                found = heapq.heappop(waiting)
                if found.at_ms > last_ms:
                    last_ms = found.at_ms
                    yield found
        while waiting:
            found = heapq.heappop(waiting)
            if found.at_ms > last_ms:
                last_ms = found.at_ms
                yield found

    def next_after(self, after_ms: int, time: Timekeeper) -> Occurrence | None:
        """The first occurrence after an instant; None if there is none any more."""
        return next(self.after(after_ms, time), None)

    def _locals(self, wanted: datetime) -> Iterable[datetime]:
        """Local times from `wanted` on, in their order."""
        if self._rule is None:
            return [self._start] if self._start >= wanted else []
        return occurrences(self._rule, self._start, wanted).xafter(wanted, inc=True)
