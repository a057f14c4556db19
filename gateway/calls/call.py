"""One call for help: what happens to it, and what follows. Pure: time is given.

A change is returned as the state it leads to; who keeps, tells and shows it is the desk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.model import CALL_ENDED, CallState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.settings import CallSettings

_BEFORE_DELIVERY = frozenset({None, CallState.STORED, CallState.UNDELIVERED, CallState.TEXTED})


class Call(msgspec.Struct):
    """A call that is open, or has just ended. `state` is None until it is on flash."""

    id: str  # c and 8 hexadecimal digits; in every event of this call
    device: str
    labels: dict[str, str] = {}
    cause: str = ""
    test: bool = False
    journal: str = ""  # uuid (hexadecimal) and seq of its first event, once that is on flash
    seq: int = 0
    wall_ms: int = 0  # when it came, as the clock believed
    state: CallState | None = None
    presses: int = 1
    repeats: int = 0  # how often it was told again that nobody takes it
    by: str = ""  # who took it
    text_sent: str = ""  # the state about which a second path has taken a message

    @property
    def ended(self) -> bool:
        """Whether nobody waits for anything any more."""
        return self.state in CALL_ENDED

    @property
    def joinable(self) -> bool:
        """Whether another press of the same device is this call."""
        return not self.ended and self.state is not CallState.ACCEPTED

    @property
    def undelivered(self) -> bool:
        """Whether the far side does not have it yet."""
        return self.state in _BEFORE_DELIVERY

    def lost(self) -> None:
        """It is not on flash any more."""
        self.journal, self.seq = "", 0
        if self.state is CallState.STORED:
            self.state = None

    def stored(self) -> bool:
        """It is on flash; whether that is news."""
        if self.state is not None:
            return False
        self.state = CallState.STORED
        return True

    def delivered(self) -> bool:
        """The far side has it; whether that is news."""
        if not self.undelivered:
            return False
        self.state = CallState.DELIVERED
        return True

    def texted(self) -> bool:
        """A second path took it; whether that is a new state."""
        self.text_sent = str(self.state)
        if self.state is not CallState.UNDELIVERED:
            return False
        self.state = CallState.TEXTED
        return True

    def accept(self, by: str) -> bool:
        """A person took it; whether that is news."""
        if self.ended or (self.state is CallState.ACCEPTED and self.by == by):
            return False
        self.state, self.by = CallState.ACCEPTED, by
        return True

    def told(self, state: CallState, by: str) -> None:
        """The journal says that it got so far; the book may say less, or more."""
        if self.state is None or least([self.state, state]) is not state:
            self.state, self.by = state, by

    def end(self, how: CallState) -> bool:
        """Closed, cancelled or expired; whether that is news."""
        if self.ended:
            return False
        self.state = how
        return True


class Due(msgspec.Struct, frozen=True):
    """What time brings: a new state, or that it is told once more that nobody takes the call."""

    state: CallState | None = None
    repeat: bool = False


class Clockwork:
    """What becomes of a call when nothing happens."""

    def __init__(self, settings: CallSettings, *, answered: bool) -> None:
        """Args: the timings; whether anybody upstream can take a call at all."""
        self._settings = settings
        self._answered = answered

    def due_s(self, call: Call) -> float | None:
        """How long after its last change something is due; None if nothing ever is."""
        settings = self._settings
        if call.state in {None, CallState.STORED}:  # None: the flash refuses it
            return settings.deliver
        if call.state is CallState.DELIVERED:
            return settings.accept if self._answered else settings.linger
        if call.state is CallState.ACCEPTED and not self._answered:
            return settings.linger
        return None

    def due(self, call: Call) -> Due:
        """What is due then; `due_s` says when."""
        if call.state in {None, CallState.STORED}:
            return Due(CallState.UNDELIVERED)
        if not self._answered:
            return Due(CallState.CLOSED)
        if call.repeats < self._settings.repeats:
            return Due(repeat=True)
        return Due(CallState.ESCALATED)

    def wants_text(self, call: Call) -> bool:
        """Whether a second path is to be tried."""
        wanting = {CallState.UNDELIVERED, CallState.ESCALATED}
        return call.state in wanting and call.text_sent != call.state


def least(states: Iterable[CallState]) -> CallState | None:
    """The one that got least far: what is shown is never more than is true."""
    return min(states, key=list(CallState).index, default=None)
