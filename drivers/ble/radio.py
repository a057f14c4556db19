"""The radio that BLE devices hang on: one port, and bleak behind it.

Several bands share one adapter, so they share one Radio: it scans once for all who look for
something, makes one connection at a time (BlueZ answers InProgress to a second), and tells every
open Link when the adapter goes. An adapter address `sim:<path>` is a virtual adapter of
`drivers.sim`; everything else is an adapter of BlueZ.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from bleak import BleakScanner
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from drivers.ble.link import Link, Lost
from drivers.ble.trouble import TROUBLE, translated
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

SIM_PREFIX = "sim:"

# The connector's own retries within one attempt. More is pointless: the driver comes again, with
# its own backoff, and others wait for the radio meanwhile.
ATTEMPTS = 2


class Stack(Protocol):
    """What is below bleak: BlueZ, or a virtual adapter."""

    async def release(self, address: str) -> None:
        """Drop a connection to a band that an earlier process left behind."""
        ...

    async def close(self) -> None:
        """Give it back."""
        ...


class Radio:
    """One adapter, shared by all bands of this daemon."""

    def __init__(self, adapter: str) -> None:
        self._adapter = adapter
        self._stack: Stack | None = None
        self._scanner_options: dict[str, Any] = {}
        self._client_options: dict[str, Any] = {}
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._scanning = asyncio.Lock()
        self._scanner: BleakScanner | None = None
        self._sought: dict[str, list[asyncio.Future[BLEDevice]]] = {}
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
            async with self._scan():
                found: BLEDevice = await sought
                return found
        finally:
            waiting.remove(sought)

    @asynccontextmanager
    async def _scan(self) -> AsyncIterator[None]:
        """The one scanner runs while anybody looks for anything."""
        async with self._scanning:
            if self._scanner is None:
                scanner = BleakScanner(self._on_heard, **self._scanner_options)
                await scanner.start()
                self._scanner = scanner
        try:
            yield
        finally:
            async with self._scanning:
                await self._stop_scanning_for_the_last()

    async def _stop_scanning_for_the_last(self) -> None:
        looking = sum(len(waiting) for waiting in self._sought.values())
        if self._scanner is None or looking > 1:
            return
        scanner, self._scanner = self._scanner, None
        if self._stack is not None:
            await scanner.stop()
            return
        with suppress(*TROUBLE):  # bleak forgets the scan, though nobody is there to end it
            await scanner.stop()

    def _on_heard(self, device: BLEDevice, _data: AdvertisementData) -> None:
        for waiting in self._sought.get(device.address.upper(), []):
            if not waiting.done():
                waiting.set_result(device)

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
