"""Which driver runs which device, with which options: a configuration read to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.driver import Driver, load_driver
from gateway.errors import SettingsError, UnknownDriver
from gateway.settings import BusSettings, DeviceSettings, at, read_table

if TYPE_CHECKING:
    from gateway.settings import Settings


class Planned(msgspec.Struct, frozen=True):
    """One device, ready to be run."""

    driver: type[Driver]
    options: msgspec.Struct
    device: DeviceSettings
    bus: BusSettings | None


def plan(settings: Settings) -> list[Planned]:
    """Find every device's driver and read its options.

    Raises:
        SettingsError: all faults of all devices, each with its place.
    """
    faults: list[str] = []
    buses = {bus.id: bus for bus in settings.buses}
    planned = [_plan_one(settings, device, buses, faults) for device in settings.devices]
    faults += _second_ones(settings, [item for item in planned if item is not None])
    if faults:
        raise SettingsError(faults)
    return [item for item in planned if item is not None]


def _second_ones(settings: Settings, planned: list[Planned]) -> list[str]:
    """Devices of a kind of which a home has one, beside the first of them."""
    first: dict[type[Driver], str] = {}
    return [
        f"{at(item.device.place, 'driver', settings.source)}: {first[item.driver]!r} is one"
        f" already; a home has only one {item.device.driver}"
        for item in planned
        if item.driver.only_one and first.setdefault(item.driver, item.device.id) != item.device.id
    ]


def _plan_one(
    settings: Settings, device: DeviceSettings, buses: dict[str, BusSettings], faults: list[str]
) -> Planned | None:
    def fault(key: str, what: str) -> None:
        faults.append(f"{at(device.place, key, settings.source)}: {what}")

    try:
        driver = load_driver(device.driver)
    except UnknownDriver as error:
        fault("driver", f"{error}; {error.hint}" if error.hint else str(error))
        return None
    if driver.needs_bus and not device.bus:
        fault("bus", f"missing; {device.driver} devices hang on a [[bus]]")
    if device.bus and not driver.needs_bus:
        fault("bus", f"{device.driver} devices do not hang on a bus")
    options = read_table(
        device.options, driver.Settings, device.place, faults, source=settings.source
    )
    if options is None:
        return None
    try:
        driver.check(options)
    except SettingsError as error:
        for what in error.faults:
            fault("", what)
    return Planned(driver, options, device, buses.get(device.bus))
