"""Faults that are told when they come and when they are over, not every time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from gateway.driver import Context
    from gateway.model import Scalar

# A device that sends nonsense now and then would otherwise come and go with every word of it.
QUIET_S = 60.0


class Fault:
    """Raised by the first bad thing; over when things were good for QUIET_S. Time is given."""

    def __init__(self) -> None:
        self.count = 0  # bad things since it was raised
        self._active = False
        self._last_bad_s = 0.0

    def bad(self, now_s: float) -> bool:
        """Something was bad; True if that raises the fault."""
        self.count = self.count + 1 if self._active else 1
        self._last_bad_s = now_s
        raised, self._active = not self._active, True
        return raised

    def good(self, now_s: float) -> bool:
        """Something was good; True if the fault is over now."""
        over = self._active and now_s - self._last_bad_s >= QUIET_S
        if over:
            self._active = False
        return over


class Faults:
    """The faults of one device; each has a name, and comes and goes by it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._faults: dict[str, Fault] = {}

    def see(self, name: str, bad: object, **more: Scalar) -> None:
        """How it is now; told if that raises the fault, with `more`, or ends it."""
        now_s = asyncio.get_running_loop().time()
        fault = self._faults.setdefault(name, Fault())
        if bad and fault.bad(now_s):
            self.tell({"fault": name, "active": True, **more})
        elif not bad and fault.good(now_s):
            self.tell({"fault": name, "active": False})

    def tell(self, detail: dict[str, Scalar]) -> None:
        """Something that happened once."""
        self._context.emit(Observation(Kind.FAULT, detail=detail))
