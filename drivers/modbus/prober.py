"""Which Modbus devices are on a bus, as `hearth probe` finds them.

A device answers any read, and be it by refusing it. What it is, Modbus does not tell: every known
register map is read, and those of which no value is missing or absurd are named.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.bus.prober import Found, Prober
from drivers.modbus import wire
from drivers.modbus.profile import load_profile
from drivers.modbus.reader import Reader
from drivers.modbus.unit import Unit
from gateway import resources
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from drivers.bus.bus import Bus
    from drivers.bus.line import Line
    from drivers.modbus.profile import Profile

_USUAL = range(1, 17)  # where fitters number the devices of a home
_OTHERS = range(17, 248)
_ANSWER_S = 0.2
_DIRECT = 255  # what a device that is asked over TCP and not through a gateway may want


class ModbusProber(Prober):
    """Some addresses, each asked by itself: Modbus has no question to all."""

    driver = "modbus"
    lines = ("9600 8N1", "2400 8E1", "9600 8E1", "19200 8E1", "4800 8N1", "2400 8N1", "19200 8N1")

    def __init__(self, framing: str, units: Sequence[int]) -> None:
        self.framing = framing
        self.questions = len(units)
        self._units = units

    def wait_s(self, line: Line) -> float:
        """Devices answer within this time, at any rate; slower ones are found by hand."""
        del line
        return _ANSWER_S

    async def search(self, bus: Bus) -> AsyncGenerator[Found, None]:
        """Ask each address, and find the register map of who answers."""
        profiles = _profiles()
        for number in self._units:
            unit = Unit(number, self.wait_s(bus.line))
            try:
                if await _is_there(bus, unit):
                    yield _found(number, await _fitting(bus, unit, profiles))
            except DecodeError:
                note = f"unit {number}: bytes and no answer; two devices with one address?"
                yield Found(self.driver, {}, note)


def probers() -> list[Prober]:
    """For the entry point; the usual addresses first."""
    return [
        ModbusProber("serial", _USUAL),
        ModbusProber("serial", _OTHERS),
        ModbusProber("modbus-tcp", [_DIRECT, *_USUAL, *_OTHERS]),
    ]


async def _is_there(bus: Bus, unit: Unit) -> bool:
    """Whether a device answers; DecodeError if what comes is no answer, and not the second time."""
    request = wire.ReadRequest(unit.number, wire.READ_HOLDING, 0, 1)
    with suppress(DecodeError):  # noise is not a device
        return await _answers(bus, unit, request)
    return await _answers(bus, unit, request)


async def _answers(bus: Bus, unit: Unit, request: wire.ReadRequest) -> bool:
    try:
        await unit.ask(bus, request)
    except DeviceSilent:
        return False
    except DeviceRefused:  # it is busy
        return True
    return True


async def _fitting(bus: Bus, unit: Unit, profiles: list[Profile]) -> list[str]:
    """The register maps of which everything is there and nothing absurd.

    Those of devices that leave the factory with this line come first, then the fullest. DecodeError
    if the device does not answer clearly.
    """
    fitting: list[tuple[bool, int, str]] = []
    for profile in profiles:
        with suppress(DeviceRefused, DeviceSilent):
            reading = await Reader(unit, profile).read(bus)
            if not reading.withheld:
                at_home = profile.head.line == str(bus.line)
                fitting.append((at_home, len(reading.measurements), profile.name))
    return [name for *_, name in sorted(fitting, reverse=True)]


def _profiles() -> list[Profile]:
    """All that can be loaded; a faulty one of the fitter's own is `hearth check`'s to tell."""
    found = []
    for name in resources.names("profiles/modbus", ".toml"):
        with suppress(SettingsError):
            found.append(load_profile(name))
    return found


def _found(number: int, fitting: list[str]) -> Found:
    if not fitting:
        note = "no known register map fits; docs/modbus.md tells how to write one"
        return Found("modbus", {"unit": number}, note)
    first, *others = fitting
    note = f"fits as well: {', '.join(others)}" if others else ""
    return Found("modbus", {"unit": number, "profile": first}, note)
