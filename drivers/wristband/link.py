"""The radio the bands hang on: one port, and bleak behind it. The only importer of bleak.

Several bands share one adapter, so they share one Radio: it scans once for all who look for
something, makes one connection at a time (BlueZ answers InProgress to a second), and tells every
open Link when the adapter goes. An adapter address `sim:<path>` is a virtual adapter of
`drivers.sim`; everything else is an adapter of BlueZ.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from bleak import BleakClient, BleakScanner
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from gateway.errors import DeviceRefused, DeviceSilent, DriverError, LinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

SIM_PREFIX = "sim:"

# The connector's own retries within one attempt. More is pointless: the driver comes again, with
# its own backoff, and others wait for the radio meanwhile.
ATTEMPTS = 2

# How long a goodbye may take. BlueZ answers within 2 s; a link that does not is gone anyway.
GOODBYE_S = 3.0

# An ATT transaction is over after 30 s at the latest (Core 5.4, Vol 3, Part F, 3.3.3).
TRANSACTION_S = 30.0

# What comes out of bleak and the D-Bus library under it when something breaks.
_TROUBLE = (BleakError, TimeoutError, EOFError, OSError)

_HINT_NO_BLUEZ = "is bluetoothd running? systemctl status bluetooth"
_ADAPTER_ERRORS = {
    "org.bluez.Error.NotReady": "the adapter is off: bluetoothctl power on",
    "org.freedesktop.DBus.Error.ServiceUnknown": _HINT_NO_BLUEZ,
    "org.freedesktop.DBus.Error.NameHasNoOwner": _HINT_NO_BLUEZ,
    "org.freedesktop.DBus.Error.NoReply": _HINT_NO_BLUEZ,
    "org.freedesktop.DBus.Error.AccessDenied": "add this user to the group bluetooth",
}
# BlueZ's own words for what the band, or its description of itself, does not allow.
_REFUSALS = frozenset(
    f"org.bluez.Error.{word}"
    for word in ("NotPermitted", "NotAuthorized", "NotSupported", "InvalidValueLength")
)
_HINT_NO_ADAPTER = "bluetoothctl list shows the adapters; rfkill list, what blocks them"


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
        with _translated(address, self._adapter):
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
        from drivers.wristband.bluez import BluezWatch  # noqa: PLC0415 - BlueZ only

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
        with suppress(*_TROUBLE):  # bleak forgets the scan, though nobody is there to end it
            await scanner.stop()

    def _on_heard(self, device: BLEDevice, _data: AdvertisementData) -> None:
        for waiting in self._sought.get(device.address.upper(), []):
            if not waiting.done():
                waiting.set_result(device)

    async def _dial(self, device: BLEDevice) -> Link:
        lost = asyncio.get_running_loop().create_future()
        client = await establish_connection(
            BleakClientWithServiceCache,
            device,
            device.name or device.address,
            disconnected_callback=lambda _client: _tell(lost, "the band disconnected"),
            max_attempts=ATTEMPTS,
            use_services_cache=False,  # a cache outlives bluetoothd, the paths in it do not
            **self._client_options,
        )
        link = Link(client, device.name or "", self._adapter, lost, self._links.discard)
        self._links.add(link)
        if self._stack is None:
            link.on_lost("the adapter went away")
        return link


class Link:
    """An open connection to one band."""

    def __init__(
        self,
        client: BleakClient,
        name: str,
        adapter: str,
        lost: asyncio.Future[str],
        on_closed: Callable[[Link], None],
    ) -> None:
        self.name = name  # what the band calls itself on the air; "" if it does not
        self._client = client
        self._adapter = adapter
        self._lost = lost
        self._on_closed = on_closed
        self._characteristics: dict[str, BleakGATTCharacteristic] = {}
        for characteristic in client.services.characteristics.values():
            self._characteristics.setdefault(characteristic.uuid.lower(), characteristic)
        services = {service.uuid.lower() for service in client.services}
        self.offers = frozenset(services | self._characteristics.keys())  # UUIDs, in lower case
        self._subscribed: set[str] = set()

    def can_read(self, uuid: str) -> bool:
        """Whether the band has this characteristic, to be read."""
        return self._has(uuid, "read")

    def can_tell(self, uuid: str) -> bool:
        """Whether the band has this characteristic, to be subscribed."""
        return self._has(uuid, "notify") or self._has(uuid, "indicate")

    def can_write(self, uuid: str) -> bool:
        """Whether the band has this characteristic, to be written."""
        return self._has(uuid, "write") or self._has(uuid, "write-without-response")

    async def read(self, uuid: str) -> bytes:
        """The value of a characteristic; DeviceRefused, DeviceSilent or LinkLost if it fails."""
        with _translated(self._client.address, self._adapter):
            async with asyncio.timeout(TRANSACTION_S):
                value = await self._client.read_gatt_char(self._characteristics[uuid])
        return bytes(value)

    async def subscribe(self, uuid: str, told: Callable[[bytes], None]) -> None:
        """Have `told` called with every value of a characteristic, anew if it was before.

        Errors as in `read`.
        """
        characteristic = self._characteristics[uuid]
        with _translated(self._client.address, self._adapter):
            async with asyncio.timeout(TRANSACTION_S):
                if uuid in self._subscribed:
                    await self._client.stop_notify(characteristic)
                self._subscribed.add(uuid)
                await self._client.start_notify(
                    characteristic, lambda _characteristic, data: told(bytes(data))
                )

    async def write(self, uuid: str, data: bytes) -> None:
        """Write a characteristic, and wait for the band's word where it gives one; errors alike."""
        response = self._has(uuid, "write")
        with _translated(self._client.address, self._adapter):
            async with asyncio.timeout(TRANSACTION_S):
                await self._client.write_gatt_char(
                    self._characteristics[uuid], data, response=response
                )

    async def wait_lost(self) -> str:
        """The reason, once the link is lost."""
        return await asyncio.shield(self._lost)

    def on_lost(self, reason: str) -> None:
        """The radio says that the link cannot be alive any more."""
        _tell(self._lost, reason)

    async def close(self) -> None:
        """Disconnect. A link that cannot say goodbye any more is closed all the same."""
        self._on_closed(self)
        with suppress(*_TROUBLE):
            async with asyncio.timeout(GOODBYE_S):
                await self._client.disconnect()

    def _has(self, uuid: str, way: str) -> bool:
        characteristic = self._characteristics.get(uuid)
        return characteristic is not None and way in characteristic.properties


def _tell(future: asyncio.Future[str], reason: str) -> None:
    if not future.done():
        future.set_result(reason)


@contextmanager
def _translated(address: str, adapter: str) -> Iterator[None]:
    """What bleak raises, as a DriverError."""
    try:
        yield
    except _TROUBLE as error:
        raise translate(error, address, adapter) from error


def translate(error: Exception, address: str, adapter: str) -> DriverError:
    """The DriverError for what bleak raised: whose fault it is decides what to do next."""
    cause: BaseException | None = error
    while cause is not None:
        if hint := _adapter_trouble(cause):
            return LinkLost(_words(cause), where=adapter, hint=hint)
        cause = cause.__cause__
    if isinstance(error, BleakGATTProtocolError):
        return DeviceRefused(f"the band refused: {error.code.name}", where=address)
    if isinstance(error, BleakDBusError) and error.dbus_error in _REFUSALS:
        return DeviceRefused(
            f"the band refused: {error.dbus_error.rpartition('.')[2]}", where=address
        )
    hint = "is it charged, near, and not connected to a phone?"
    return DeviceSilent(_words(error), where=address, hint=hint)


def _adapter_trouble(error: BaseException) -> str:
    """The hint, if this error is of the adapter and not of a band."""
    if isinstance(error, BleakBluetoothNotAvailableError):
        return _HINT_NO_ADAPTER
    if isinstance(error, BleakDBusError):
        return _ADAPTER_ERRORS.get(error.dbus_error, "")
    missing = isinstance(error, BleakError) and str(error).startswith("adapter ")
    return _HINT_NO_ADAPTER if missing else ""


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
