"""How long a call waits for its PUBACK before another connection is tried."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import UplinkLost

if TYPE_CHECKING:
    from gateway.uplink import Session

# Three round trips of a satellite with a lost packet in each. Doubled each time it was not enough,
# so that a link on which nothing is quicker is not broken off for ever.
FIRST_S, CAP_S = 9.0, 120.0


class Patience:
    """Publishes calls, which do not wait for the keepalive to find that the link is dead.

    Args:
        broker: its URL, for errors.
    """

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._patience_s = FIRST_S

    async def publish(self, session: Session, topic: str, payload: bytes) -> None:
        """Until PUBACK; UplinkLost if it does not come in time."""
        patience_s = self._patience_s
        try:
            async with asyncio.timeout(patience_s):
                await session.publish(topic, payload)
        except TimeoutError:
            self._patience_s = min(2 * patience_s, CAP_S)
            raise UplinkLost(
                f"the broker does not confirm a call within {patience_s:.0f} s", where=self._broker
            ) from None
        self._patience_s = FIRST_S
