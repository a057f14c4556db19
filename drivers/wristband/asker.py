"""What a session asks of a band: its names, its battery, what it stored, what must be polled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.wristband.wire.identity import decode_identity
from drivers.wristband.wire.profile import BATTERY_LEVEL, IDENTITY
from gateway.errors import DecodeError, DeviceRefused, JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from drivers.ble.link import Link
    from drivers.wristband.backfill import Backfill
    from drivers.wristband.command import Command
    from drivers.wristband.family import Family
    from drivers.wristband.settings import WristbandSettings
    from drivers.wristband.teller import Teller
    from drivers.wristband.wearer import Wearer

# A band that only answers adds a value to its log every five minutes; an hour of them costs it less
# than a measurement.
HISTORY_S = 3600.0


class Asker:
    """The questions of one connection."""

    def __init__(
        self, settings: WristbandSettings, link: Link, family: Family, teller: Teller
    ) -> None:
        self._settings = settings
        self._link = link
        self._family = family
        self._teller = teller
        self._loop = asyncio.get_running_loop()
        self._caught_up_s = 0.0

    async def write(self, commands: Sequence[Command]) -> None:
        """Write what the band lets be written. That it refuses one is a fault, not an end."""
        for uuid, data in commands:
            if self._link.can_write(uuid):
                try:
                    await self._link.write(uuid, data)
                except DeviceRefused as error:
                    self._teller.bad(uuid, "refused", error.what)
                else:
                    self._teller.good(uuid, "refused")

    async def poll(
        self, wearer: Wearer, backfill: Backfill, local_time: Callable[[], datetime | None]
    ) -> str:
        """Ask now and then; what the band stored comes before the first question. Why it ended."""
        while (asked := self._family.poll(wearer.polls)) or self._family.stores:
            wearer.polls += 1
            if now := local_time():
                await self._catch_up(backfill, now)
            await self.write(asked)
            await asyncio.sleep(self._settings.poll)
        return await self._link.wait_lost()

    async def poll_battery(self, told: Callable[[str, bytes], None]) -> str:
        """Read at once and then seldom; a band that keeps it to itself is left alone."""
        while BATTERY_LEVEL in self._family.told_by and self._link.can_read(BATTERY_LEVEL):
            try:
                told(BATTERY_LEVEL, await self._link.read(BATTERY_LEVEL))
            except DeviceRefused:
                break
            await asyncio.sleep(self._settings.battery_poll)
        return await self._link.wait_lost()

    async def identity(self) -> dict[str, str]:
        """Names the band gives itself. None of them is worth losing the band for."""
        names = {}
        for uuid, name in IDENTITY.items():
            if self._link.can_read(uuid):
                try:
                    text = decode_identity(await self._link.read(uuid))
                except (DecodeError, DeviceRefused):
                    continue
                if text:
                    names[name] = text
        return names

    async def _catch_up(self, backfill: Backfill, now: datetime) -> None:
        """Read what the band stored: once if it tells live, else again and again."""
        again = not self._family.steady and self._loop.time() - self._caught_up_s >= HISTORY_S
        if not self._family.stores or (backfill.caught_up and not again):
            return
        try:
            await backfill.run(now)
        except JournalError as error:
            what = f"not kept, and still on the band: {error}"
            self._teller.bad(self._family.told_by[0], "history", what)
        if backfill.caught_up:
            self._caught_up_s = self._loop.time()
