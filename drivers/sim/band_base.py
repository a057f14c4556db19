"""What every virtual band has: a GATT server on a virtual radio, and a life with a wearer.

A characteristic is named by the number the Bluetooth SIG gave it or by its full UUID.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from bumble import att
from bumble.core import UUID, AdvertisingData
from bumble.gatt import Characteristic, CharacteristicValue, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bumble.device import Connection

    from drivers.sim.air import Air

Key = int | str  # of a service or characteristic

ADVERTISING_INTERVAL_MS = 20  # the shortest allowed: tests and demonstrations do not wait

READ = Characteristic.Properties.READ
NOTIFY = Characteristic.Properties.NOTIFY
INDICATE = Characteristic.Properties.INDICATE
WRITE = Characteristic.Properties.WRITE
WRITE_WITHOUT_RESPONSE = Characteristic.Properties.WRITE_WITHOUT_RESPONSE


class BandBase:
    """A band that advertises, connects, tells who subscribed, and takes what is written.

    Subclasses make their characteristics with `told`, `computed` and `taken`, and `serve` them.
    """

    advertised: Sequence[int] = ()  # services in the advertisement

    def __init__(self, air: Air, address: str, *, name: str, battery: int = 87) -> None:
        self.address = address
        self.name = name
        self.battery = battery
        self.worn = True
        self.connections = 0  # how often a central connected
        self.written: list[tuple[Key, bytes]] = []  # everything that was, refused or not
        self.refuses: set[Key] = set()  # characteristics that cannot be written for now
        self._air = air
        self._connection: Connection | None = None
        self._subscribed: set[Key] = set()
        self._subscriptions: list[Key] = []
        self._changed = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()
        self._characteristics: dict[Key, Characteristic[bytes]] = {}
        self._device = air.device(
            name,
            address,
            advertising_interval_min=ADVERTISING_INTERVAL_MS,
            advertising_interval_max=ADVERTISING_INTERVAL_MS,
        )
        self._device.on("connection", self._on_connection)

    @property
    def connected(self) -> bool:
        """Whether a central is connected."""
        return self._connection is not None

    def is_subscribed(self, key: Key) -> bool:
        """Whether a central would hear what is told on a characteristic."""
        return key in self._subscribed

    async def power_on(self) -> None:
        """Start, and advertise whenever nobody is connected."""
        await self._device.power_on()
        # Bumble's virtual controller never delivers scan responses: the name is in the
        # advertisement itself.
        numbers = struct.pack(f"<{len(self.advertised)}H", *self.advertised)
        fields = [
            (AdvertisingData.FLAGS, bytes([0x06])),
            (AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, numbers),
            (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()[:16]),
        ]
        advertisement = AdvertisingData([(kind, value) for kind, value in fields if value])
        await self._device.start_advertising(
            auto_restart=True, advertising_data=bytes(advertisement)
        )

    async def power_off(self) -> None:
        """The battery is flat: no word, no advertisement."""
        await self._device.stop_advertising()
        self._air.cut(self.address)
        await self._device.power_off()

    async def send(self, key: Key, value: bytes) -> None:
        """Any bytes on a characteristic, to whoever subscribed."""
        characteristic = self._characteristics[key]
        if characteristic.properties & INDICATE:
            await self._device.indicate_subscribers(characteristic, value)
        else:
            await self._device.notify_subscribers(characteristic, value)

    # --- what happens to it

    def take_off(self) -> None:
        """Off the wrist: the sensors notice."""
        self.worn = False

    def put_on(self) -> None:
        """On the wrist again."""
        self.worn = True

    def walk_away(self) -> None:
        """Out of range: silence, and the link times out."""
        self._air.move_away(self.address)

    def come_back(self) -> None:
        """In range again."""
        self._air.come_back(self.address)

    async def drop(self) -> None:
        """The band ends the connection, as bands do when they feel like it."""
        if self._connection is not None:
            await self._connection.disconnect()

    async def wait_connected(self, *, on: bool = True) -> None:
        """Until a central is connected, or none is."""
        await self.wait(lambda: self.connected is on)

    async def wait_subscribed(self, key: Key, times: int = 1) -> None:
        """Until a central subscribed to a characteristic, for the n-th time in all."""
        await self.wait(lambda: key in self._subscribed and self._subscriptions.count(key) >= times)

    async def wait_written(self, key: Key, start: bytes) -> bytes:
        """Until something that begins with these bytes was written; the last of it."""
        await self.wait(lambda: bool(self._of(key, start)))
        return self._of(key, start)[-1]

    async def wait(self, predicate: Callable[[], bool]) -> None:
        """Until something holds; it is asked again whenever anything happens to the band."""
        while not predicate():
            self._changed.clear()
            await self._changed.wait()

    # --- for subclasses

    def told(
        self, key: Key, properties: Characteristic.Properties = NOTIFY
    ) -> Characteristic[bytes]:
        """A characteristic that is only notified or indicated."""
        it: Characteristic[bytes] = Characteristic(
            _uuid(key), properties, Characteristic.Permissions(0), b""
        )
        return self._known(key, it)

    def computed(
        self, key: Key, properties: Characteristic.Properties, read: Callable[[], bytes]
    ) -> Characteristic[bytes]:
        """A characteristic whose value is asked for at every read."""
        it: Characteristic[bytes] = Characteristic(
            _uuid(key),
            properties,
            Characteristic.READABLE,
            CharacteristicValue(read=lambda _connection: read()),
        )
        return self._known(key, it)

    def taken(
        self, key: Key, properties: Characteristic.Properties, take: Callable[[bytes], None]
    ) -> Characteristic[bytes]:
        """A characteristic that is written."""

        def write(_connection: Connection, value: bytes) -> None:
            self.written.append((key, bytes(value)))
            self._changed.set()
            if key in self.refuses:
                raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)
            take(bytes(value))

        it: Characteristic[bytes] = Characteristic(
            _uuid(key), properties, Characteristic.WRITEABLE, CharacteristicValue(write=write)
        )
        return self._known(key, it)

    def serve(self, services: Sequence[tuple[Key, Sequence[Characteristic[bytes]]]]) -> None:
        """Offer these services."""
        self._device.add_services([Service(_uuid(key), list(own)) for key, own in services])

    def tell(self, key: Key, *values: bytes) -> None:
        """Send soon, from where nothing can be waited for: in answer to a write."""

        async def send() -> None:
            for value in values:
                await self.send(key, value)

        task = asyncio.get_running_loop().create_task(send())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _known(self, key: Key, characteristic: Characteristic[bytes]) -> Characteristic[bytes]:
        self._characteristics[key] = characteristic
        characteristic.on(
            characteristic.EVENT_SUBSCRIPTION,
            lambda _connection, notify, indicate: self._on_subscription(key, on=notify or indicate),
        )
        return characteristic

    def _of(self, key: Key, start: bytes) -> list[bytes]:
        return [value for known, value in self.written if known == key and value.startswith(start)]

    def _on_connection(self, connection: Connection) -> None:
        self._connection = connection
        self.connections += 1
        connection.on("disconnection", self._on_disconnection)
        self._changed.set()

    def _on_disconnection(self, _reason: int) -> None:
        self._connection = None
        self._subscribed.clear()
        self._changed.set()

    def _on_subscription(self, key: Key, *, on: bool) -> None:
        if on:
            self._subscribed.add(key)
            self._subscriptions.append(key)
        else:
            self._subscribed.discard(key)
        self._changed.set()


def _uuid(key: Key) -> UUID:
    return UUID(key) if isinstance(key, str) else UUID.from_16_bits(key)
