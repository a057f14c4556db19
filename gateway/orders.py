"""What people upstream may have a home do: the handlers behind signed commands.

call.accept      call                      a person took it
call.close       call                      it is over
reminders.set    reminders                 all of them; what is not named is removed
notice.add       id, text, at, until       to be said
weather.set      text, valid_until         said at its times, and when it is asked for
device.read      device                    one reading now
device.vibrate   device
device.identify  device                    it makes itself noticeable
device.write     device, and values by name, where the settings of the device permit it
device.valve     device, open              where the settings of the device permit it
settings.set     values by place           where [commands] settable permits; from the next start
gateway.restart                            stops; systemd starts it again
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import CommandRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.commands.dispatcher import Dispatcher
    from gateway.commands.wire import Argument
    from gateway.household import Household
    from gateway.model import Scalar
    from gateway.overrides import Overrides
    from gateway.supervisor import Supervisor

_OF_DEVICES = ("read", "vibrate", "identify", "write", "valve")
# What does no harm when it is done a second time after a power cut.
# A stop ends the connection; whoever ordered it should have the reply first.
REPLY_FIRST_S = 1.0
_REPEATABLE = frozenset({"read", "vibrate", "identify"})


class Orders:
    """Carries out what was ordered."""

    def __init__(
        self,
        household: Household,
        supervisor: Supervisor,
        overrides: Overrides,
        stop: Callable[[], None],
    ) -> None:
        """Args: what there is to order about; how the gateway is stopped."""
        self._household = household
        self._supervisor = supervisor
        self._overrides = overrides
        self._stop = stop

    def register(self, dispatcher: Dispatcher) -> None:
        """Make them known."""
        fresh = self._names_open_call
        dispatcher.register("call.accept", self._accept, repeatable=True, fresh=fresh)
        dispatcher.register("call.close", self._close, repeatable=True, fresh=fresh)
        dispatcher.register("reminders.set", self._reminders, repeatable=True, replaces=True)
        dispatcher.register("notice.add", self._notice, repeatable=True)
        dispatcher.register("weather.set", self._weather, repeatable=True, replaces=True)
        dispatcher.register("settings.set", self._settings, repeatable=True, replaces=True)
        dispatcher.register("gateway.restart", self._restart)
        for name in _OF_DEVICES:
            handler = _DeviceOrder(self._supervisor, name)
            dispatcher.register(f"device.{name}", handler, repeatable=name in _REPEATABLE)

    def _names_open_call(self, arguments: Mapping[str, Argument]) -> bool:
        """A command that speaks of a call that is open is not an old one, whatever the clock."""
        return self._household.desk.is_open(str(arguments.get("call", "")))

    async def _accept(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        call = _text(arguments, "call")
        with suppress(CommandRefused):  # a name that cannot be said is still a person who comes
            self._household.announcer.accepted_by(who)
        if not await self._household.desk.accept(call, who):
            raise CommandRefused(f"no call {call!r} is open")
        return {}

    async def _close(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        call = _text(arguments, "call")
        if not await self._household.desk.close(call, who):
            raise CommandRefused(f"no call {call!r} is open")
        return {}

    async def _reminders(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        del who
        count = await self._household.bell.set_all(arguments.get("reminders"))
        return {"reminders": count}

    async def _notice(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        del who
        await self._household.news.add_notice(arguments)
        return {}

    async def _weather(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        del who
        await self._household.news.set_weather(arguments)
        return {}

    async def _settings(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        del who
        await self._overrides.set(_scalars(arguments))
        return {"holds": "from the next start"}

    async def _restart(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        del who, arguments
        asyncio.get_running_loop().call_later(REPLY_FIRST_S, self._stop)
        return {}


class _DeviceOrder:
    """One thing that a device may be asked to do."""

    def __init__(self, supervisor: Supervisor, name: str) -> None:
        self._supervisor = supervisor
        self._name = name

    async def __call__(self, who: str, arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
        del who
        device = _text(arguments, "device")
        scalars = _scalars({key: arguments[key] for key in arguments if key != "device"})
        return await self._supervisor.command(device, self._name, scalars)


def _scalars(arguments: Mapping[str, Argument]) -> dict[str, Scalar]:
    scalars: dict[str, Scalar] = {}
    for key, value in arguments.items():
        if not isinstance(value, bool | int | float | str):
            raise CommandRefused(f"{key}: no single value")
        scalars[key] = value
    return scalars


def _text(arguments: Mapping[str, Argument], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise CommandRefused(f"{name}: missing")
    return value
