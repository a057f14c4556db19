"""Where local hours and days begin and end. Pure; `tz` None is the system's time zone.

All times are ms since 1970. Days are those of the calendar, so they have 23 or 25 hours when
clocks change, and a day always ends where an hour does.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

_HOUR_MS = 3_600_000


def hour_start(at_ms: int, tz: tzinfo | None) -> int:
    """The full hour at or before a time."""
    local = datetime.fromtimestamp(at_ms // 1000, tz)
    return (at_ms // 1000 - local.minute * 60 - local.second) * 1000


def hour_end(start_ms: int, tz: tzinfo | None) -> int:
    """The end of the hour that starts then; half of one where clocks change by half an hour."""
    return hour_start(start_ms + _HOUR_MS, tz)


def day_start(at_ms: int, tz: tzinfo | None) -> int:
    """The midnight at or before a time."""
    return _midnight(datetime.fromtimestamp(at_ms // 1000, tz).date(), tz)


def day_end(start_ms: int, tz: tzinfo | None) -> int:
    """The midnight after the day that starts then."""
    day = datetime.fromtimestamp(start_ms // 1000, tz).date()
    return _midnight(day + timedelta(days=1), tz)


def written(at_ms: int, tz: tzinfo | None) -> str:
    """A time as ISO 8601 with its offset from UTC, to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(tz).isoformat()


def _midnight(day: date, tz: tzinfo | None) -> int:
    return round(datetime.combine(day, time(), tz).timestamp()) * 1000
