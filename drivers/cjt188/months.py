"""The monthly totals of one meter: read once a month and at the first contact, each told once.

A month's total is the meter's total on that month's settlement day. Which month "last month" is,
the gateway's clock says, and the meter's own must agree: the meter settles by its own. While one is
unknown or they differ, nothing is read. It is no loss, since a meter keeps twelve months.

Told, then noted: a power cut between the two tells some months again, the other order would lose
them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.cjt188.wire import MONTHS
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent, JournalWriteFailed
from gateway.model import Kind, Measurement, Observation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from gateway.driver import Context

TOLD = "months.told"  # the newest month that is durable here

# A meter that has no more months refuses, or says nothing. Silence may also be noise, so it is
# believed at the third poll only.
TRIES = 3


class Months:
    """What was told of one meter's months. `read` asks the meter for the total so many months ago.

    `read` gives m3, or None where the meter has something absurd, as of months before it was
    mounted.
    """

    def __init__(self, context: Context, read: Callable[[int], Awaitable[float | None]]) -> None:
        self._context = context
        self._read = read
        self._settled = 0  # the month that needs no more attention in this run
        self._tries = 0

    async def run(self, now: datetime | None, meter_now: datetime | None) -> None:
        """Tell what is new. Both are local time without a zone; None if it is not known.

        Raises:
            LinkLost: the port is gone.
            JournalError: the journal is closed or takes nothing more.
        """
        if now is None or meter_now is None or _month(now) != _month(meter_now):
            return
        newest = _month(now) - 1
        missing = min(newest - self._noted(newest - MONTHS), MONTHS)
        if missing <= 0 or newest == self._settled:
            return
        totals = await self._totals(missing)
        if totals is not None:
            self._settled, self._tries = newest, 0
            await self._tell({newest - back: total for back, total in enumerate(totals)}, newest)

    async def _totals(self, count: int) -> list[float | None] | None:
        """The totals of the last months, newest first; None if the meter is to be asked again."""
        totals: list[float | None] = []
        for back in range(1, count + 1):
            try:
                totals.append(await self._read(back))
            except DeviceRefused:
                break
            except (DeviceSilent, DecodeError):
                self._tries += 1
                if self._tries < TRIES:
                    return None
                break
        return totals

    async def _tell(self, totals: dict[int, float | None], newest: int) -> None:
        told = [
            self._context.emit(_observation(month, total))
            for month, total in sorted(totals.items())
            if total is not None
        ]
        # Where the flash refuses, the events travel from memory. They are not noted, and are told
        # again after a restart; until then they need not be.
        with suppress(JournalWriteFailed):
            for receipt in told:
                await receipt
            if told:
                await self._context.notes.put({TOLD: _name(newest)})

    def _noted(self, default: int) -> int:
        """The newest month that was told; the default if there is none, or a broken note."""
        year, _, month = str(self._context.notes.get(TOLD)).partition("-")
        if not (year.isdecimal() and month.isdecimal()):
            return default
        return 12 * int(year) + int(month) - 1


def _observation(month: int, total_m3: float) -> Observation:
    measured = Measurement("volume_month", total_m3, "m3")
    return Observation(Kind.MEASUREMENT, (measured,), detail={"month": _name(month)})


def _month(time: datetime) -> int:
    """Months since the year 0."""
    return 12 * time.year + time.month - 1


def _name(month: int) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
