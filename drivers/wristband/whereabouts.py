"""Tells where a band is, when that changes: in range, fading, away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.wristband.presence import Presence, Range
from gateway.errors import JournalError
from gateway.model import Kind, Measurement, Observation

if TYPE_CHECKING:
    from drivers.ble.advert import Advert
    from gateway.driver import Context

LOOK_S = 5.0  # how late it may be noticed that a band is not heard any more
UNKNOWN_DBM = -127  # what BlueZ says if it does not know


class Whereabouts:
    """Of one band. What the journal refuses is told at a later look."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._presence = Presence(self._loop.time())
        self._told: Range | None = None

    def heard(self, advert: Advert) -> None:
        """An advertisement of the band."""
        if advert.rssi != UNKNOWN_DBM:
            self._presence.heard(advert.rssi, self._loop.time())
            self._tell()

    def connected(self) -> None:
        """The band is connected."""
        self._presence.connected(self._loop.time())
        self._tell()

    def lost(self) -> None:
        """Its connection is lost."""
        self._presence.lost(self._loop.time())

    async def watch(self) -> None:
        """Look at the time now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._presence.passed(self._loop.time())
            self._tell()

    def _tell(self) -> None:
        where, dbm = self._presence.range, self._presence.dbm
        if where is None or where is self._told:
            return
        measured = [Measurement("presence", str(where))]
        if dbm is not None and where is not Range.AWAY:
            measured.append(Measurement("rssi", dbm, "dBm"))
        with suppress(JournalError):
            self._context.emit(Observation(Kind.MEASUREMENT, tuple(measured)))
            self._told = where
