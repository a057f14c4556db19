"""A dry contact: a detector that raises an alarm, or a door that opens.

An alarm is placed as a call is, at the first edge: durable, offered again, never behind a reading.
What is active when watching starts is told, and so is the end of an alarm that nobody saw because
the gateway was off: whether one was told is noted. A broken wire cannot be told from an alarm, so
it is one, and the fault `wire` beside it says what to look for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.call import Caller
from drivers.contact.settings import ContactSettings
from drivers.contact.wire import Held
from drivers.gpio.lines import Wanted
from drivers.gpio.link import open_lines
from drivers.gpio.look import look_at_lines
from drivers.gpio.settings import twice
from drivers.gpio.watch import FAULTS, Watch, input_wires
from drivers.gpio.wire.edge import Change
from gateway.clock import uptime_ms_from_monotonic_ns
from gateway.driver import Driver
from gateway.errors import JournalWriteFailed, SettingsError
from gateway.model import Kind, Measurement, Observation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.gpio.watch import Happening
    from gateway.driver import Context
    from gateway.finding import Finding
    from gateway.model import Scalar
    from gateway.settings import BusSettings

NOTE = "active"


class ContactDriver(Driver):
    """A dry contact on a GPIO line."""

    summary = "dry contact on a GPIO line: smoke, gas, heat or water detector, door, window"
    Settings = ContactSettings

    @classmethod
    def check(cls, settings: ContactSettings) -> None:
        """Lines named once, and a change-over contact named by its open side."""
        faults = twice([settings.offset, settings.offset_nc])
        if settings.offset_nc is not None and settings.normally != "open":
            faults.append('offset_nc needs normally = "open": offset is the side that is open')
        if faults:
            raise SettingsError(faults)

    @classmethod
    def look(cls, settings: ContactSettings, bus: BusSettings | None) -> Sequence[Finding]:
        """The chip and its lines."""
        del bus
        return look_at_lines(_wanted(settings))

    async def run(self) -> None:
        """Watch until cancelled; LinkLost when the chip is gone."""
        settings: ContactSettings = self.settings
        lines = await open_lines(_wanted(settings))
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = Watch(lines, settings)
                await _Contact(settings, self.context, tasks, watch).listen()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            await lines.close()


class _Contact:
    """One contact while its lines are held."""

    def __init__(
        self, settings: ContactSettings, context: Context, tasks: asyncio.TaskGroup, watch: Watch
    ) -> None:
        self._settings = settings
        self._context = context
        self._tasks = tasks
        self._watch = watch
        self._caller = Caller(context, tasks, self._online)
        self._noting = asyncio.Lock()
        self._held = Held(
            active=watch.contact.pressed,
            now_ns=watch.now_ns,
            hold_off_ns=round(settings.hold_off_s * 1e9),
        )

    async def listen(self) -> None:
        """Every edge, for ever."""
        self._online()
        if self._held.active or not self._settings.is_alarm or self._context.notes.get(NOTE):
            self._tell(self._watch.now_ns)
        while True:
            for happening in await self._watch.happenings(self._held.deadline_ns):
                self._react(happening)
            if self._held.tick(self._watch.now_ns):
                self._tell(self._watch.now_ns)

    def _react(self, happening: Happening) -> None:
        change, at_ns, _ = happening
        if self._held.tick(at_ns):
            self._tell(at_ns)
        if change is Change.PRESSED and self._held.left(at_ns):
            self._tell(at_ns)
        if change is Change.RELEASED:
            self._held.rested(at_ns)
        if change in FAULTS:
            self._caller.place(FAULTS[change])

    def _tell(self, at_ns: int) -> None:
        """How it is."""
        active = self._held.active
        uptime_ms = uptime_ms_from_monotonic_ns(at_ns)
        if not self._settings.is_alarm:
            opened = (Measurement("open", active),)
            self._caller.place(Observation(Kind.MEASUREMENT, opened, uptime_ms=uptime_ms))
            return
        detail: dict[str, Scalar] = {"alarm": self._settings.kind, "active": active}
        if self._context.house.testing:
            detail["test"] = True
        alarm = Observation(Kind.ALARM, detail=detail, uptime_ms=uptime_ms)
        self._tasks.create_task(self._note(self._caller.place(alarm).stored))

    async def _note(self, stored: asyncio.Task[bool]) -> None:
        """What was told last, once that is on flash: a power cut between tells it once more."""
        if not await stored:
            return
        async with self._noting:
            with suppress(JournalWriteFailed):  # then the end of it may be told for nothing
                await self._context.notes.put({NOTE: self._held.active})

    def _online(self) -> None:
        self._context.online(chip=self._settings.chip, line=self._settings.offset)


def _wanted(settings: ContactSettings) -> Wanted:
    wires = input_wires(settings, active_low=settings.active_low)
    return Wanted(settings.chip, wires, bias=settings.bias, debounce_s=settings.debounce)
