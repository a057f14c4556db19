"""What the link may cost today: a SIM card has a budget.

Everything that goes over the wire counts, calls, too; held back are only readings, which stay in
the journal. A small batch goes through in every `sign_of_life_s` nevertheless, so that a home that
is out of budget is not taken for one that has gone quiet.

A day is the home's calendar day. While nobody knows the date it lasts 24 hours from its first look.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from gateway.durable_file import UNREADABLE, DurableFile
from gateway.errors import JournalError
from gateway.model import Kind, Observation
from gateway.recorder import try_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.timekeeper import Moment, Timekeeper
    from gateway.uplink import Traffic

# What a restart may forget: ten minutes of a link that is nearly out of budget are little, and 144
# small writes a day do not wear a card.
SAVE_EVERY_S = 600.0
DAY_MS = 24 * 3600 * 1000
MAX_FILE_BYTES = 1024

log = logging.getLogger("hearth.allowance")


class Day(msgspec.Struct):
    """What one day has cost so far."""

    date: str = ""  # of the home; empty while it is not known
    spent_bytes: int = 0


class Allowance:
    """Counts the bytes of a day against a limit.

    Args:
        limit_bytes: of one day; 0 is none.
        sign_of_life_s: how often a small batch goes through when the limit is reached.
        timekeeper: what day it is.
        path: where the count outlives a restart.
        tell: takes the event that the limit is reached, and that it is over.
    """

    def __init__(
        self,
        limit_bytes: int,
        sign_of_life_s: float,
        timekeeper: Timekeeper,
        path: Path,
        tell: Callable[[Observation], object],
    ) -> None:
        self._limit_bytes = limit_bytes
        self._sign_of_life_s = sign_of_life_s
        self._timekeeper = timekeeper
        self._file = DurableFile(path)
        self._tell = tell
        self._day = self._load()
        self._day_began_ms = timekeeper.now().uptime_ms
        self._saved_at_s = time.monotonic()
        self._went_at_s = -sign_of_life_s
        self._told = False

    @property
    def spent_bytes(self) -> int:
        """What this day has cost."""
        return self._day.spent_bytes

    @property
    def limit_bytes(self) -> int:
        """What a day may cost; 0 is anything."""
        return self._limit_bytes

    @property
    def exhausted(self) -> bool:
        """Whether readings are held back."""
        return bool(self._limit_bytes) and self._day.spent_bytes >= self._limit_bytes

    def admits(self) -> bool:
        """Whether a routine batch may go now; beyond the limit a small one now and then."""
        return not self.exhausted or time.monotonic() >= self._went_at_s + self._sign_of_life_s

    def went(self) -> None:
        """A routine batch goes."""
        self._went_at_s = time.monotonic()

    async def spent(self, before: Traffic, now: Traffic) -> None:
        """A connection's count went from `before` to `now`."""
        self._turn_day(self._timekeeper.now())
        sent = now.sent_bytes - before.sent_bytes
        received = now.received_bytes - before.received_bytes
        self._day.spent_bytes += max(0, sent) + max(0, received)
        self._report()
        if self._limit_bytes and time.monotonic() >= self._saved_at_s + SAVE_EVERY_S:
            await self.save()

    async def save(self) -> None:
        """Keep the count over a restart."""
        self._saved_at_s = time.monotonic()
        if not self._limit_bytes:
            return
        try:
            await self._file.replace(msgspec.json.encode(self._day))
        except JournalError as error:  # the flash fails; the journal tells of that
            log.warning("the day's traffic could not be kept: %s", error)

    def _turn_day(self, now: Moment) -> None:
        date = self._timekeeper.local(now.wall_ms).date().isoformat() if now.known else ""
        if date and not self._day.date:
            self._day.date = date  # it was this day all along, as far as anybody knows
        over = date != self._day.date if date else now.uptime_ms >= self._day_began_ms + DAY_MS
        if over:
            self._day = Day(date)
            self._day_began_ms = now.uptime_ms

    def _report(self) -> None:
        """Say once that readings are held back, and once that they go again."""
        if self.exhausted == self._told:
            return
        self._told = self.exhausted
        seen = Observation(
            Kind.FAULT,
            detail={
                "fault": "daily_limit",
                "active": self._told,
                "limit_bytes": self._limit_bytes,
            },
        )
        try_to(self._tell, seen)

    def _load(self) -> Day:
        try:
            return self._file.load(Day, MAX_FILE_BYTES) or Day()
        except UNREADABLE as error:
            log.warning("the day's traffic is counted from 0: %s", error)
            return Day()
