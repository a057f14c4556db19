"""Meters that speak Modbus RTU, whatever their register map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from drivers.bus.meter import MeterDriver, Reading
from drivers.modbus.profile import load_profile, read_block
from drivers.modbus.wire import ReadAnswer, Refusal, Registers, encode_request
from gateway.errors import DeviceRefused, DeviceSilent
from gateway.settings import Name, Seconds  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from drivers.bus.bus import Bus
    from drivers.modbus.wire import ReadRequest
    from gateway.driver import Context
    from gateway.model import Measurement


class ModbusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` with `driver = "modbus"`; times in s."""

    unit: Annotated[int, msgspec.Meta(ge=1, le=247)]
    profile: Name
    poll: Seconds = 60.0
    timeout: Seconds = 1.0  # what slow meters are given in the field; most answer within 0.2
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2


class ModbusDriver(MeterDriver):
    """A Modbus RTU meter; what its registers mean is in its profile."""

    summary = "a meter that speaks Modbus RTU, by register map"
    Settings = ModbusSettings

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self._profile = load_profile(settings.profile)
        self._requests = self._profile.requests(settings.unit)

    @classmethod
    def check(cls, settings: ModbusSettings) -> None:
        """The profile must exist and be sound; SettingsError with its faults."""
        load_profile(settings.profile)

    @property
    def identity(self) -> dict[str, str | int]:
        """Unit and profile."""
        return {"unit": self.settings.unit, "profile": self.settings.profile}

    async def read(self, bus: Bus) -> Reading:
        """All registers of the profile, in as few requests as it allows."""
        measurements: list[Measurement] = []
        withheld: dict[str, str] = {}
        for request, block in self._requests:
            values, faults = read_block(block, await self._ask(bus, request))
            measurements += values
            withheld |= faults
        return Reading(tuple(measurements), withheld)

    async def _ask(self, bus: Bus, request: ReadRequest) -> bytes:
        where = f"unit {request.unit}"
        try:
            answer: Registers | Refusal = await bus.transact(
                encode_request(request), ReadAnswer(request), self.settings.timeout
            )
        except DeviceSilent as error:
            raise DeviceSilent(
                error.what, where=where, hint=error.hint or self._hint(bus)
            ) from error
        if isinstance(answer, Refusal):
            what = f"refuses registers {request.address}+{request.count}: {answer}"
            raise DeviceRefused(what, where=where, hint="is the profile that of this meter?")
        return answer.data

    def _hint(self, bus: Bus) -> str:
        line = bus.settings
        runs = f"{line.baudrate} 8{line.parity}{line.stopbits}"
        factory = self._profile.line.line
        if not factory or factory == runs:
            return ""
        return f"it leaves the factory with {factory}, this bus runs {runs}"
