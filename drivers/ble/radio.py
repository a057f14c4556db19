"""The radio that BLE devices hang on: one port, and bleak behind it.

Several devices share one adapter, so they share one Radio: it scans once for all who look or listen
for something, makes one connection at a time (BlueZ answers InProgress to a second), and tells
every open Link and every listener when the adapter goes. An adapter address `sim:<path>` is a
virtual adapter of `drivers.sim`; everything else is an adapter of BlueZ.

What a listener does not hear. BlueZ tells of an advertisement when a property of the device changes
(its service data, or its signal by 8 dB), not each time: bleak leaves DuplicateData off, and many
controllers filter repetitions on top. The very same bytes, sent again, may not be told at all; a
button needs a packet id or a counter in them. And the scan pauses while a connection is made, so a
button must repeat itself for longer than that takes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bleak import BleakScanner
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from drivers.ble.advert import Advert, read_advert
from drivers.ble.link import Link, Lost
from drivers.ble.trouble import TROUBLE, translated
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

SIM_PREFIX = "sim:"

# The connector's own retries within one attempt. More is pointless: the driver comes again, with
# its own backoff, and others wait for the radio meanwhile.
ATTEMPTS = 2

# BlueZ answers StartDiscovery within 2 s, or not at all.
SCAN_START_S = 10.0


class Stack(Protocol):
    """What is below bleak: BlueZ, or a virtual adapter."""

    async def release(self, address: str) -> None:
        """Drop a connection to a band that an earlier process left behind."""
        ...

    async def close(self) -> None:
        """Give it back."""
        ...


class _Ear(NamedTuple):
    """Somebody who listens to an address."""

    heard: Callable[[Advert], None]
    lost: Lost


class _Scan:
    """A scanner that runs, the stack it runs on, and how many need it."""

    def __init__(self, scanner: BleakScanner, stack: Stack) -> None:
        self.scanner = scanner
        self.stack = stack
        self.users = 0


class Radio:
    """One adapter, shared by all BLE devices of this daemon."""

    def __init__(self, adapter: str) -> None:
        self._adapter = adapter
        self._stack: Stack | None = None
        self._scanner_options: dict[str, Any] = {}
        self._client_options: dict[str, Any] = {}
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._switching = asyncio.Lock()  # the scanner on or off
        self._scan: _Scan | None = None
        self._sought: dict[str, list[asyncio.Future[BLEDevice]]] = {}
        self._ears: dict[str, list[_Ear]] = {}
        self._links: set[Link] = set()

    async def connect(self, address: str, timeout_s: float) -> Link:
        """Find a band and connect.

        Raises:
            DeviceSilent: it is not heard, or does not answer.
            LinkLost: there is no adapter, or nothing to reach it by.
        """
        stack = await self._open()
        with translated(address, self._adapter):
            async with asyncio.timeout(timeout_s):
                await stack.release(address)
                device = await self._find(address)
            async with self._connecting, asyncio.timeout(timeout_s):
                return await self._dial(device)

    @asynccontextmanager
    async def listen(self, address: str, heard: Callable[[Advert], None]) -> AsyncIterator[Lost]:
        """While inside, hear what an address advertises, until Lost tells that the radio is gone.

        Args:
            address: of the device; what others advertise costs two look-ups.
            heard: called with every advertisement, from where it can raise nothing to anybody.

        Raises:
            DeviceSilent: the adapter does not scan.
            LinkLost: there is no adapter, or nothing to reach it by.
        """
        await self._open()
        ear = _Ear(heard, Lost())
        ears = self._ears.setdefault(address.upper(), [])
        ears.append(ear)
        try:
            with translated(address, self._adapter):
                async with asyncio.timeout(SCAN_START_S):
                    scan = await self._join_scan()
            try:
                yield ear.lost
            finally:
                await self._leave_scan(scan)
        finally:
            ears.remove(ear)

    async def close(self) -> None:
        """Drop every link and give the adapter back."""
        for link in list(self._links):
            await link.close()
        stack, self._stack = self._stack, None
        if stack:
            await stack.close()

    async def _open(self) -> Stack:
        async with self._opening:
            if self._stack is None:
                self._stack = await self._open_stack()
            return self._stack

    async def _open_stack(self) -> Stack:
        if self._adapter.startswith(SIM_PREFIX):
            from drivers.sim.stack import SimStack  # noqa: PLC0415 - virtual hardware only

            path = self._adapter.removeprefix(SIM_PREFIX)
            sim = await SimStack.open(path, self._on_stack_lost)
            self._scanner_options = {"backend": sim.scanner}
            self._client_options = {"backend": sim.client}
            return sim
        from drivers.ble.bluez import BluezWatch  # noqa: PLC0415 - BlueZ only

        self._scanner_options = self._client_options = {"bluez": {"adapter": self._adapter}}
        return await BluezWatch.open(self._adapter, self._on_stack_lost)

    def _on_stack_lost(self, reason: str) -> None:
        self._stack = None
        for link in self._links:
            link.on_lost(reason)
        for ears in self._ears.values():
            for ear in ears:
                ear.lost.tell(reason)
        for waiting in self._sought.values():
            for sought in waiting:
                if not sought.done():
                    sought.set_exception(LinkLost(reason, where=self._adapter))

    async def _find(self, address: str) -> BLEDevice:
        """The device, once it is heard."""
        sought = asyncio.get_running_loop().create_future()
        waiting = self._sought.setdefault(address.upper(), [])
        waiting.append(sought)
        try:
            scan = await self._join_scan()
            try:
                found: BLEDevice = await sought
                return found
            finally:
                await self._leave_scan(scan)
        finally:
            waiting.remove(sought)

    async def _join_scan(self) -> _Scan:
        """The one scanner runs while anybody looks or listens for anything."""
        async with self._switching:
            if self._scan is not None and self._scan.stack is not self._stack:
                await self._end_scan(self._scan)  # before another begins in its place
            if self._stack is None:
                raise LinkLost("the adapter went away", where=self._adapter)
            if self._scan is None:
                scan = _Scan(BleakScanner(self._on_heard, **self._scanner_options), self._stack)
                await scan.scanner.start()
                self._scan = scan
            self._scan.users += 1
            return self._scan

    async def _leave_scan(self, scan: _Scan) -> None:
        scan.users -= 1
        async with self._switching:
            if scan is self._scan and not scan.users:
                await self._end_scan(scan)

    async def _end_scan(self, scan: _Scan) -> None:
        self._scan = None
        with suppress(*TROUBLE):  # bleak forgets it; if somebody is there and scans on, the next
            await scan.scanner.stop()  # start says so

    def _on_heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        address = device.address.upper()
        for waiting in self._sought.get(address, ()):
            if not waiting.done():
                waiting.set_result(device)
        if ears := self._ears.get(address):
            advert = read_advert(device, data)
            for ear in tuple(ears):
                ear.heard(advert)

    async def _dial(self, device: BLEDevice) -> Link:
        lost = Lost()
        client = await establish_connection(
            BleakClientWithServiceCache,
            device,
            device.name or device.address,
            disconnected_callback=lambda _client: lost.tell("the band disconnected"),
            max_attempts=ATTEMPTS,
            use_services_cache=False,  # a cache outlives bluetoothd, the paths in it do not
            **self._client_options,
        )
        link = Link(client, device.name or "", self._adapter, lost, self._links.discard)
        self._links.add(link)
        if self._stack is None:
            link.on_lost("the adapter went away")
        return link
