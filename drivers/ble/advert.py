"""What a device says on the air without being connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData


class Advert(NamedTuple):
    """One advertisement. UUIDs are in full and in lower case.

    BlueZ keeps the parts of earlier advertisements of a device, for as long as it knows the device.
    """

    address: str  # in upper case
    name: str  # "" if the device does not say
    rssi: int  # dBm; -127 if BlueZ does not know
    service_data: Mapping[str, bytes]  # by UUID
    manufacturer_data: Mapping[int, bytes]  # by company identifier
    service_uuids: Sequence[str]


def read_advert(device: BLEDevice, data: AdvertisementData) -> Advert:
    """An advertisement as bleak tells of it."""
    return Advert(
        device.address.upper(),
        data.local_name or "",
        data.rssi,
        data.service_data,
        data.manufacturer_data,
        data.service_uuids,
    )
