"""A fault that is told when it comes and when it is over, not every time. Pure: time is given."""

from __future__ import annotations

# A device that sends nonsense now and then would otherwise come and go with every word of it.
QUIET_S = 60.0


class Fault:
    """Raised by the first bad thing; over when things were good for QUIET_S."""

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
