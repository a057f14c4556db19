"""Whether sessions hold. Two gateways that have one id by mistake throw each other out.

The broker ends the older session of a client identifier when the other connects, and most brokers
do not say why. Both come again, with growing pauses, so events of both get through; but somebody
should look. From here it is like any other cause of many short sessions, and is told as that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gateway.model import Kind, Observation
from gateway.recorder import try_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.model import Scalar

# Two gateways with one id connect two or three times a second each; a mobile link that is lost and
# found in a tunnel, and a broker that is restarted twice, stay below this.
SHORT_S, MANY, WITHIN_S = 10.0, 5, 60.0
# A session that has held so long: it is over.
STEADY_S = 300.0


class Steadiness:
    """Counts short sessions, and tells when they are many, and when that is over.

    Args:
        tell: takes the event.
    """

    def __init__(self, tell: Callable[[Observation], object]) -> None:
        self._tell = tell
        self._ends_s: deque[float] = deque(maxlen=MANY)
        self._told = False

    def ended(self, lasted_s: float, now_s: float) -> None:
        """A session was lost."""
        if lasted_s >= SHORT_S:
            return
        self._ends_s.append(now_s)
        if len(self._ends_s) == MANY and now_s - self._ends_s[0] <= WITHIN_S:
            self._report(active=True)

    def holds(self, lasts_s: float) -> None:
        """A session is there, and has been for so long."""
        if lasts_s >= STEADY_S:
            self._report(active=False)

    def _report(self, *, active: bool) -> None:
        if active is self._told:
            return
        self._told = active
        detail: dict[str, Scalar] = {"fault": "unsteady_uplink", "active": active}
        if active:
            detail["reason"] = f"{MANY} short sessions; does another gateway have this id?"
        try_to(self._tell, Observation(Kind.FAULT, detail=detail))
