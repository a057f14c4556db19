"""A one-key call button. One press is one call for help, and nothing may come between.

A press is journaled at once, and the light says how the call stands (drivers/gpio/sign.py): it goes
on only when the journal says the call is on flash. If the flash refuses, the light stays off and
the device is reported offline until an event is stored again; a call the journal would not even
accept is offered again a few times. The button goes on listening meanwhile, because a person who
sees no light presses again: no failure of the journal ends the listening. Only the loss of the chip
does: then there is nothing to listen to, and the supervisor starts anew.

Where the configuration gives presses other meanings, what cannot be done is a call: to take back
what is not open, to acknowledge what nobody reminds of. Who presses gets heard.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.button.settings import ButtonSettings
from drivers.button.wire import Press, Presses
from drivers.call import Caller
from drivers.gpio.lines import Wanted, Wire
from drivers.gpio.link import open_lines
from drivers.gpio.look import look_at_lines
from drivers.gpio.player import Player
from drivers.gpio.settings import twice
from drivers.gpio.sign import Sign, identify
from drivers.gpio.watch import FAULTS, Watch, input_wires
from drivers.gpio.wire.edge import Change
from gateway.clock import uptime_ms_from_monotonic_ns
from gateway.driver import Driver
from gateway.errors import SettingsError
from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.button.wire import Decision
    from drivers.gpio.watch import Happening
    from gateway.driver import Context
    from gateway.finding import Finding
    from gateway.model import Scalar
    from gateway.settings import BusSettings


class ButtonDriver(Driver):
    """A call button on a GPIO line."""

    summary = "one-key call button on a GPIO line, with an optional light"
    Settings = ButtonSettings

    def __init__(self, settings: ButtonSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._sign: Sign | None = None  # while its line is held

    @classmethod
    def check(cls, settings: ButtonSettings) -> None:
        """Lines named once, classes that can be told apart, and one of them a call."""
        faults = twice([settings.offset, settings.offset_nc, settings.light])
        if "call" not in _actions(settings).values():
            faults.append("no press is a call: let short, long or double be one")
        if settings.long_press >= settings.stuck_after:
            faults.append("long_press is not below stuck_after")
        if faults:
            raise SettingsError(faults)

    @classmethod
    def look(cls, settings: ButtonSettings, bus: BusSettings | None) -> Sequence[Finding]:
        """The chip and its lines."""
        del bus
        return look_at_lines(_wanted(settings))

    async def run(self) -> None:
        """Listen until cancelled; LinkLost when the chip is gone."""
        settings: ButtonSettings = self.settings
        lines = await open_lines(_wanted(settings))
        try:
            async with asyncio.TaskGroup() as tasks:
                if settings.light is not None:
                    player = Player(lines, settings.light)
                    self._sign = Sign(self.context.signs)
                    self._sign.add(player)
                    tasks.create_task(player.run())
                    tasks.create_task(self._sign.follow())
                watch = Watch(lines, settings, stuck_s=settings.stuck_after)
                await _Button(settings, self.context, tasks).listen(watch)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._sign = None
            await lines.close()

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """`identify`: its light blinks for some seconds, unless a call has it."""
        if name != "identify":
            return await super().command(name, arguments)
        identify(self._sign, self.context.device)
        return {}


class _Button:
    """One button while its line is held."""

    def __init__(
        self, settings: ButtonSettings, context: Context, tasks: asyncio.TaskGroup
    ) -> None:
        self._settings = settings
        self._context = context
        self._caller = Caller(context, tasks, self._online)
        actions = _actions(settings)
        self._classified = {*actions.values()} != {"call"}
        self._presses = Presses(
            actions,
            long_ns=round(settings.long_press * 1e9),
            double_ns=round(settings.double_window * 1e9),
        )

    async def listen(self, watch: Watch) -> None:
        """Every edge, for ever."""
        self._online()
        while True:
            for happening in await watch.happenings(self._presses.deadline_ns):
                self._react(happening)
            self._act(self._presses.tick(watch.now_ns))

    def _react(self, happening: Happening) -> None:
        change, at_ns, doubtful = happening
        if change is Change.PRESSED:
            self._act(self._presses.pressed(at_ns, doubtful=doubtful))
        elif change is Change.RELEASED:
            self._act(self._presses.released(at_ns))
        elif change is Change.STUCK:
            self._act(self._presses.stuck(at_ns))
        if change in FAULTS:
            self._caller.place(FAULTS[change])

    def _act(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if not self._did(decision.action):
                self._call(decision)

    def _did(self, action: str) -> bool:
        """Do what a press means; False if that cannot be done, or is to call."""
        if action == "cancel":
            return self._context.cancel_calls()
        if action == "acknowledge":
            return self._context.house.acknowledge(self._context.device)
        if action == "news":
            self._context.house.tell_news()
        return action != "call"

    def _call(self, decision: Decision) -> None:
        detail: dict[str, Scalar] = {"cause": "button"}
        if self._classified:
            detail["press"] = decision.press.value
        if self._context.house.testing:
            detail["test"] = True
        uptime_ms = uptime_ms_from_monotonic_ns(decision.at_ns)
        self._caller.place(Observation(Kind.CALL, detail=detail, uptime_ms=uptime_ms))

    def _online(self) -> None:
        self._context.online(chip=self._settings.chip, line=self._settings.offset)


def _actions(settings: ButtonSettings) -> dict[Press, str]:
    return {
        Press.SHORT: settings.short,
        Press.LONG: settings.long,
        Press.DOUBLE: settings.double,
    }


def _wanted(settings: ButtonSettings) -> Wanted:
    return Wanted(
        settings.chip,
        input_wires(settings, active_low=settings.active == "low"),
        () if settings.light is None else (Wire(settings.light),),
        settings.bias,
        settings.debounce,
    )
