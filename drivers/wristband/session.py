"""One connection to a band: subscribe to everything it measures, and tell it until it falls silent.

What is known of the band beyond one connection (`Wearer`: is it worn, is it sending nonsense) is
kept by the driver, so that a reconnect does not tell the same thing twice.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from drivers.wristband.fault import Fault
from drivers.wristband.wire.identity import decode_identity
from drivers.wristband.wire.profile import BATTERY_LEVEL, IDENTITY, READINGS
from gateway.errors import DecodeError, DeviceRefused
from gateway.model import Kind, Measurement, Observation

if TYPE_CHECKING:
    from drivers.wristband.link import Link
    from drivers.wristband.settings import WristbandSettings
    from drivers.wristband.wire.reading import Reading
    from gateway.driver import Context
    from gateway.model import Scalar

# Notifications that wait to be decoded. A band sends a few a second; one that fills this is
# broken or hostile, and loses the oldest.
INBOX = 64


class Wearer:
    """What was last told of a band."""

    def __init__(self) -> None:
        self.contact: bool | None = None
        self.faults: dict[str, Fault] = {}


class Session:
    """From a fresh link to its end."""

    def __init__(
        self, settings: WristbandSettings, context: Context, link: Link, wearer: Wearer
    ) -> None:
        self._settings = settings
        self._context = context
        self._link = link
        self._wearer = wearer
        self.told = False  # whether the band sent anything
        self._inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._flooded = False
        self._loop = asyncio.get_running_loop()

    async def run(self) -> str:
        """Why the link ended. Errors of the driver tree pass through."""
        identity = await self._read_identity()
        subscribed = [uuid for uuid in READINGS if self._link.can_tell(uuid)]
        if not subscribed:
            raise DeviceRefused(
                "it measures nothing in a standard way",
                where=self._settings.address,
                hint="only bands with standard services (180D, 1822, 1809) are understood",
            )
        for uuid in subscribed:
            await self._link.subscribe(uuid, partial(self._on_told, uuid))
        self._context.online(**identity)
        ended = asyncio.ensure_future(self._link.wait_lost())
        listening = asyncio.ensure_future(self._listen())
        polling = asyncio.ensure_future(self._poll_battery())
        work = {ended, listening, polling}
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            # When the link goes, reads fail with it: the cause is told, not the consequence.
            return (ended if ended in done else done.pop()).result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    def _on_told(self, uuid: str, value: bytes) -> None:
        self.told = True
        if self._inbox.qsize() >= INBOX:
            self._inbox.get_nowait()
            self._flooded = True
        self._inbox.put_nowait((uuid, value))

    async def _listen(self) -> str:
        while True:
            try:
                async with asyncio.timeout(self._settings.silence):
                    uuid, value = await self._inbox.get()
            except TimeoutError:
                return f"silent for {self._settings.silence:g} s"
            self._tell(uuid, value)
            if self._flooded:
                self._flooded = False
                self._tell_bad(uuid, "flood", "notifications come faster than they can be kept")

    async def _poll_battery(self) -> str:
        """Read at once and then seldom; a band that keeps it to itself is left alone."""
        while self._link.can_read(BATTERY_LEVEL):
            try:
                self._tell(BATTERY_LEVEL, await self._link.read(BATTERY_LEVEL))
            except DeviceRefused:
                break
            await asyncio.sleep(self._settings.battery_poll)
        return await self._link.wait_lost()

    async def _read_identity(self) -> dict[str, str]:
        """Names the band gives itself. None of them is worth losing the band for."""
        identity = {}
        for uuid, name in IDENTITY.items():
            if self._link.can_read(uuid):
                try:
                    text = decode_identity(await self._link.read(uuid))
                except (DecodeError, DeviceRefused):
                    continue
                if text:
                    identity[name] = text
        return identity

    def _tell(self, uuid: str, value: bytes) -> None:
        try:
            reading = READINGS[uuid](value)
        except DecodeError as error:
            self._tell_bad(uuid, "malformed", str(error))
            return
        self._tell_good(uuid, "malformed")
        self._tell_good(uuid, "flood")
        self._tell_reading(reading)

    def _tell_reading(self, reading: Reading) -> None:
        if reading.contact is not None and reading.contact is not self._wearer.contact:
            self._wearer.contact = reading.contact
            contact = Measurement("contact", reading.contact)
            self._context.emit(Observation(Kind.MEASUREMENT, (contact,)))
        if reading.measurements:
            self._context.emit(
                Observation(Kind.MEASUREMENT, reading.measurements, detail=reading.detail)
            )

    def _tell_bad(self, uuid: str, fault: str, what: str) -> None:
        known = self._wearer.faults.setdefault(f"{fault} {uuid}", Fault())
        if known.bad(self._loop.time()):
            detail: dict[str, Scalar] = {
                "fault": fault,
                "active": True,
                "characteristic": uuid[4:8],
                "what": what,
            }
            self._context.emit(Observation(Kind.FAULT, detail=detail))

    def _tell_good(self, uuid: str, fault: str) -> None:
        known = self._wearer.faults.get(f"{fault} {uuid}")
        if known and known.good(self._loop.time()):
            detail: dict[str, Scalar] = {
                "fault": fault,
                "active": False,
                "characteristic": uuid[4:8],
                "count": known.count,
            }
            self._context.emit(Observation(Kind.FAULT, detail=detail))
