"""What the benchmarks of the journal write: the events of a home, in journals of one make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.journal import Journal
from gateway.model import Event, Kind, Lane, Measurement, Observation

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files

QUOTA = 64 << 20
READING = Observation(
    Kind.MEASUREMENT, (Measurement("volume", 12.345, "m3"), Measurement("flow", 1e-4, "m3/s"))
)


def call() -> bytes:
    """A press of a button, about 60 bytes."""
    event = Event(Kind.CALL, "call-bedroom", SystemClock().stamp(), labels={"room": "bedroom"})
    return encode_event(event)


def reading() -> bytes:
    """Two values of a meter, about 100 bytes."""
    labels = {"room": "kitchen"}
    stamp = SystemClock().stamp()
    return encode_event(Event(READING.kind, "meter-kitchen", stamp, READING.measurements, labels))


def open_journal(
    folder: Path, *, interval_s: float = 3600, quota: int = QUOTA, files: Files | None = None
) -> Journal:
    """A journal that commits routine events when it is told to, unless `interval_s` says when."""
    return Journal.open(
        folder, quota_bytes=quota, clock=SystemClock(), commit_interval_s=interval_s, files=files
    )


def fill(journal: Journal, payload: bytes, count: int) -> None:
    """So many durable routine events more."""
    target = journal.accepted(Lane.ROUTINE) + count
    while (accepted := journal.accepted(Lane.ROUTINE)) < target:
        for _ in range(min(max(1, (256 << 10) // len(payload)), target - accepted)):
            journal.append(Lane.ROUTINE, payload)
        journal.flush()
