"""Rules of recurrence (RFC 5545 RRULE): which are taken, and why not the others.

A rule comes from upstream, and dateutil, which works it out, looks for the next occurrence until
the year 9999: of "each 30 February" it would look for minutes. So only rules are taken that are
certain to have an occurrence at least every eight years (29 February, over a year 2100), and of
which no two are less than a quarter of an hour apart:

- FREQ is HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY.
- The parts are INTERVAL, COUNT or UNTIL, BYMONTH, BYMONTHDAY or BYDAY, BYHOUR, BYMINUTE.
- BYDAY with a number (2TU, -1FR) is for MONTHLY and YEARLY, -4 to 4 or -5 to -1 from the end; a
  fifth from the start does not exist in most months.
- An INTERVAL above 1 goes only with parts that it cannot miss: BYMINUTE and BYHOUR (not if
  HOURLY), BYDAY if WEEKLY or MONTHLY, BYMONTHDAY up to 28 if MONTHLY.

Times are local, so UNTIL is local, too; a date alone is that whole day.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import msgspec
from dateutil import rrule

from gateway.errors import CommandRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_RULE = 256  # characters
MAX_INTERVAL = 366
# A rule with COUNT is worked out from its start, always: this many take some ms on a Pi.
MAX_COUNT = 1000
# A person who is reminded more often than this stops listening.
LEAST_GAP_MIN = 15

_FREQUENCIES: dict[str, Literal[0, 1, 2, 3, 4]] = {
    "HOURLY": rrule.HOURLY,
    "DAILY": rrule.DAILY,
    "WEEKLY": rrule.WEEKLY,
    "MONTHLY": rrule.MONTHLY,
    "YEARLY": rrule.YEARLY,
}
_WEEKDAYS = {day: index for index, day in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,5}\Z", re.ASCII)
_UNTIL = re.compile(r"\d{8}(T\d{6})?\Z", re.ASCII)
_PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR",
          "BYMINUTE")  # fmt: skip
_LONGEST = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month
# What an INTERVAL above 1 may go with.
_WITH_INTERVAL = {
    "HOURLY": {"BYMINUTE"},
    "DAILY": {"BYMINUTE", "BYHOUR"},
    "WEEKLY": {"BYMINUTE", "BYHOUR", "BYDAY"},
    "MONTHLY": {"BYMINUTE", "BYHOUR", "BYDAY", "BYMONTHDAY"},
    "YEARLY": {"BYMINUTE", "BYHOUR"},
}
_ENDS = {"FREQ", "INTERVAL", "COUNT", "UNTIL"}


class Day(msgspec.Struct, frozen=True):
    """A weekday, 0 is Monday; `nth` of the month or year, 0 is each."""

    weekday: int
    nth: int = 0


class Rule(msgspec.Struct, frozen=True):
    """A rule that is taken. Empty parts are not given."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    months: tuple[int, ...] = ()
    monthdays: tuple[int, ...] = ()
    days: tuple[Day, ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()


def parse_rule(text: str) -> Rule:
    """A rule of recurrence.

    Raises:
        CommandRefused: it is none, or one that is not taken; says why.
    """
    if len(text) > MAX_RULE:
        raise CommandRefused(f"a rule of {len(text)} characters; {MAX_RULE} is the most")
    parts = _parts(text.upper().removeprefix("RRULE:"))
    rule = Rule(
        frequency=_frequency(parts),
        interval=_numbers(parts, "INTERVAL", 1, MAX_INTERVAL, most=1)[0]
        if "INTERVAL" in parts
        else 1,
        count=_numbers(parts, "COUNT", 1, MAX_COUNT, most=1)[0] if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        months=_numbers(parts, "BYMONTH", 1, 12),
        monthdays=_numbers(parts, "BYMONTHDAY", -31, 31),
        days=_days(parts),
        hours=_numbers(parts, "BYHOUR", 0, 23),
        minutes=_numbers(parts, "BYMINUTE", 0, 59),
    )
    _check_parts(rule, parts.keys())
    return rule


def check_gap(rule: Rule, start: datetime) -> None:
    """Refuse a rule, begun at this time, that recurs more often than every quarter of an hour.

    Raises:
        CommandRefused: it does.
    """
    hours = rule.hours or (range(24) if rule.frequency == "HOURLY" else (start.hour,))
    minutes = rule.minutes or (start.minute,)
    times = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    # A period later the first comes again: the next day, or so many hours later. Taken for the
    # worst case: that each day, and each hour of a plain hourly rule, has its occurrences.
    if rule.frequency == "HOURLY" and rule.interval > 1:
        times = [*sorted(minutes), min(minutes) + 60 * rule.interval]
    else:
        times.append(times[0] + 24 * 60)
    gap = min(later - earlier for earlier, later in pairwise(times))
    if gap < LEAST_GAP_MIN:
        raise CommandRefused(
            f"it recurs after {gap} min; every {LEAST_GAP_MIN} min is the most often"
        )


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for pair in text.split(";"):
        name, equals, value = pair.partition("=")
        if not equals or not value:
            raise CommandRefused(f"{pair!r:.40} is no part of a rule, as in FREQ=DAILY")
        if name not in _PARTS:
            raise CommandRefused(f"{name!r:.40} is not taken, only {', '.join(_PARTS)}")
        if name in parts:
            raise CommandRefused(f"{name} is given twice")
        parts[name] = value
    return parts


def _frequency(parts: dict[str, str]) -> str:
    frequency = parts.get("FREQ", "")
    if frequency in {"SECONDLY", "MINUTELY"}:
        raise CommandRefused(f"FREQ={frequency}: every {LEAST_GAP_MIN} min is the most often")
    if frequency not in _FREQUENCIES:
        raise CommandRefused(f"FREQ is {frequency!r:.40}, not one of {', '.join(_FREQUENCIES)}")
    return frequency


def _numbers(
    parts: dict[str, str], name: str, low: int, high: int, *, most: int = 64
) -> tuple[int, ...]:
    if name not in parts:
        return ()
    words = parts[name].split(",")
    if len(words) > most:
        raise CommandRefused(f"{name} has {len(words)} values; {most} is the most")
    found = {int(word) for word in words if _NUMBER.match(word)}
    bad = [word for word in words if not _NUMBER.match(word)]
    bad += [str(number) for number in sorted(found) if not low <= number <= high]
    if name == "BYMONTHDAY" and 0 in found:
        bad.append("0")
    if bad:
        raise CommandRefused(f"{name} is {bad[0]!r:.40}, not of {low} to {high}")
    return tuple(sorted(found))


def _days(parts: dict[str, str]) -> tuple[Day, ...]:
    if "BYDAY" not in parts:
        return ()
    words = parts["BYDAY"].split(",")
    if len(words) > 64:
        raise CommandRefused(f"BYDAY has {len(words)} values; 64 is the most")
    days = []
    for word in words:
        match = _DAY.match(word)
        nth = int(match[1] or 0) if match else 0
        if match is None or not -5 <= nth <= 4 or (match[1] and nth == 0):
            raise CommandRefused(f"BYDAY is {word!r:.40}, not as MO, 2TU or -1FR; up to 4")
        days.append(Day(_WEEKDAYS[match[2]], nth))
    return tuple(dict.fromkeys(days))


def _until(text: str) -> datetime:
    if not _UNTIL.match(text):
        raise CommandRefused(f"UNTIL is {text!r:.40}, not local time as 20271231T080000")
    try:
        until = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandRefused(f"UNTIL is {text!r:.40}: {error}") from error
    return until if "T" in text else datetime.combine(until, time(23, 59, 59))


def _check_parts(rule: Rule, names: Iterable[str]) -> None:
    """Parts that do not go together."""
    given = set(names)
    if {"COUNT", "UNTIL"} <= given:
        raise CommandRefused("COUNT and UNTIL do not go together")
    if {"BYMONTHDAY", "BYDAY"} <= given:
        raise CommandRefused("BYMONTHDAY and BYDAY together are not taken")
    if rule.frequency == "WEEKLY" and "BYMONTHDAY" in given:
        raise CommandRefused("a weekly rule takes no BYMONTHDAY")
    if rule.frequency not in {"MONTHLY", "YEARLY"} and any(day.nth for day in rule.days):
        raise CommandRefused("BYDAY with a number is for MONTHLY and YEARLY")
    if any(day.nth == -5 for day in rule.days):
        raise CommandRefused("BYDAY up to the fourth; a fifth does not exist in most months")
    if rule.interval > 1:
        allowed = _WITH_INTERVAL[rule.frequency] | _ENDS
        if wrong := sorted(given - allowed):
            what = f"{rule.frequency} with an INTERVAL above 1 takes no {', '.join(wrong)}"
            raise CommandRefused(f"{what}: it could miss it for ever")
        soonest = min((abs(day) for day in rule.monthdays), default=1)
        if soonest > 28:
            what = f"an INTERVAL above 1 with a day {soonest}"
            raise CommandRefused(f"{what} is not taken: it could miss it for ever")


def _check_exists(rule: Rule) -> None:
    """Refuse a day that none of the months has."""
    if not rule.monthdays:
        return
    soonest = min(abs(day) for day in rule.monthdays)
    months = rule.months or range(1, 13)
    if soonest > max(_LONGEST[month] for month in months):
        raise CommandRefused(f"none of these months has a day {soonest}")


# --- working it out ------------------------------------------------------------------------------


def occurrences(rule: Rule, start: datetime, wanted: datetime) -> rrule.rrule:
    """The occurrences from `start` on; those long before `wanted` may be left out.

    Raises:
        CommandRefused: there would be none.
    """
    given = _explicit(rule, start)
    _check_exists(given)
    begin = start if rule.count else _near(rule, start, wanted)
    try:
        return rrule.rrule(
            _FREQUENCIES[rule.frequency],
            dtstart=begin,
            interval=given.interval,
            count=given.count,
            until=given.until,
            bymonth=given.months or None,
            bymonthday=given.monthdays or None,
            byweekday=[rrule.weekday(day.weekday, day.nth or None) for day in given.days] or None,
            byhour=given.hours or None,
            byminute=given.minutes or None,
            bysecond=0,
        )
    except ValueError as error:
        raise CommandRefused(f"the rule cannot be worked out: {error}") from error


def _explicit(rule: Rule, start: datetime) -> Rule:
    """The same rule with everything said that its start implies."""
    implied: dict[str, tuple[object, ...]] = {}
    if not rule.minutes:
        implied["minutes"] = (start.minute,)
    if not rule.hours and rule.frequency != "HOURLY":
        implied["hours"] = (start.hour,)
    if not rule.days and not rule.monthdays:
        if rule.frequency == "WEEKLY":
            implied["days"] = (Day(start.weekday()),)
        elif rule.frequency in {"MONTHLY", "YEARLY"}:
            implied["monthdays"] = (start.day,)
            if rule.frequency == "YEARLY" and not rule.months:
                implied["months"] = (start.month,)
    return msgspec.structs.replace(rule, **implied)


def _near(rule: Rule, start: datetime, wanted: datetime) -> datetime:
    """A start, whole intervals later, from which it is not far to `wanted`.

    Of hours, days and weeks one interval more than needed is left: they begin in their middle.
    """
    if wanted <= start:
        return start
    if rule.frequency in {"MONTHLY", "YEARLY"}:
        step = rule.interval * (12 if rule.frequency == "YEARLY" else 1)
        months = (wanted.year - start.year) * 12 + wanted.month - start.month
        skipped = months // step * step
        if skipped <= 0:
            return start
        month = start.year * 12 + start.month - 1 + skipped
        first = datetime(month // 12, month % 12 + 1, 1)
        return first.replace(month=1) if rule.frequency == "YEARLY" else first
    unit = {"HOURLY": timedelta(hours=1), "DAILY": timedelta(days=1)}.get(
        rule.frequency, timedelta(weeks=1)
    )
    step_of = unit * rule.interval
    return start + max(0, (wanted - start) // step_of - 1) * step_of
