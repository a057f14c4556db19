"""A scanner and a client backend for bleak, on a Bumble central.

What comes out of them, results and errors alike, is what bleak's BlueZ backend would give.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from bleak.backends.characteristic import BleakGATTCharacteristic, GattCharacteristicsFlags
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str
from bumble import att, core
from bumble.core import AdvertisingData
from bumble.device import Device, Peer
from bumble.hci import Address
from bumble.transport.common import StreamPacketSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bleak.args import SizedBuffer
    from bleak.backends.client import NotifyCallback
    from bumble.device import Advertisement, Connection
    from bumble.gatt_client import CharacteristicProxy

T = TypeVar("T")

MTU = 247  # what most phones and gateways ask for

_UUID_LISTS = (
    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)
_SERVICE_DATA = (
    AdvertisingData.SERVICE_DATA_16_BIT_UUID,
    AdvertisingData.SERVICE_DATA_128_BIT_UUID,
)


def backends(central: Device) -> tuple[type[SimScanner], type[SimClient]]:
    """The two backend classes that bleak takes, bound to one central."""
    scanner = type("SimScanner", (SimScanner,), {"central": central})
    client = type("SimClient", (SimClient,), {"central": central, "connecting": asyncio.Lock()})
    return scanner, client


def uuid_text(uuid: core.UUID) -> str:
    """A UUID as bleak writes it."""
    return normalize_uuid_str(uuid.to_hex_str("-").lower())


def read_advertisement(advertisement: Advertisement) -> AdvertisementData:
    """An advertisement as bleak tells of it."""
    data: Any = advertisement.data  # typed as any of what any field can hold
    uuids = [
        uuid_text(uuid) for kind in _UUID_LISTS for group in data.get_all(kind) for uuid in group
    ]
    service_data = {
        uuid_text(uuid): bytes(value)
        for kind in _SERVICE_DATA
        for uuid, value in data.get_all(kind)
    }
    makers = data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA)
    name = data.get(AdvertisingData.COMPLETE_LOCAL_NAME) or data.get(
        AdvertisingData.SHORTENED_LOCAL_NAME
    )
    return AdvertisementData(
        local_name=name,
        manufacturer_data={int(maker): bytes(value) for maker, value in makers},
        service_data=service_data,
        service_uuids=list(dict.fromkeys(uuids)),
        tx_power=data.get(AdvertisingData.TX_POWER_LEVEL),
        rssi=advertisement.rssi,
        platform_data=(advertisement,),
    )


class SimScanner(BaseBleakScanner):
    """bleak's scanner on a Bumble central."""

    central: ClassVar[Device]

    def __init__(
        self,
        detection_callback: Any = None,
        service_uuids: list[str] | None = None,
        scanning_mode: str = "active",
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Scan until stopped."""
        self.seen_devices = {}
        self.central.on("advertisement", self._on_advertisement)
        try:
            await _whole(self.central.start_scanning(active=self._active, filter_duplicates=False))
        except core.BaseBumbleError as error:
            self.central.remove_listener("advertisement", self._on_advertisement)
            raise BleakError(f"cannot scan: {error}") from error

    async def stop(self) -> None:
        """Stop scanning; BleakError if the adapter is gone: it would never answer."""
        self.central.remove_listener("advertisement", self._on_advertisement)
        sink = self.central.host.hci_sink
        if isinstance(sink, StreamPacketSink) and sink.transport.is_closing():
            raise BleakError("the virtual adapter is gone")
        try:
            await _whole(self.central.stop_scanning())
        except core.BaseBumbleError as error:
            raise BleakError(f"cannot stop scanning: {error}") from error

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        data = read_advertisement(advertisement)
        if not self.is_allowed_uuid(data.service_uuids):
            return
        address = advertisement.address.to_string(False)
        details = {"address": advertisement.address}
        device = self.create_or_update_device(address, address, data.local_name, details, data)
        self.call_detection_callbacks(device, data)


class SimClient(BaseBleakClient):
    """bleak's client on a Bumble central."""

    central: ClassVar[Device]
    connecting: ClassVar[asyncio.Lock]  # a controller makes one connection at a time

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        services: set[str] | None = None,
        *,
        disconnected_callback: Callable[[], None] | None = None,
        timeout: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=disconnected_callback,
            timeout=timeout,
            **kwargs,
        )
        self._only = services
        self._target: Address
        self._name = self.address.replace(":", "-")
        if isinstance(address_or_ble_device, BLEDevice):
            self._target = address_or_ble_device.details["address"]
            self._name = address_or_ble_device.name or self._name
        else:
            self._target = Address(address_or_ble_device)
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """The advertised name, or the address."""
        return self._name

    @property
    def mtu_size(self) -> int:
        """The negotiated MTU; 23 while not connected."""
        return int(self._peer.gatt_client.mtu) if self._peer else 23

    @property
    def is_connected(self) -> bool:
        """Whether there is a link."""
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect and discover; TimeoutError if the device does not answer."""
        if self._connection:
            raise BleakError("already connected")
        connection = await self._make_connection(kwargs.get("timeout", self._timeout))
        self._connection = connection
        connection.on("disconnection", self._on_disconnection)
        try:
            await self._io(self._set_up(connection, pair=pair))
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """End the link, if there is one."""
        connection = self._connection
        if connection is None:
            return
        try:
            with suppress(core.BaseBumbleError):  # it went by itself meanwhile
                await _whole(connection.disconnect())
        finally:
            self._on_disconnection(0)

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:
        """Pair."""
        await self._io(self._required().connection.pair())

    async def unpair(self) -> None:
        """Forget the keys and disconnect."""
        if self.central.keystore:
            await self.central.keystore.delete(str(self._target))
        await self.disconnect()

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a characteristic; there is no cache."""
        del use_cached
        client = self._required().gatt_client
        return bytearray(await self._io(client.read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a descriptor; there is no cache."""
        del use_cached
        client = self._required().gatt_client
        return bytearray(await self._io(client.read_value(descriptor.handle)))

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,
    ) -> None:
        """Write a characteristic."""
        client = self._required().gatt_client
        await self._io(client.write_value(characteristic.handle, bytes(data), response))

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        """Write a descriptor."""
        client = self._required().gatt_client
        await self._io(client.write_value(descriptor.handle, bytes(data), with_response=True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any
    ) -> None:
        """Subscribe: notifications if the device has them, indications otherwise."""
        if characteristic.handle in self._subscribers:
            raise BleakError("Characteristic notifications already started")

        def subscriber(value: bytes) -> None:
            callback(bytearray(value))

        self._subscribers[characteristic.handle] = subscriber
        client = self._required().gatt_client
        await self._io(client.subscribe(characteristic.obj, subscriber))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        subscriber = self._subscribers.pop(characteristic.handle, None)
        client = self._required().gatt_client
        await self._io(client.unsubscribe(characteristic.obj, subscriber))

    async def _make_connection(self, timeout: float) -> Connection:  # noqa: ASYNC109 - passed on
        try:
            async with self.connecting:
                connection: Connection = await _whole(
                    self.central.connect(self._target, timeout=timeout)
                )
                return connection
        except core.TimeoutError as error:
            raise TimeoutError from error
        except core.BaseBumbleError as error:
            raise BleakError(f"connect failed: {error}") from error

    async def _set_up(self, connection: Connection, *, pair: bool) -> None:
        peer = Peer(connection)
        self._peer = peer
        await peer.request_mtu(MTU)
        if pair:
            await connection.pair()
        found = BleakGATTServiceCollection()
        for service in await peer.discover_services():
            uuid = uuid_text(service.uuid)
            if self._only and uuid not in self._only:
                continue
            known = BleakGATTService(service, service.handle, uuid)
            found.add_service(known)
            for characteristic in await service.discover_characteristics():
                await self._add(found, known, characteristic)
        self.services = found

    async def _add(
        self,
        found: BleakGATTServiceCollection,
        service: BleakGATTService,
        proxy: CharacteristicProxy[bytes],
    ) -> None:
        properties: list[Any] = [
            flag.name.replace("_", "-")
            for flag in GattCharacteristicsFlags
            if flag.value & int(proxy.properties)
        ]
        characteristic = BleakGATTCharacteristic(
            proxy,
            proxy.handle,
            uuid_text(proxy.uuid),
            properties,
            lambda: self.mtu_size - 3,
            service,
        )
        found.add_characteristic(characteristic)
        for descriptor in await proxy.discover_descriptors():
            uuid = uuid_text(descriptor.type)
            found.add_descriptor(
                BleakGATTDescriptor(descriptor, descriptor.handle, uuid, characteristic)
            )

    def _on_disconnection(self, _reason: int) -> None:
        if self._connection is None:
            return
        self._connection = self._peer = self.services = None
        self._subscribers.clear()
        if self._disconnected_callback:
            self._disconnected_callback()

    def _required(self) -> Peer:
        if self._peer is None:
            raise BleakError("Not connected")
        return self._peer

    async def _io(self, work: Awaitable[T]) -> T:
        """Await a GATT operation, with bleak's errors for Bumble's."""
        cancels = _cancels()
        try:
            return await _whole(work)
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except core.BaseBumbleError as error:
            raise BleakError(str(error)) from error
        except asyncio.CancelledError as error:
            if _cancels() > cancels:
                raise
            # Bumble cancels what waits for an answer when the link goes.
            raise BleakError("disconnected") from error


async def _whole(work: Awaitable[T]) -> T:
    """Await work of Bumble's, and be cancelled if that was asked for meanwhile.

    Bumble waits with asyncio.wait_for, which before Python 3.12 loses a cancellation that comes
    together with the answer.
    """
    cancels = _cancels()
    result = await work
    if _cancels() > cancels:
        raise asyncio.CancelledError
    return result


def _cancels() -> int:
    """How often the current task was asked to stop."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0
