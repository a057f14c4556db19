"""Presses in; short, long and double ones out. Pure: time comes with the call.

A class that makes no difference is not waited for: a press is decided as soon as all it can still
become does the same. So a button all of whose presses are calls decides at the first edge, and one
whose long press takes a call back decides a short one when it is released.

No press is lost by this. Each belongs to exactly one decision, and whatever is in doubt - edges are
missing, a wire is broken, the button stays pressed - is decided for a call.

All times are nanoseconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Press(StrEnum):
    """How somebody pressed."""

    SHORT = "short"
    LONG = "long"
    DOUBLE = "double"
    DOUBTFUL = "doubtful"


class Decision(NamedTuple):
    """What a press is, and when it began."""

    press: Press
    action: str
    at_ns: int


class Presses:
    """The press that goes on, and what it can still become."""

    def __init__(self, actions: Mapping[Press, str], *, long_ns: int, double_ns: int) -> None:
        """Args: actions: what short, long and double presses do."""
        self._actions = actions
        self._long_ns = long_ns
        self._double_ns = double_ns
        self._can_be: tuple[Press, ...] = ()  # none: nothing is undecided
        self._began_ns = 0
        self._held = False
        self._deadline_ns: int | None = None
        self._calls = True  # the last decision was a call

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` decides; None if nothing is undecided."""
        return self._deadline_ns

    def pressed(self, at_ns: int, *, doubtful: bool = False) -> list[Decision]:
        """A press began."""
        decided = self.tick(at_ns)
        unseen = self._held and self._can_be  # the release of the press before
        self._held = True
        if doubtful or unseen:
            return decided + self._give_up() + self._call(at_ns)
        if self._can_be:
            return decided + self._narrow((Press.DOUBLE,), None)
        self._began_ns = at_ns
        every = (Press.SHORT, Press.LONG, Press.DOUBLE)
        return decided + self._narrow(every, at_ns + self._long_ns)

    def released(self, at_ns: int) -> list[Decision]:
        """It ended."""
        decided = self.tick(at_ns)
        was_held, self._held = self._held, False
        if was_held and self._can_be:
            decided += self._narrow((Press.SHORT, Press.DOUBLE), at_ns + self._double_ns)
        return decided

    def stuck(self, at_ns: int) -> list[Decision]:
        """It does not end: a call, unless it was one already."""
        decided = self.tick(at_ns) + self._give_up()
        if self._held and not self._calls:
            decided += self._call(self._began_ns)
        return decided

    def tick(self, now_ns: int) -> list[Decision]:
        """Time passed."""
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return []
        return self._narrow((Press.LONG,) if self._held else (Press.SHORT,), None)

    def _narrow(self, can_be: tuple[Press, ...], deadline_ns: int | None) -> list[Decision]:
        actions = {self._actions[press] for press in can_be}
        if len(actions) > 1:
            self._can_be, self._deadline_ns = can_be, deadline_ns
            return []
        self._can_be, self._deadline_ns = (), None
        (action,) = actions
        self._calls = action == "call"
        return [Decision(can_be[0], action, self._began_ns)]

    def _give_up(self) -> list[Decision]:
        """What is undecided will not be known any more."""
        return self._call(self._began_ns) if self._can_be else []

    def _call(self, at_ns: int) -> list[Decision]:
        self._can_be, self._deadline_ns = (), None
        self._calls = True
        return [Decision(Press.DOUBTFUL, "call", at_ns)]
