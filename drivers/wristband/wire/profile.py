"""Which characteristics a device with standard services may have, and what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.wire.battery import decode_battery
from drivers.wristband.wire.fitness import decode_bike, decode_cross_trainer, decode_treadmill
from drivers.wristband.wire.heart_rate import decode_heart_rate
from drivers.wristband.wire.location import decode_location
from drivers.wristband.wire.oximeter import decode_oximeter_continuous, decode_oximeter_spot
from drivers.wristband.wire.running import decode_running
from drivers.wristband.wire.thermometer import decode_temperature
from drivers.wristband.wire.uuids import uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.wristband.wire.reading import Reading

BATTERY_LEVEL = uuid_of(0x2A19)
CURRENT_TIME = uuid_of(0x2A2B)
ALERT_LEVEL = uuid_of(0x2A06)

# Notified or indicated; every one of these a device has is subscribed.
READINGS: dict[str, Callable[[bytes], Reading]] = {
    uuid_of(0x2A37): decode_heart_rate,
    uuid_of(0x2A5F): decode_oximeter_continuous,
    uuid_of(0x2A5E): decode_oximeter_spot,
    uuid_of(0x2A1C): decode_temperature,
    uuid_of(0x2A67): decode_location,
    uuid_of(0x2A53): decode_running,
    uuid_of(0x2ACD): decode_treadmill,
    uuid_of(0x2AD2): decode_bike,
    uuid_of(0x2ACE): decode_cross_trainer,
    BATTERY_LEVEL: decode_battery,
}

# Told about once a second while they are told at all.
STEADY = frozenset({uuid_of(0x2A37), uuid_of(0x2A5F)})

# Read once a connection, to tell which device this is.
IDENTITY: dict[str, str] = {
    uuid_of(0x2A29): "manufacturer",
    uuid_of(0x2A24): "model",
    uuid_of(0x2A25): "serial",
    uuid_of(0x2A26): "firmware",
}
