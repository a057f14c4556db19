"""What is known of a band and its wearer beyond one connection. Pure: time is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from drivers.wristband.fault import Fault

# A band goes on signalling an SOS until it is answered, and a frightened person presses more than
# once: within this time that is one call. It runs from the call and not from the last signal, so
# that a band that never stops is heard again.
SAME_SOS_S = 10.0


class Wearer:
    """What was last told of a band, so that a reconnect does not tell the same thing twice."""

    def __init__(self) -> None:
        self.contact: bool | None = None
        self.faults: dict[str, Fault] = {}
        self.identity: dict[str, str] | None = None  # while the band is connected
        self.undelivered: set[asyncio.Task[bool]] = set()  # calls that it is to be told of
        self._called_s: float | None = None

    def calls(self, now_s: float) -> bool:
        """The band signals an SOS: whether that is a new call."""
        if self._called_s is not None and now_s - self._called_s < SAME_SOS_S:
            return False
        self._called_s = now_s
        return True
