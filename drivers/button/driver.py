"""A one-key call button. One press is one call for help, and nothing may come between.

A press is journaled at once, and the light goes on only when the journal says it is on flash: light
means kept. If the flash refuses, the light stays off and the device is reported offline until an
event is stored again; a call the journal would not even accept is offered again a few times. The
button goes on listening meanwhile, because a person who sees no light presses again: no failure of
the journal ends the listening. Only the loss of the chip does: then there is nothing to listen to,
and the supervisor starts anew.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from drivers.button.link import open_line
from drivers.button.settings import ButtonSettings
from drivers.button.wire import Change, Contact
from drivers.call import Caller
from gateway.clock import uptime_ms_from_monotonic_ns
from gateway.driver import Driver
from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.button.link import Line
    from drivers.button.wire import Edge
    from gateway.driver import Context

_FAULTS = {
    Change.STUCK: Observation(Kind.FAULT, detail={"fault": "stuck", "active": True}),
    Change.UNSTUCK: Observation(Kind.FAULT, detail={"fault": "stuck", "active": False}),
    Change.LOST: Observation(Kind.FAULT, detail={"fault": "lost_edges", "active": True}),
    Change.INTACT: Observation(Kind.FAULT, detail={"fault": "lost_edges", "active": False}),
}


class ButtonDriver(Driver):
    """A call button on a GPIO line."""

    summary = "one-key call button on a GPIO line, with an optional light"
    Settings = ButtonSettings

    async def run(self) -> None:
        """Listen until cancelled; LinkLost when the chip is gone."""
        line = await open_line(self.settings)
        try:
            async with asyncio.TaskGroup() as tasks:
                await _Button(self.settings, self.context, line, tasks).listen()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            await line.close()


class _Button:
    """One button while its line is held."""

    def __init__(
        self, settings: ButtonSettings, context: Context, line: Line, tasks: asyncio.TaskGroup
    ) -> None:
        self._settings = settings
        self._context = context
        self._line = line
        self._tasks = tasks
        self._caller = Caller(context, tasks, self._online)
        self._lights = 0  # how many stored calls the light is on for

    async def listen(self) -> None:
        """Every edge, for ever."""
        contact = Contact(
            active=self._line.active,
            now_ns=time.monotonic_ns(),
            debounce_ns=round(self._settings.debounce * 1e9),
            stuck_ns=round(self._settings.stuck_after * 1e9),
        )
        self._online()
        while True:
            edges = await self._edges_until(contact.deadline_ns)
            for edge in edges:
                for change in contact.edge(edge):
                    self._react(change, edge.at_ns)
            now_ns = time.monotonic_ns()
            for change in contact.tick(now_ns):
                self._react(change, now_ns)

    async def _edges_until(self, deadline_ns: int | None) -> Sequence[Edge]:
        wait_s = None
        if deadline_ns is not None:
            wait_s = max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)
        try:
            async with asyncio.timeout(wait_s):
                return await self._line.edges()
        except TimeoutError:
            return ()

    def _react(self, change: Change, at_ns: int) -> None:
        if change is Change.PRESSED:
            uptime_ms = uptime_ms_from_monotonic_ns(at_ns)
            call = Observation(Kind.CALL, detail={"cause": "button"}, uptime_ms=uptime_ms)
            self._tasks.create_task(self._answer(self._caller.place(call).stored))
        else:
            self._caller.place(_FAULTS[change])

    async def _answer(self, stored: asyncio.Task[bool]) -> None:
        """The light, once the call is on flash."""
        if await stored:
            await self._shine()

    async def _shine(self) -> None:
        self._lights += 1
        self._line.set_light(on=True)
        try:
            await asyncio.sleep(self._settings.light_time)
        finally:
            self._lights -= 1
        if not self._lights:
            self._line.set_light(on=False)

    def _online(self) -> None:
        self._context.online(chip=self._settings.chip, line=self._settings.offset)
