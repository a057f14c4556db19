"""Store and uplinks, watched on behalf of outputs and metrics.

When an alarm was stored, how long commits take, how the connection of each lane is: the collector
itself need not know who wants to.
"""

from __future__ import annotations

import contextlib
import logging
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from gateway.errors import HearthError, SettingsError, StoreError, UplinkError, UplinkLost
from gateway.model import Lane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from collector.delivery import Delivery, Outcome, Refusal
    from collector.store import Store
    from gateway.uplink import MqttUplink, Session

log = logging.getLogger("hearth.collector")

# From a commit of one call on an SSD to a database that is in trouble.
COMMIT_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class WatchedStore:
    """A Store that rings after a commit with new urgent events, and keeps the time of commits.

    Args:
        store: the one that does it all.
        ring: called on the thread that commits.
    """

    def __init__(self, store: Store, ring: Callable[[], None]) -> None:
        self._store = store
        self._ring = ring
        self._said = ""
        self.commit_counts = [0] * (len(COMMIT_BOUNDS_S) + 1)  # of each bucket, the last unbounded
        self.commit_seconds = 0.0
        self.books, self.fleet = store.books, store.fleet
        self.order, self.answer, self.close = store.order, store.answer, store.close
        self.due, self.told, self.put_off = store.due, store.told, store.put_off
        self.give_up, self.waiting = store.give_up, store.waiting

    def commit(
        self, deliveries: Sequence[Delivery], refusals: Sequence[Refusal]
    ) -> tuple[Outcome, ...]:
        """Store in one transaction; see Store."""
        started = time.monotonic()
        try:
            outcomes = self._store.commit(deliveries, refusals)
        except StoreError as error:
            self._say(_told(error), logging.WARNING)
            raise
        if self._said:
            self._say("works again", logging.INFO)
            self._said = ""
        took_s = time.monotonic() - started
        self.commit_counts[bisect_left(COMMIT_BOUNDS_S, took_s)] += 1
        self.commit_seconds += took_s
        pairs = zip(deliveries, outcomes, strict=True)
        if any(outcome.stored and delivery.lane is Lane.URGENT for delivery, outcome in pairs):
            self._ring()
        return outcomes

    def _say(self, text: str, level: int) -> None:
        if text != self._said:
            self._said = text
            log.log(level, "store: %s", text)


class WatchedUplink:
    """An Uplink that says when it is connected and why it is not, each once.

    Args:
        lane: whose it is.
        uplink: the one that connects.
        share: name of a shared subscription; only MQTT 5 has them.
    """

    def __init__(self, lane: Lane, uplink: MqttUplink, share: str = "") -> None:
        self.lane = lane.name.lower()
        self.connected = False
        self._uplink = uplink
        self._share = share
        self._said = ""

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Connect; see Uplink. UplinkLost, too, if the broker has no shared subscriptions."""
        try:
            async with self._uplink.session() as session:
                self._check_share()
                self.connected = True
                self._say(f"connected, MQTT {self._uplink.version}", logging.INFO)
                yield session
        except (UplinkError, SettingsError) as error:
            self._say(f"not connected: {_told(error)}", logging.WARNING)
            raise
        finally:
            self.connected = False

    def _check_share(self) -> None:
        if self._share and self._uplink.version != "5":
            raise UplinkLost(
                f"the broker speaks MQTT {self._uplink.version}, which has no shared subscriptions",
                hint="run one collector, without --share, or a broker that speaks MQTT 5",
            )

    def _say(self, text: str, level: int) -> None:
        if text != self._said:
            self._said = text
            log.log(level, "%s lane: %s", self.lane, text)


def _told(error: HearthError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
