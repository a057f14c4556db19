"""The schedule all meters on a bus share: poll, try again, say so when it is gone, ask less often.

A protocol's driver says how one reading is made (`read`); when, and what becomes of it, is here.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from drivers.bus.bus import shared_bus
from drivers.bus.line import parse_line
from drivers.bus.look import look_at_bus
from drivers.fault import Fault
from drivers.water.teller import shared_teller
from gateway.backoff import Backoff
from gateway.driver import Driver
from gateway.errors import (
    DecodeError,
    DeviceRefused,
    DeviceSilent,
    DriverError,
    HearthError,
    LinkLost,
)
from gateway.model import Kind, Measurement, Observation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.bus.bus import Bus
    from gateway.driver import Context
    from gateway.finding import Finding
    from gateway.model import Scalar
    from gateway.settings import BusSettings

# A dead meter is asked ever less often, but at least this often: a household whose meter came back
# after a power cut should be seen again within minutes.
DEAD_POLL_S = 300.0

# Of the time on the wires, so much may go to a meter that does not answer, from its second missed
# poll on. A meter that is asked every second would otherwise keep its neighbours waiting for most
# of the first minute after it died.
DEAD_SHARE = 0.03

# Fits an event's detail (32 entries) with room for "state".
_MOST_NAMES = 24
_MOST_TEXT = 200


class Reading(msgspec.Struct, frozen=True):
    """What one poll brought: values, and those that were too absurd to pass on."""

    measurements: tuple[Measurement, ...]
    withheld: dict[str, str] = {}  # name of a value, and what is wrong with it

    @property
    def volume_m3(self) -> float | None:
        """What a water meter's counter shows; None if this is none, or its counter is withheld."""
        for it in self.measurements:
            if (it.name, it.unit) == ("volume", "m3"):
                return float(it.value)
        return None


class MeterDriver(Driver):
    """A meter on a bus; subclasses write `read` and give `identity`.

    Their Settings have `poll` and `timeout` (s), `retries` and `line` (drivers.bus.line.LineText).
    """

    needs_bus: ClassVar[bool] = True
    framings: ClassVar[frozenset[str]] = frozenset({"serial"})  # of Bus.framing

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self._withheld: frozenset[str] = frozenset()
        self._silent = False
        self._missed = 0  # polls in a row that brought nothing
        self._overload = Fault()
        self._left_out = 0  # polls there was no time for, since that fault was raised
        self._backoff = Backoff(2 * settings.poll, max(2 * settings.poll, DEAD_POLL_S))

    @classmethod
    def look(cls, settings: Any, bus: BusSettings | None) -> Sequence[Finding]:
        """The port of its bus."""
        del settings
        return look_at_bus(bus)

    @abstractmethod
    async def read(self, bus: Bus) -> Reading:
        """One reading.

        Raises:
            DeviceSilent, DeviceRefused, DecodeError: worth another try.
            LinkLost: the port is gone, and with it this poll.
        """

    @property
    @abstractmethod
    def identity(self) -> dict[str, str | int]:
        """What tells this meter from others, for the event that it came online."""

    @property
    def bus(self) -> Bus:
        """The wires, run as this meter wants them.

        Raises:
            DriverError: they cannot be, or frames on them are not such as this meter understands.
        """
        shared = shared_bus(self.context)
        if shared.framing not in self.framings:
            what = f"this driver does not speak {shared.framing}"
            hint = "a serial server that passes bytes on is reached by socket://"
            raise DriverError(what, where=self.context.device, hint=hint)
        return shared.at(parse_line(self.settings.line)) if self.settings.line else shared

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """`read`: one reading now, beside the polls; it is told as any other."""
        if name != "read":
            return await super().command(name, arguments)
        reading = await self._read_with_retries(self.bus)
        self._report(reading)
        return {it.name: it.value for it in reading.measurements}

    async def run(self) -> None:
        """Poll until cancelled; a port that is gone is tried again at every poll."""
        bus = self.bus
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            await asyncio.sleep(due - clock())
            due += await self._poll(bus)
            if not self._silent:
                self._see_lateness(clock() - due)
            due = max(due, clock())

    async def _poll(self, bus: Bus) -> float:
        """Read once and report; the time in s from this poll to the next."""
        try:
            reading = await self._read_with_retries(bus)
        except (DeviceSilent, DeviceRefused, DecodeError, LinkLost) as error:
            self._missed += 1
            self.context.offline(_reason(error))
            return self._wait_s(error)
        self._backoff.reset()
        missed = {"missed": self._missed} if self._missed else {}
        self._silent, self._missed = False, 0
        self.context.online(**self.identity, **missed)
        self._report(reading)
        if reading.volume_m3 is not None:
            await shared_teller(self.context).take(reading.volume_m3)
        return float(self.settings.poll)

    def _wait_s(self, error: HearthError) -> float:
        """How long to leave the meter alone after a poll that brought nothing."""
        if isinstance(error, LinkLost):
            return float(self.settings.poll)  # it costs nobody anything, and may be back
        wait_s = self._backoff.next_s()
        if self._silent:
            wait_s = max(wait_s, self.settings.timeout / DEAD_SHARE)
        self._silent = True
        return wait_s

    def _see_lateness(self, late_s: float) -> None:
        """The next poll should have begun so long ago. By a whole poll, and one was left out."""
        now_s = asyncio.get_running_loop().time()
        left_out = max(0, int(late_s // self.settings.poll))
        self._left_out += left_out
        if left_out:
            if self._overload.bad(now_s):
                self._tell_overload(active=True)
        elif self._overload.good(now_s):
            self._tell_overload(active=False)
            self._left_out = 0

    def _tell_overload(self, *, active: bool) -> None:
        detail: dict[str, Scalar] = {"fault": "overloaded", "active": active}
        missed = {"missed": self._left_out}
        self.context.emit(Observation(Kind.FAULT, detail=detail | missed))

    async def _read_with_retries(self, bus: Bus) -> Reading:
        # A meter known to be dead gets one try, so that it costs its neighbours little.
        for _ in range(0 if self._silent else self.settings.retries):
            try:
                return await self.read(bus)
            except (DeviceSilent, DeviceRefused, DecodeError):
                continue
        return await self.read(bus)

    def _report(self, reading: Reading) -> None:
        """Emit what was measured, and on change what was withheld.

        Nothing is confirmed to a meter, so nobody waits for the flash here.
        """
        if reading.measurements:
            self.context.emit(Observation(Kind.MEASUREMENT, reading.measurements))
        names = frozenset(reading.withheld)
        if names != self._withheld:
            self._withheld = names
            self.context.emit(Observation(Kind.FAULT, detail=_fault_detail(reading.withheld)))


def _reason(error: HearthError) -> str:
    return f"{error}; {error.hint}" if error.hint else str(error)


def _fault_detail(withheld: dict[str, str]) -> dict[str, Scalar]:
    """As every fault: what, and whether it is there; then each withheld value and why."""
    named = {name: why[:_MOST_TEXT] for name, why in sorted(withheld.items())[:_MOST_NAMES]}
    return {"fault": "withheld", "active": bool(withheld), **named}
