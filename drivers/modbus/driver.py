"""Devices that speak Modbus, RTU or TCP, whatever their register map."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from drivers.bus.line import LineText  # noqa: TC001 - msgspec reads the annotations
from drivers.bus.meter import MeterDriver, Reading
from drivers.fault import Fault, Faults
from drivers.modbus.profile import load_profile
from drivers.modbus.reader import Reader
from drivers.modbus.register import SenmlName  # noqa: TC001 - msgspec reads the annotations
from drivers.modbus.unit import Unit
from drivers.modbus.writer import Writer
from gateway.errors import SettingsError
from gateway.model import Kind, Observation
from gateway.settings import Name, Seconds  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.bus.bus import Bus
    from gateway.driver import Context
    from gateway.model import Scalar


class ModbusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` with `driver = "modbus"`; times in s."""

    # To 247 by the specification; some makers go on to 255, which is also what a device that is
    # asked over TCP directly, and not through a gateway, should answer to.
    unit: Annotated[int, msgspec.Meta(ge=1, le=255)]
    profile: Name
    line: LineText = ""
    writable: tuple[SenmlName, ...] = ()  # what hearth may write, of what the profile lets it
    poll: Seconds = 60.0
    timeout: Seconds = 1.0  # what slow meters are given in the field; most answer within 0.2
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2


class ModbusDriver(MeterDriver):
    """A Modbus device; what its registers mean is in its profile."""

    summary = "a meter, detector or relay that speaks Modbus, by register map"
    Settings = ModbusSettings
    framings: ClassVar[frozenset[str]] = frozenset({"serial", "modbus-tcp"})

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        profile = load_profile(settings.profile)
        unit = Unit(settings.unit, settings.timeout, profile.head.line)
        self._reader = Reader(unit, profile)
        self._writer = Writer(unit, profile, settings.writable, 1 + settings.retries)
        self._alarms = frozenset(it.name for it in profile.registers if it.alarm)
        self._dangers = {it.name: (it.detects, Fault()) for it in profile.registers if it.detects}
        self._faults = Faults(context)
        self._latest: Reading | None = None

    @classmethod
    def check(cls, settings: ModbusSettings) -> None:
        """The profile must exist, be sound, and know what may be written; SettingsError if not."""
        known = load_profile(settings.profile).writable()
        unknown = sorted(set(settings.writable) - known.keys())
        if unknown:
            names = ", ".join(known) or "nothing"
            hint = f"profile {settings.profile} lets be written: {names}"
            faults = [f"writable: {name!r} cannot be written" for name in unknown]
            raise SettingsError(faults, hint=hint)

    @property
    def identity(self) -> dict[str, str | int]:
        """Unit and profile."""
        return {"unit": self.settings.unit, "profile": self.settings.profile}

    async def read(self, bus: Bus) -> Reading:
        """All values of the profile, in as few requests as it and the device allow."""
        self._latest = await self._reader.read(bus)
        return self._latest

    async def write(self, values: Mapping[str, Scalar]) -> None:
        """Give values by name, and return when the device shows that it has them.

        They are written in order of address, neighbours together. If one is refused, those before
        it are written and those after it are not.

        Args:
            values: as they are read: numbers after scaling, words of states, truth values.

        Raises:
            DriverError: the settings do not permit one of them, the profile does not know it, or
                the device has no such value. Nothing was sent.
            DeviceRefused: the device will not, or it does not show the value afterwards.
            DeviceSilent, DecodeError: it cannot be asked; whether it has the value is not known.
            LinkLost: the port is gone.
        """
        await self._writer.write(self.bus, values)

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """`write`: values by name, as `write`; `read`."""
        if name != "write":
            return await super().command(name, arguments)
        await self.write(arguments)
        return {}

    async def _poll(self, bus: Bus) -> float:
        """As every meter; then its alarms."""
        self._latest = None
        wait_s = await super()._poll(bus)
        if self._latest is not None:
            self._see(self._latest)
        return wait_s

    def _see(self, reading: Reading) -> None:
        """What is withheld is neither a sign that all is well nor that it is not."""
        for it in reading.measurements:
            if it.name in self._alarms:
                self._faults.see(it.name, it.value)
            if it.name in self._dangers:
                self._see_danger(it.name, active=bool(it.value))

    def _see_danger(self, name: str, *, active: bool) -> None:
        """A detector; told when it raises the alarm, and when it was quiet for a while."""
        danger, known = self._dangers[name]
        now_s = asyncio.get_running_loop().time()
        if known.bad(now_s) if active else known.good(now_s):
            detail: dict[str, Scalar] = {"alarm": danger, "active": active, "contact": name}
            if self.context.house.testing:
                detail["test"] = True
            self.context.emit(Observation(Kind.ALARM, detail=detail))
