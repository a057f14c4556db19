"""The one scanner of an adapter, for all who look for a device or listen to one.

What a listener does not hear. BlueZ tells of an advertisement when a property of the device changes
(its service data, or its signal by 8 dB), not each time: bleak leaves DuplicateData off, and many
controllers filter repetitions on top. The very same bytes, sent again, may not be told at all; a
button needs a packet id or a counter in them. And the scan pauses while a connection is made, so a
button must repeat itself for longer than that takes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from bleak import BleakScanner

from drivers.ble.advert import Advert, read_advert
from drivers.ble.link import Lost
from drivers.ble.trouble import TROUBLE
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

# BlueZ begins and ends a scan within 2 s. Who waits for the scanner waits for that.
SCAN_SWITCH_S = 5.0


class _Ear(NamedTuple):
    """Somebody who listens to an address."""

    heard: Callable[[Advert], None]
    lost: Lost


class _Scan:
    """A scanner that runs, the stack it runs on, and how many need it."""

    def __init__(self, scanner: BleakScanner, stack: object) -> None:
        self.scanner = scanner
        self.stack = stack
        self.users = 0


class Scanner:
    """Runs while anybody needs it. The radio says what it runs on."""

    def __init__(self, adapter: str) -> None:
        self._adapter = adapter
        self._stack: object | None = None
        self._options: dict[str, Any] = {}
        self._switching = asyncio.Lock()  # on or off
        self._scan: _Scan | None = None
        self._sought: dict[str, list[asyncio.Future[BLEDevice]]] = {}
        self._ears: dict[str, list[_Ear]] = {}

    def on_stack(self, stack: object, options: dict[str, Any]) -> None:
        """There is a stack to scan on; bleak's options for it."""
        self._stack, self._options = stack, options

    def on_stack_lost(self, reason: str) -> None:
        """It is gone, and all who wait must know."""
        self._stack = None
        for ears in self._ears.values():
            for ear in ears:
                ear.lost.tell(reason)
        for waiting in self._sought.values():
            for sought in waiting:
                if not sought.done():
                    sought.set_exception(LinkLost(reason, where=self._adapter))

    async def find(self, address: str) -> BLEDevice:
        """The device, once it is heard; LinkLost when the stack goes, what bleak raises."""
        sought = asyncio.get_running_loop().create_future()
        waiting = self._sought.setdefault(address.upper(), [])
        waiting.append(sought)
        try:
            scan = await self._join()
            try:
                found: BLEDevice = await sought
                return found
            finally:
                await self._leave(scan)
        finally:
            waiting.remove(sought)

    @asynccontextmanager
    async def listening(self, address: str, heard: Callable[[Advert], None]) -> AsyncIterator[Lost]:
        """While inside, hear what an address advertises, until Lost tells that the stack is gone.

        What others advertise costs two look-ups.
        """
        ear = _Ear(heard, Lost())
        ears = self._ears.setdefault(address.upper(), [])
        ears.append(ear)
        try:
            scan = await self._join()
            try:
                yield ear.lost
            finally:
                await self._leave(scan)
        finally:
            ears.remove(ear)

    async def _join(self) -> _Scan:
        async with self._switching:
            if self._scan is not None and self._scan.stack is not self._stack:
                await self._end(self._scan)  # before another begins in its place
            if self._stack is None:
                raise LinkLost("the adapter went away", where=self._adapter)
            if self._scan is None:
                scan = _Scan(BleakScanner(self._on_heard, **self._options), self._stack)
                async with asyncio.timeout(SCAN_SWITCH_S):
                    await scan.scanner.start()
                self._scan = scan
            self._scan.users += 1
            return self._scan

    async def _leave(self, scan: _Scan) -> None:
        scan.users -= 1
        async with self._switching:
            if scan is self._scan and not scan.users:
                await self._end(scan)

    async def _end(self, scan: _Scan) -> None:
        self._scan = None
        with suppress(*TROUBLE):  # bleak forgets it; if it goes on, the next start says so
            async with asyncio.timeout(SCAN_SWITCH_S):
                await scan.scanner.stop()

    def _on_heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        address = device.address.upper()
        for waiting in self._sought.get(address, ()):
            if not waiting.done():
                waiting.set_result(device)
        if ears := self._ears.get(address):
            advert = read_advert(device, data)
            for ear in tuple(ears):
                ear.heard(advert)
