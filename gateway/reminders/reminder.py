"""One reminder, and how a list of them is read from what comes from upstream."""

from __future__ import annotations

import re
from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotation
from typing import Annotated, Any, Literal

import msgspec

from gateway.errors import CommandRefused
from gateway.reminders.schedule import Schedule
from gateway.settings import Name, read_table
from gateway.speakable import speakable

# Medicine, appointments and the alarm clock of a day are a dozen; this is a carer who means well.
MOST_REMINDERS = 200
# More than these are not told in one answer.
MOST_FAULTS = 8
_YEARS = range(2000, 2100)


class Reminder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person is to be reminded of."""

    id: Name
    kind: Literal["medicine", "appointment", "alarm"]
    text: str
    start: Annotated[datetime, msgspec.Meta(tz=False)]  # local time of the home
    rule: str = ""  # RFC 5545 RRULE; empty is once
    ack: bool = True  # said until a person presses the key; else said once
    # s between two. Five minutes: time to fetch a glass of water before it is said again.
    repeat_s: Annotated[float, msgspec.Meta(ge=30, le=3600)] = 300.0
    repeats: Annotated[int, msgspec.Meta(ge=0, le=50)] = 5

    @property
    def schedule(self) -> Schedule:
        """When it is due; CommandRefused if its rule is not taken."""
        return Schedule(self.start, self.rule)

    @property
    def most_repeats(self) -> int:
        """How often it is said again."""
        return self.repeats if self.ack else 0

    def same_time(self, other: Reminder) -> bool:
        """Whether the other is due at the same times."""
        return (self.start, self.rule) == (other.start, other.rule)


def read_reminders(items: object) -> list[Reminder]:
    """All reminders of a home, from untrusted data.

    Raises:
        CommandRefused: with every fault, up to MOST_FAULTS of them.
    """
    if not isinstance(items, list | tuple):
        raise CommandRefused("reminders are a list of maps")
    if len(items) > MOST_REMINDERS:
        raise CommandRefused(f"{len(items)} reminders; {MOST_REMINDERS} is the most")
    faults: list[str] = []
    read = [_read(item, index, faults) for index, item in enumerate(items)]
    found = [reminder for reminder in read if reminder is not None]
    seen: set[str] = set()
    for reminder in found:
        if reminder.id in seen:
            faults.append(f"{reminder.id!r} is there twice")
        seen.add(reminder.id)
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        raise CommandRefused("; ".join(faults[:MOST_FAULTS] + more))
    return found


def _read(item: Any, index: int, faults: list[str]) -> Reminder | None:
    if not isinstance(item, dict) or not all(isinstance(key, str) for key in item):
        faults.append(f"reminder[{index}]: is no map of names")
        return None
    told: list[str] = []
    reminder = read_table(item, Reminder, f":reminder[{index}]", told)
    if reminder is not None:
        told = [f"reminder[{index}].{fault}" for fault in _faults_of(reminder)]
    faults += [re.sub(r"[\x00-\x1f]", "?", fault.removeprefix(": "))[:200] for fault in told]
    return None if told else reminder


def _faults_of(reminder: Reminder) -> list[str]:
    """What the types cannot say."""
    faults = []
    if reason := speakable(reminder.text):
        faults.append(f"text: {reason}")
    start = reminder.start
    if start.second or start.microsecond or start.year not in _YEARS:
        faults.append(f"start: {start.isoformat()} is no whole minute of 2000 to 2099")
        return faults
    try:
        _ = reminder.schedule
    except CommandRefused as refused:
        faults.append(f"rule: {refused}")
    return faults
