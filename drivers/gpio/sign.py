"""An output that tells a person how open calls stand: never more than is true.

The lights of buttons and of the household lamp speak the same language, so that nobody must learn
two. It is in docs/devices-gpio.md too. No pattern flashes more than three times in any second: up
to there, flashes are held to be safe for people with photosensitive epilepsy (WCAG 2.2, 2.3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.gpio.pattern import OFF, STEADY, Pattern
from gateway.errors import DriverError
from gateway.model import CallState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.gpio.player import Player
    from gateway.driver import Signs

# Dark longest where things went best would be read as "it is over", so what is well is calm, what
# is not is hasty, and only what is over is dark.
_SLOW = Pattern((1.0, 1.0))  # passed on: calm, and told from a steady light by a glance of 2 s
_FAST = Pattern((0.2, 0.2))  # not passed on: 2.5 flashes a second, just below the limit of three
_COMING = Pattern((1.8, 0.2))  # taken: nearly steady, a wink every 2 s says that it is not stuck

LIGHT: Mapping[CallState, Pattern] = {
    CallState.UNDELIVERED: _FAST,
    CallState.STORED: STEADY,
    CallState.TEXTED: _FAST,  # a message is on its way and nobody knows whether it is read
    CallState.DELIVERED: _SLOW,
    CallState.ESCALATED: _SLOW,  # they have it; that nobody took it yet helps nobody to know
    CallState.ACCEPTED: _COMING,
}

# Pairs of short flashes, which no state of a call has, for five seconds: time to look around.
FIND_ME = Pattern((0.1, 0.1, 0.1, 0.7) * 5, repeats=False)


class Sign:
    """What the outputs of one device show of open calls.

    One for all of them, because Signs remember for one who looks what was seen.
    """

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._outputs: list[tuple[Player, Mapping[CallState, Pattern]]] = []
        self._shown: CallState | None = None

    def add(self, player: Player, patterns: Mapping[CallState, Pattern] = LIGHT) -> None:
        """Another output, and what it says of each state; before `follow`."""
        self._outputs.append((player, patterns))

    async def follow(self) -> None:
        """Show every change of state, for ever; LinkLost when the chip is gone."""
        while True:
            if (state := self._signs.state) is not self._shown:
                self._shown = state
                for player, patterns in self._outputs:
                    player.play(patterns.get(state, OFF) if state else OFF)
            await self._signs.changed()

    def find_me(self) -> bool:
        """Make the device noticeable; False, and nothing shown, while a call has its outputs."""
        if self._shown is not None:
            return False
        for player, _ in self._outputs:
            player.play(FIND_ME)
        return True


def identify(sign: Sign | None, where: str) -> None:
    """The command `identify` of a device whose sign this is, while its lines are held.

    Raises:
        DriverError: it has none, or a call has it.
    """
    if sign is None:
        raise DriverError("it has no light or sound, or is offline", where=where)
    if not sign.find_me():
        raise DriverError("it shows an open call", where=where)
