"""Meters that speak M-Bus: asked for their data, and told nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from drivers.bus.line import LineText  # noqa: TC001 - msgspec reads the annotations
from drivers.bus.meter import MeterDriver, Reading
from drivers.bus.meter_clock import MeterClock
from drivers.fault import Faults
from drivers.mbus import wire
from drivers.mbus.caller import Caller
from drivers.mbus.selection import shared_selection
from drivers.mbus.told import clock_of, told
from gateway.errors import DeviceRefused, JournalWriteFailed, SettingsError
from gateway.settings import Seconds  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from drivers.bus.bus import Bus
    from gateway.driver import Context

Address = Annotated[int, msgspec.Meta(ge=0, le=wire.MOST_ADDRESS)]
# The number as printed on the meter; the more of maker, version and medium, the surer.
Secondary = Annotated[str, msgspec.Meta(pattern=rf"^(?:{wire.IDENTIFICATION})?\Z")]

METER = "meter"  # the note of who was read first


class MbusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` with `driver = "mbus"`; times in s."""

    address: Address | None = None  # this ...
    secondary: Secondary = ""  # ... or this
    line: LineText = ""
    clock_limit: Seconds = 600.0  # a clock crystal in a cold cellar drifts so far in a year
    max_telegrams: Annotated[int, msgspec.Meta(ge=1, le=16)] = 4
    poll: Seconds = 60.0
    # EN 13757-2: a slave begins to answer after 11 bit times at the earliest, 330 and 50 ms at the
    # latest: 0.19 s at 2400 baud. The rest is for the level converter, and for a line at 1200.
    # 300 baud needs 1.2.
    timeout: Seconds = 0.5
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2


class MbusDriver(MeterDriver):
    """One M-Bus meter, at a primary or a secondary address."""

    summary = "a meter that speaks M-Bus (EN 13757) over wires"
    Settings = MbusSettings

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self._meter = _configured(settings)
        self._caller = Caller(
            wire.SELECTED if self._meter else settings.address,
            self._meter,
            shared_selection(context),
            settings.timeout,
            settings.max_telegrams,
        )
        self._faults = Faults(context)
        self._clock = MeterClock(self._faults, settings.clock_limit)
        self._latest: list[wire.Telegram] = []
        self._who = ""  # who answered last

    @classmethod
    def check(cls, settings: MbusSettings) -> None:
        """One way to reach the meter, and not two; SettingsError otherwise."""
        if (settings.address is None) != bool(settings.secondary):
            raise SettingsError(["give either address (0 to 250) or secondary, and not both"])

    @property
    def identity(self) -> dict[str, str | int]:
        """Who answered, and at which address if that is how it is reached."""
        address = {} if self._meter else {"address": self.settings.address}
        return {**address, METER: self._who}

    async def read(self, bus: Bus) -> Reading:
        """Every value in every telegram of the meter."""
        telegrams = await self._caller.read(bus)
        await self._recognise(telegrams[0].header.meter)
        self._latest = telegrams
        return told(telegrams)

    async def _poll(self, bus: Bus) -> float:
        """As every meter; then its alarms."""
        self._latest = []
        wait_s = await super()._poll(bus)
        if self._latest:
            self._see(self._latest[0].header.status)
            self._clock.see(clock_of(self._latest))
        return wait_s

    async def _recognise(self, meter: wire.Identification) -> None:
        """Note who it is. Another one than before is told of, or not read, by how it is asked.

        Raises:
            DeviceRefused: a meter that is asked for by what it is answers as another than before.
        """
        is_now, was = str(meter), self.context.notes.get(METER)
        if isinstance(was, str) and was and was != is_now:
            if self._meter and not self._meter.is_whole:
                hint = "was the meter changed? its whole secondary address in the settings says so"
                what = f"meter {is_now} answers instead of {was}"
                raise DeviceRefused(what, where=self._caller.where, hint=hint)
            if not self._meter:
                self._faults.tell({"fault": "swapped", "active": True, "was": was, "is": is_now})
        if was != is_now:
            with suppress(JournalWriteFailed):  # then it is noted after the next restart
                await self.context.notes.put({METER: is_now})
        self._who = is_now

    def _see(self, status: wire.Status) -> None:
        """What the status byte says is wrong."""
        self._faults.see("battery_low", status.battery_low)
        self._faults.see("permanent_error", status.permanent_error)
        self._faults.see("temporary_error", status.temporary_error)
        self._faults.see("application_error", status.application_error)
        self._faults.see("alarm", status.alarm)


def _configured(settings: MbusSettings) -> wire.Identification | None:
    return wire.parse_identification(settings.secondary) if settings.secondary else None
