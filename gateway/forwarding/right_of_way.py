"""Which batch may go now: calls before readings, and readings as the link and its budget allow.

A routine batch is not handed over while an urgent one could be, nor right behind one that is not
acknowledged. Neither keeps readings back for longer than CLEARANCE_S: a collector that is away must
not stop them, nor must calls without end.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gateway.model import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.forwarding.allowance import Allowance
    from gateway.forwarding.outbox import Outbox
    from gateway.forwarding.pace import Pace

# Places of the window that only urgent batches take.
URGENT_PLACES = 4
# Longer than a collector needs for a call; so short that it costs a backlog little.
CLEARANCE_S = 0.5


class RightOfWay:
    """Of one gateway.

    Args:
        outboxes: all of them.
        allowance: what the link may cost a day; None if that is not counted.
        wake: wakes the senders of a lane, when one that had to wait may go.
    """

    def __init__(
        self,
        outboxes: Iterable[Outbox],
        allowance: Allowance | None,
        wake: Callable[[Lane], None],
    ) -> None:
        self._urgent = [outbox for outbox in outboxes if outbox.lane is Lane.URGENT]
        self._allowance = allowance
        self._wake = wake
        self._cleared_at_s = 0.0

    def may_go(self, outbox: Outbox, pace: Pace, size: int, asked_at_s: float) -> bool:
        """Whether a batch of so many bytes may go, which has waited since `asked_at_s`."""
        if outbox.lane is Lane.URGENT:
            return outbox.outstanding.flying < URGENT_PLACES
        affordable = self._allowance is None or self._allowance.admits()
        if not affordable or not pace.admits(size):
            return False
        now_s = time.monotonic()
        if now_s >= asked_at_s + CLEARANCE_S:
            return True
        waited_for = any(other.outstanding for other in self._urgent)
        clear = not waited_for or now_s >= self._cleared_at_s
        return clear and not any(other.pressing for other in self._urgent)

    def goes(self, lane: Lane) -> None:
        """A batch goes; behind an urgent one, routine ones wait a while."""
        if lane is Lane.URGENT:
            self._cleared_at_s = time.monotonic() + CLEARANCE_S
            asyncio.get_running_loop().call_later(CLEARANCE_S, self._wake, Lane.ROUTINE)
        elif self._allowance is not None:
            self._allowance.went()
