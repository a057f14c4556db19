"""Which characteristics a standard wristband may have, and what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.wire.battery import decode_battery
from drivers.wristband.wire.heart_rate import decode_heart_rate
from drivers.wristband.wire.oximeter import decode_oximeter_continuous, decode_oximeter_spot
from drivers.wristband.wire.thermometer import decode_temperature

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.wristband.wire.reading import Reading


def uuid_of(short: int) -> str:
    """The full UUID of a number assigned by the Bluetooth SIG, in lower case."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


BATTERY_LEVEL = uuid_of(0x2A19)

# Notified or indicated; every one of these a device has is subscribed.
READINGS: dict[str, Callable[[bytes], Reading]] = {
    uuid_of(0x2A37): decode_heart_rate,
    uuid_of(0x2A5F): decode_oximeter_continuous,
    uuid_of(0x2A5E): decode_oximeter_spot,
    uuid_of(0x2A1C): decode_temperature,
    BATTERY_LEVEL: decode_battery,
}

# Read once a connection, to tell which device this is.
IDENTITY: dict[str, str] = {
    uuid_of(0x2A29): "manufacturer",
    uuid_of(0x2A24): "model",
    uuid_of(0x2A25): "serial",
    uuid_of(0x2A26): "firmware",
}
