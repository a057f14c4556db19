"""Water meters that speak CJ/T 188. Read, unless the settings permit that the valve is turned."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from drivers.bus.line import LineText  # noqa: TC001 - msgspec reads the annotations
from drivers.bus.meter import MeterDriver, Reading
from drivers.bus.meter_clock import MeterClock
from drivers.cjt188 import wire
from drivers.cjt188.months import Months
from drivers.cjt188.profile import load_profile
from drivers.fault import Faults
from gateway.errors import (
    DecodeError,
    DeviceRefused,
    DeviceSilent,
    DriverError,
    JournalWriteFailed,
    LinkLost,
)
from gateway.model import Measurement
from gateway.settings import Seconds  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.bus.bus import Bus
    from drivers.cjt188.profile import Profile
    from gateway.driver import Context
    from gateway.model import Scalar

# 14 digits as printed; not AA, which every meter on the line would answer to at once.
Address = Annotated[str, msgspec.Meta(pattern=r"^(?:(?![Aa]{2})[0-9A-Fa-f]{2}){7}\Z")]
ProfileName = Annotated[str, msgspec.Meta(pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z")]

ORDER = "di_order"  # the note of the order that a meter was found to want

# A motor valve of a household meter takes 5 to 15 s for its quarter turn; one that is stiff, more.
VALVE_TURN_S = 30.0
VALVE_LOOK_S = 1.0  # between two looks at the status while it turns


class Cjt188Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` with `driver = "cjt188"`; times in s."""

    address: Address
    meter_type: Annotated[int, msgspec.Meta(ge=0x10, le=0x19)] = wire.COLD_WATER
    di_order: wire.DiOrder = "low-first"  # tried first; the other one if it is not answered
    profile: ProfileName = ""
    line: LineText = ""
    valve: bool = False
    clock_limit: Seconds = 600.0  # a clock crystal in a cold cellar drifts so far in a year
    poll: Seconds = 60.0
    timeout: Seconds = 1.0  # meters wake up within 0.5; the answer itself is timed by baud rate
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2


class Cjt188Driver(MeterDriver):
    """One CJ/T 188 water meter."""

    summary = "a water meter that speaks CJ/T 188"
    Settings = Cjt188Settings

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self._address = wire.wire_address(settings.address)
        self._profile = load_profile(settings.profile)
        self._order = _first_order(context.notes.get(ORDER), settings.di_order)
        self._order_is_known = False
        self._faults = Faults(context)
        self._months = Months(context, self._read_month)
        self._clock = MeterClock(self._faults, settings.clock_limit)
        self._latest: wire.Reading | None = None

    @classmethod
    def check(cls, settings: Cjt188Settings) -> None:
        """The profile must exist and be sound; SettingsError with its faults."""
        load_profile(settings.profile)

    @property
    def identity(self) -> dict[str, str | int]:
        """The address as it is printed on the meter."""
        return {"address": self.settings.address.upper()}

    async def read(self, bus: Bus) -> Reading:
        """Total, settled total, the meter's clock, valve, battery, and the maker's bits."""
        self._latest = await self._read_in_its_order(bus)
        return _told(self._latest, self._profile)

    async def set_valve(self, *, opened: bool) -> None:
        """Open or close the valve, and return when the meter says that it is so.

        Raises:
            DriverError: the settings do not permit it.
            DeviceSilent, DecodeError: the meter cannot be read; the valve was not touched.
            DeviceRefused: the meter will not, or its valve does not get there.
            LinkLost: the port is gone.
        """
        if not self.settings.valve:
            hint = "valve = true in this [[device]] permits it"
            raise DriverError("its valve is not to be turned", where=self._where, hint=hint)
        bus = self.bus
        await self._read_in_its_order(bus)  # it is there, and it is the right one
        await self._command_valve(bus, opened=opened)
        try:
            async with asyncio.timeout(VALVE_TURN_S):
                await self._await_valve(bus, opened=opened)
        except TimeoutError as error:
            what = f"the valve is not {_valve(closed=not opened)} after {VALVE_TURN_S:g} s"
            raise DeviceRefused(what, where=self._where) from error

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """`valve`: `open` true or false, as `set_valve`; `read`."""
        if name != "valve":
            return await super().command(name, arguments)
        opened = arguments.get("open")
        if not isinstance(opened, bool):
            raise DriverError("open: true or false", where=self._where)
        await self.set_valve(opened=opened)
        return {}

    async def _poll(self, bus: Bus) -> float:
        """As every meter; then its alarms and, once a month, its months."""
        self._latest = None
        wait_s = await super()._poll(bus)
        if self._latest is not None:
            self._see(self._latest)
            with suppress(LinkLost):  # the next poll finds that out
                await self._months.run(self._clock.now(), self._latest.clock)
        return wait_s

    def _see(self, reading: wire.Reading) -> None:
        """What is wrong with the meter, by its status and its clock."""
        self._faults.see("valve_fault", reading.status.valve_fault)
        self._faults.see("battery_low", reading.status.battery_low)
        for bit in self._profile.bits:
            if bit.alarm:
                self._faults.see(bit.name, bit.read(reading.status))
        self._clock.see(reading.clock)

    async def _read_in_its_order(self, bus: Bus) -> wire.Reading:
        """One reading. Until the first one, a failure makes the other order the next one tried."""
        try:
            reading = await self._reading(bus)
        except (DeviceSilent, DeviceRefused, DecodeError):
            if not self._order_is_known:
                self._order = wire.other_order(self._order)
            raise
        if not self._order_is_known:
            self._order_is_known = True
            await self._note_order()
        return reading

    async def _note_order(self) -> None:
        noted = _first_order(self.context.notes.get(ORDER), self.settings.di_order)
        if noted != self._order:
            with suppress(JournalWriteFailed):  # then it is found again after the next restart
                await self.context.notes.put({ORDER: self._order})

    async def _reading(self, bus: Bus) -> wire.Reading:
        request = wire.read_request(self._address, self.settings.meter_type, self._order)
        return wire.decode_reading(await self._ask(bus, request))

    async def _read_month(self, back: int) -> float | None:
        """The total of a month, in m3; None if it is absurd."""
        kind = self.settings.meter_type
        request = wire.month_request(self._address, kind, self._order, back)
        return wire.decode_month(await self._ask(self.bus, request)).volume_m3

    async def _command_valve(self, bus: Bus, *, opened: bool) -> None:
        """Send the command, in the other order too if the first is not answered with a yes.

        There are meters that want the reading low first and the valve high first. To say the same
        twice does no harm. A lost answer says nothing about the valve; the status does.
        """
        kind, refusals = self.settings.meter_type, []
        orders = (self._order, wire.other_order(self._order))
        for order in orders:
            request = wire.valve_request(self._address, kind, order, opened=opened)
            try:
                wire.decode_valve(await self._ask(bus, request))
            except DeviceRefused as error:
                refusals.append(error)
            except (DeviceSilent, DecodeError):
                continue
            else:
                return
        if len(refusals) == len(orders):
            raise refusals[0]

    async def _await_valve(self, bus: Bus, *, opened: bool) -> None:
        while True:
            with suppress(DeviceSilent, DecodeError):  # some meters are deaf while they turn
                status = (await self._reading(bus)).status
                if status.valve_fault:
                    raise DeviceRefused("the valve reports a fault", where=self._where)
                if status.valve_closed != opened:
                    return
            await asyncio.sleep(VALVE_LOOK_S)

    async def _ask(self, bus: Bus, request: wire.Frame) -> wire.Frame:
        answer = wire.FrameAnswer(request)
        try:
            found: wire.Frame | wire.Refusal = await bus.transact(
                wire.encode(request), answer, self.settings.timeout
            )
        except DeviceSilent as error:
            hint = error.hint or self._order_hint()
            raise DeviceSilent(error.what, where=self._where, hint=hint) from error
        except DecodeError as error:
            if answer.stranger is not None:
                raise self._swapped(answer.stranger) from error
            raise
        if isinstance(found, wire.Refusal):
            raise DeviceRefused(f"refuses with status {found.status.hex(' ')}", where=self._where)
        return found

    def _swapped(self, stranger: wire.Frame) -> DeviceRefused:
        who = f"{wire.printed_address(stranger.address)} of type {stranger.meter_type:#04x}"
        hint = "was the meter changed? hearth reads none but the one it was told of"
        return DeviceRefused(f"meter {who} answers instead", where=self._where, hint=hint)

    def _order_hint(self) -> str:
        if self._order_is_known:
            return ""
        return f"some meters want the other di_order than {self._order}; it is tried next"

    @property
    def _where(self) -> str:
        return f"meter {self.settings.address}"


def _first_order(noted: Any, configured: wire.DiOrder) -> wire.DiOrder:
    """The order to try first: the one the meter was found to want, else the configured one."""
    return next((order for order in wire.DI_ORDERS if order == noted), configured)


def _told(reading: wire.Reading, profile: Profile) -> Reading:
    """A reading as SenML."""
    status = reading.status
    measurements = [
        Measurement("valve", _valve(closed=status.valve_closed)),
        Measurement("valve_fault", status.valve_fault),
        Measurement("battery_low", status.battery_low),
        *(Measurement(bit.name, bit.read(status)) for bit in profile.bits),
    ]
    if reading.volume_m3 is not None:
        measurements.insert(0, Measurement("volume", reading.volume_m3, "m3"))
    if reading.settled_m3 is not None:
        measurements.append(Measurement("volume_settled", reading.settled_m3, "m3"))
    if reading.clock is not None:
        measurements.append(Measurement("clock", reading.clock.isoformat()))
    return Reading(tuple(measurements), reading.absurd)


def _valve(*, closed: bool) -> str:
    return "closed" if closed else "open"
