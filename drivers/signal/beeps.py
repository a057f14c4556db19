"""What the beeper says. Told from each other without seeing it, and without counting past four.

Short is 0.12 s, which the ear still takes for a beep of its own, long is 0.8 s. What is well is
said once, what is not well until it is. There are no hours in which the beeper is mute: a call is
never muted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.gpio.pattern import Pattern
from gateway.model import CallState

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHORT, _BETWEEN, _LONG = 0.12, 0.18, 0.8
_THRICE = (_SHORT, _BETWEEN, _SHORT, _BETWEEN, _SHORT)

BEEPS: Mapping[CallState, Pattern] = {
    # Kept: the key was pressed and hearth has it. One short beep, as any key answers.
    CallState.STORED: Pattern((_SHORT,), repeats=False),
    # Passed on: two short.
    CallState.DELIVERED: Pattern((_SHORT, _BETWEEN, _SHORT), repeats=False),
    # Passed on, and nobody took it yet: the same two, so that it is not taken for forgotten; every
    # half minute, because whoever waits cannot bear more.
    CallState.ESCALATED: Pattern((_SHORT, _BETWEEN, _SHORT, 30.0)),
    # Somebody comes: one long.
    CallState.ACCEPTED: Pattern((_LONG,), repeats=False),
    # Not passed on: three short, again and again, every five seconds. Never silent: whoever hears
    # it knows to call by telephone, or out of the window.
    CallState.UNDELIVERED: Pattern((*_THRICE, 5.0)),
    # Not passed on, a text message is on its way: three short and one long.
    CallState.TEXTED: Pattern((*_THRICE, _BETWEEN, _LONG, 10.0)),
}
