"""A virtual wristband: a real GATT server on a virtual radio, and a person who wears it.

band = VirtualBand(air, "C0:FF:EE:00:00:01")
await band.power_on()
await band.beat(72)                # one notification of each kind, to whoever subscribed
band.walk_away(); band.come_back(); await band.drop()
await band.live(resting_heart)     # a beat a second for ever
"""

from __future__ import annotations

import asyncio
import math
import struct
from typing import TYPE_CHECKING

from bumble import gatt
from bumble.core import UUID, AdvertisingData
from bumble.gatt import Characteristic, CharacteristicValue, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bumble.device import Connection

    from drivers.sim.air import Air

ADVERTISING_INTERVAL_MS = 20  # the shortest allowed: tests and demonstrations do not wait
BEAT_INTERVAL_S = 1.0  # what bands do

_READ = Characteristic.Properties.READ
_NOTIFY = Characteristic.Properties.NOTIFY
_INDICATE = Characteristic.Properties.INDICATE
_WRITE = Characteristic.Properties.WRITE_WITHOUT_RESPONSE

HEART_RATE, BATTERY, ALERT_LEVEL = 0x2A37, 0x2A19, 0x2A06
OXIMETER, OXIMETER_SPOT, OXIMETER_FEATURES, TEMPERATURE = 0x2A5F, 0x2A5E, 0x2A60, 0x2A1C


def resting_heart(elapsed_s: float) -> int:
    """A heart rate curve: 66 beats a minute at rest, 5 up and down with every quarter minute."""
    return round(66 + 5 * math.sin(2 * math.pi * elapsed_s / 15))


class VirtualBand:
    """A wristband with heart rate, oximeter, thermometer, battery and a motor that vibrates."""

    def __init__(
        self, air: Air, address: str, *, name: str = "Hearth Band", battery: int = 87
    ) -> None:
        self.address = address
        self.name = name
        self.battery = battery
        self.worn = True
        self.alerts: list[int] = []  # every alert level written: 0 none, 1 mild, 2 high
        self.connections = 0  # how often a central connected
        self._air = air
        self._connection: Connection | None = None
        self._subscribed: set[int] = set()
        self._changed = asyncio.Event()
        self._device = air.device(
            name,
            address,
            advertising_interval_min=ADVERTISING_INTERVAL_MS,
            advertising_interval_max=ADVERTISING_INTERVAL_MS,
        )
        self._characteristics = {
            HEART_RATE: _told(HEART_RATE, _NOTIFY),
            OXIMETER: _told(OXIMETER, _NOTIFY),
            OXIMETER_SPOT: _told(OXIMETER_SPOT, _INDICATE),
            TEMPERATURE: _told(TEMPERATURE, _INDICATE),
            BATTERY: _computed(BATTERY, _READ | _NOTIFY, lambda: bytes([self.battery])),
        }
        self._device.add_services(self._services())
        self._device.on("connection", self._on_connection)
        for short, characteristic in self._characteristics.items():
            characteristic.on(
                characteristic.EVENT_SUBSCRIPTION,
                lambda _connection, notify, indicate, short=short: self._on_subscription(
                    short, on=notify or indicate
                ),
            )

    @property
    def connected(self) -> bool:
        """Whether a central is connected."""
        return self._connection is not None

    async def power_on(self) -> None:
        """Start, and advertise whenever nobody is connected."""
        await self._device.power_on()
        # Bumble's virtual controller never delivers scan responses: the name is in the
        # advertisement itself.
        advertisement = AdvertisingData(
            [
                (AdvertisingData.FLAGS, bytes([0x06])),
                (
                    AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
                    struct.pack("<HHH", 0x180D, 0x180F, 0x1822),
                ),
                (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()[:16]),
            ]
        )
        await self._device.start_advertising(
            auto_restart=True, advertising_data=bytes(advertisement)
        )

    async def power_off(self) -> None:
        """The battery is flat: no word, no advertisement."""
        await self._device.stop_advertising()
        self._air.cut(self.address)
        await self._device.power_off()

    # --- what it measures

    async def beat(self, rate: int, *, rr: Sequence[float] = ()) -> None:
        """One heart rate notification: beats a minute and RR intervals (s)."""
        flags = 0x04 | (0x02 if self.worn else 0) | (0x10 if rr else 0)
        intervals = b"".join(struct.pack("<H", round(second * 1024)) for second in rr)
        await self.send(HEART_RATE, bytes([flags, rate]) + intervals)

    async def oxygen(self, spo2: float, pulse: float) -> None:
        """One continuous oximeter notification: %, beats a minute."""
        device_status = 0 if self.worn else 1 << 11
        body = b"\x08" + _sfloat(spo2) + _sfloat(pulse) + device_status.to_bytes(3, "little")
        await self.send(OXIMETER, body)

    async def temperature(self, celsius: float) -> None:
        """One temperature indication."""
        mantissa = round(celsius * 100) & 0xFFFFFF
        await self.send(TEMPERATURE, b"\x00" + struct.pack("<I", 0xFE << 24 | mantissa))

    async def set_battery(self, percent: int) -> None:
        """The battery changes, and says so."""
        self.battery = percent
        await self.send(BATTERY, bytes([percent]))

    async def send(self, short: int, value: bytes) -> None:
        """Any bytes on a characteristic, to whoever subscribed."""
        characteristic = self._characteristics[short]
        if characteristic.properties & _INDICATE:
            await self._device.indicate_subscribers(characteristic, value)
        else:
            await self._device.notify_subscribers(characteristic, value)

    async def live(
        self, rate: Callable[[float], int] = resting_heart, interval: float = BEAT_INTERVAL_S
    ) -> None:
        """Beat for ever by a curve of seconds to beats a minute."""
        started = asyncio.get_running_loop().time()
        while True:
            await self.beat(rate(asyncio.get_running_loop().time() - started))
            await asyncio.sleep(interval)

    # --- what happens to it

    def take_off(self) -> None:
        """Off the wrist: the sensors say so."""
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

    async def wait_subscribed(self, short: int = HEART_RATE) -> None:
        """Until a central subscribed to a characteristic."""
        await self._wait(lambda: short in self._subscribed)

    async def wait_connected(self, *, on: bool = True) -> None:
        """Until a central is connected, or none is."""
        await self._wait(lambda: self.connected is on)

    async def wait_alert(self) -> int:
        """Until an alert was written; the last one."""
        await self._wait(lambda: bool(self.alerts))
        return self.alerts[-1]

    async def _wait(self, predicate: Callable[[], bool]) -> None:
        while not predicate():
            self._changed.clear()
            await self._changed.wait()

    def _services(self) -> list[Service]:
        told = self._characteristics
        alert: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(ALERT_LEVEL),
            _WRITE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=self._on_alert),
        )
        features = _computed(OXIMETER_FEATURES, _READ, lambda: bytes(2))
        identity = {0x2A29: "Hearth", 0x2A24: "Virtual Band", 0x2A26: "1.0"}
        strings = [
            _computed(short, _READ, lambda text=text: text.encode())  # type: ignore[misc]
            for short, text in identity.items()
        ]
        return [
            Service(gatt.GATT_HEART_RATE_SERVICE, [told[HEART_RATE]]),
            Service(gatt.GATT_BATTERY_SERVICE, [told[BATTERY]]),
            Service(
                gatt.GATT_PULSE_OXIMETER_SERVICE, [features, told[OXIMETER], told[OXIMETER_SPOT]]
            ),
            Service(gatt.GATT_HEALTH_THERMOMETER_SERVICE, [told[TEMPERATURE]]),
            Service(gatt.GATT_IMMEDIATE_ALERT_SERVICE, [alert]),
            Service(gatt.GATT_DEVICE_INFORMATION_SERVICE, strings),
        ]

    def _on_connection(self, connection: Connection) -> None:
        self._connection = connection
        self.connections += 1
        connection.on("disconnection", self._on_disconnection)
        self._changed.set()

    def _on_disconnection(self, _reason: int) -> None:
        self._connection = None
        self._subscribed.clear()
        self._changed.set()

    def _on_subscription(self, short: int, *, on: bool) -> None:
        (self._subscribed.add if on else self._subscribed.discard)(short)
        self._changed.set()

    def _on_alert(self, _connection: Connection, value: bytes) -> None:
        self.alerts += value[:1]
        self._changed.set()


def _told(short: int, properties: Characteristic.Properties) -> Characteristic[bytes]:
    """A characteristic that is only notified or indicated."""
    return Characteristic(UUID.from_16_bits(short), properties, Characteristic.Permissions(0), b"")


def _computed(
    short: int, properties: Characteristic.Properties, read: Callable[[], bytes]
) -> Characteristic[bytes]:
    """A characteristic whose value is asked for at every read."""
    return Characteristic(
        UUID.from_16_bits(short),
        properties,
        Characteristic.READABLE,
        CharacteristicValue(read=lambda _connection: read()),
    )


def _sfloat(value: float) -> bytes:
    """IEEE 11073 SFLOAT with one decimal."""
    return struct.pack("<H", 0xF << 12 | round(value * 10) & 0xFFF)
