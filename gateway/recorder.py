"""The one way into the journal: an observation becomes an event with device, labels and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.codec import encode_event
from gateway.model import Event, lane_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.clock import Clock
    from gateway.journal import Journal, Receipt
    from gateway.model import Observation


class Recorder:
    """Stamps, encodes and journals what devices saw."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

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
        return self._journal.append(lane_of(observation.kind), encode_event(event))
