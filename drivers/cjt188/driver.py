"""Water meters that speak CJ/T 188. Read only: no valve is turned from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from drivers.bus.meter import MeterDriver, Reading
from drivers.cjt188 import wire
from gateway.errors import DeviceRefused, DeviceSilent
from gateway.model import Measurement
from gateway.settings import Seconds  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from drivers.bus.bus import Bus
    from gateway.driver import Context

# 14 digits as printed; not AA, which every meter on the line would answer to at once.
Address = Annotated[str, msgspec.Meta(pattern=r"^(?:(?![Aa]{2})[0-9A-Fa-f]{2}){7}\Z")]


class Cjt188Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` with `driver = "cjt188"`; times in s."""

    address: Address
    meter_type: Annotated[int, msgspec.Meta(ge=0x10, le=0x19)] = wire.COLD_WATER
    di_order: wire.DiOrder = "low-first"
    poll: Seconds = 60.0
    timeout: Seconds = 1.0  # meters wake up within 0.5; the answer itself is timed by baud rate
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2


class Cjt188Driver(MeterDriver):
    """One CJ/T 188 water meter."""

    summary = "a water meter that speaks CJ/T 188"
    Settings = Cjt188Settings

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        address = wire.wire_address(settings.address)
        self._request = wire.read_request(address, settings.meter_type, settings.di_order)

    @property
    def identity(self) -> dict[str, str | int]:
        """The address as it is printed on the meter."""
        return {"address": self.settings.address.upper()}

    async def read(self, bus: Bus) -> Reading:
        """Total, settled total, the meter's clock, valve and battery."""
        where = f"meter {self.settings.address}"
        try:
            answer: wire.Frame | wire.Refusal = await bus.transact(
                wire.encode(self._request), wire.FrameAnswer(self._request), self.settings.timeout
            )
        except DeviceSilent as error:
            hint = error.hint or f"some meters want the other di_order than {self._di_order}"
            raise DeviceSilent(error.what, where=where, hint=hint) from error
        if isinstance(answer, wire.Refusal):
            raise DeviceRefused(f"refuses with status {answer.status.hex(' ')}", where=where)
        return _told(wire.decode_reading(answer))

    @property
    def _di_order(self) -> str:
        return str(self.settings.di_order)


def _told(reading: wire.Reading) -> Reading:
    """A reading as SenML."""
    measurements = [
        Measurement("valve", "closed" if reading.valve_closed else "open"),
        Measurement("valve_fault", reading.valve_fault),
        Measurement("battery_low", reading.battery_low),
    ]
    if reading.volume_m3 is not None:
        measurements.insert(0, Measurement("volume", reading.volume_m3, "m3"))
    if reading.settled_m3 is not None:
        measurements.append(Measurement("volume_settled", reading.settled_m3, "m3"))
    if reading.clock is not None:
        measurements.append(Measurement("clock", reading.clock))
    return Reading(tuple(measurements), reading.absurd)
