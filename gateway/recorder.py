"""The one way into the journal: an observation becomes an event with device, labels and time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gateway.codec import encode_event
from gateway.errors import JournalError
from gateway.model import Event, lane_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.clock import Clock
    from gateway.journal import Journal, Receipt
    from gateway.model import Observation

    # Told of an event that the journal accepted, and of its place there.
    Watcher = Callable[[Event, int], None]

log = logging.getLogger("hearth.recorder")


def try_to(record: Callable[[Observation], object], seen: Observation) -> bool:
    """Record what its caller can do without; whether the journal took it.

    One that is full, on a failing flash and without an uplink, must not end the daemon: there are
    calls in its memory. That it takes nothing is told by others.
    """
    try:
        record(seen)
    except JournalError as error:
        log.warning("%s could not be recorded: %s", seen.kind.name.lower(), error)
        return False
    return True


class Recorder:
    """Stamps, encodes and journals what devices saw."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Call back, in the event loop and at once, with every event the journal accepted.

        A watcher only notes it: what devices have to say waits for none.
        """
        self._watchers.append(watcher)

    def record(
        self, observation: Observation, device: str, labels: Mapping[str, str] = {}
    ) -> Receipt:
        """Accept one observation; awaiting the receipt returns once it is on flash.

        Raises:
            JournalSaturated, JournalClosed: not accepted.
            DecodeError: larger than an event may be; not accepted.
        """
        event = Event(
            kind=observation.kind,
            device=device,
            stamp=self._clock.stamp(observation.uptime_ms),
            measurements=observation.measurements,
            labels=dict(labels),
            detail=observation.detail,
        )
        receipt = self._journal.append(lane_of(observation.kind), encode_event(event))
        for watcher in self._watchers:
            watcher(event, receipt.seq)
        return receipt
