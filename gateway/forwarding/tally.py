"""How often what happened on the way up and down."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.errors import HearthError
    from gateway.forwarding.outbox import Outgoing
    from gateway.uplink import Traffic

# Every counter, so that health can show what never happened, too.
NAMES = (
    "sessions",
    "sessions_failed",
    "batches_sent",
    "batches_resent",
    "batches_packed",
    "events_sent",
    "bytes_sent",  # of batches; wire_bytes are everything, with the heads of packets
    "wire_bytes_sent",
    "wire_bytes_received",
    "publishes_refused",
    "events_acknowledged",
    "acks_taken",
    "acks_stale",  # the answer to another sending of the same batch
    "acks_never_sent",
    "acks_malformed",
    "acks_unknown_version",
    "acks_wrong_journal",
    "acks_wrong_topic",
    "acks_untrusted",  # not signed by one of `ack_keys`
    "offers_malformed",
    "offers_not_subscribed",
    "commands_not_subscribed",
    "commands_dropped",  # more at once than MAX_COMMANDS
    "replies_sent",
    "replies_refused",
)


class Tally(Counter[str]):
    """Counters by the names of NAMES, all there from the start; and why something last failed."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(NAMES, 0))
        self.last_error: HearthError | None = None

    def sent(self, outgoing: Outgoing, payload: bytes) -> None:
        """A batch is handed to the link."""
        self["batches_sent"] += 1
        self["batches_resent"] += outgoing.parcel.tries > 1
        self["batches_packed"] += bool(outgoing.parcel.packed)
        self["events_sent"] += len(outgoing.events)
        self["bytes_sent"] += len(payload)

    def passed(self, before: Traffic, now: Traffic) -> None:
        """So much went over the connection between two looks at it."""
        self["wire_bytes_sent"] += now.sent_bytes - before.sent_bytes
        self["wire_bytes_received"] += now.received_bytes - before.received_bytes

    def failed(self, error: HearthError, counter: str) -> None:
        """Something went wrong that keeps nothing back."""
        self.last_error = error
        self[counter] += 1
