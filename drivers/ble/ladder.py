"""What to try next about a radio on which connecting fails. Pure: time is given.

That a band is not heard is its absence, and no business of the ladder. One that is heard and does
not get connected may be at the edge of range; or BlueZ holds on to what is left of an attempt that
was interrupted (`InProgress`), or the adapter's firmware hangs. So, rung by rung: try again, have
BlueZ forget the device, power-cycle the adapter, and say that nothing helped.
"""

from __future__ import annotations

from enum import Enum

# Failures in a row of one device until a rung is reached. The first may always be chance.
FORGET_AT = 2
CYCLE_AT = 4
# A power-cycle takes every connection of the adapter with it; firmware that hangs again at once
# is not helped by more of them.
CYCLE_EVERY_S = 600.0


class Rung(Enum):
    """What to do after a failure."""

    AGAIN = "try again"
    FORGET = "have BlueZ forget the device"
    CYCLE = "power-cycle the adapter"
    REPORT = "nothing helped"


class Ladder:
    """One adapter."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}  # in a row, by address
        self._cycled_s: float | None = None

    def failed(self, address: str, now_s: float, *, others_work: bool) -> Rung:
        """A device that was heard did not get connected.

        Args:
            address: which.
            now_s: when.
            others_work: whether the adapter holds another connection, and is well then.
        """
        count = self._failures[address] = self._failures.get(address, 0) + 1
        if count < FORGET_AT:
            return Rung.AGAIN
        if count < CYCLE_AT:
            return Rung.FORGET
        if others_work or not self._may_cycle(now_s):
            return Rung.REPORT
        self._cycled_s = now_s
        return Rung.CYCLE

    def worked(self, address: str) -> None:
        """A device got connected."""
        self._failures.pop(address, None)

    def _may_cycle(self, now_s: float) -> bool:
        return self._cycled_s is None or now_s - self._cycled_s >= CYCLE_EVERY_S
