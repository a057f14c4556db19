"""The household's lamp and beeper: how open calls of all devices stand, for whoever is at home."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.gpio.lines import Wanted, Wire
from drivers.gpio.link import open_lines
from drivers.gpio.look import look_at_lines
from drivers.gpio.player import Player
from drivers.gpio.settings import twice
from drivers.gpio.sign import LIGHT, Sign, identify
from drivers.signal.beeps import BEEPS
from drivers.signal.settings import SignalSettings
from gateway.driver import Driver
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.gpio.lines import Lines
    from gateway.driver import Context
    from gateway.finding import Finding
    from gateway.model import Scalar
    from gateway.settings import BusSettings


class SignalDriver(Driver):
    """A lamp and a beeper on GPIO lines."""

    summary = "household lamp and beeper on GPIO lines, which tell how calls stand"
    Settings = SignalSettings

    def __init__(self, settings: SignalSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._sign: Sign | None = None  # while its lines are held

    @classmethod
    def check(cls, settings: SignalSettings) -> None:
        """A lamp or a beeper, on lines of their own."""
        faults = twice([settings.lamp, settings.beeper])
        if settings.lamp is None and settings.beeper is None:
            faults.append("neither lamp nor beeper is given")
        if faults:
            raise SettingsError(faults)

    @classmethod
    def look(cls, settings: SignalSettings, bus: BusSettings | None) -> Sequence[Finding]:
        """The chip and its lines."""
        del bus
        return look_at_lines(_wanted(settings))

    async def run(self) -> None:
        """Show until cancelled; LinkLost when the chip is gone."""
        settings: SignalSettings = self.settings
        lines = await open_lines(_wanted(settings))
        try:
            self.context.online(chip=settings.chip)
            async with asyncio.TaskGroup() as tasks:
                self._sign = self._follow(lines, tasks)
                while True:  # there are no inputs, so there is nothing to read but the loss
                    await lines.readable()
                    lines.edges()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._sign = None
            await lines.close()

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """`identify`: both are noticed for some seconds, unless a call has them."""
        if name != "identify":
            return await super().command(name, arguments)
        identify(self._sign, self.context.device)
        return {}

    def _follow(self, lines: Lines, tasks: asyncio.TaskGroup) -> Sign:
        sign = Sign(self.context.house.signs)
        for offset, patterns in ((self.settings.lamp, LIGHT), (self.settings.beeper, BEEPS)):
            if offset is not None:
                player = Player(lines, offset)
                sign.add(player, patterns)
                tasks.create_task(player.run())
        tasks.create_task(sign.follow())
        return sign


def _wanted(settings: SignalSettings) -> Wanted:
    offsets = [it for it in (settings.lamp, settings.beeper) if it is not None]
    outputs = tuple(Wire(offset, active_low=settings.on == "low") for offset in offsets)
    return Wanted(settings.chip, outputs=outputs)
