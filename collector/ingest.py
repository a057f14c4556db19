"""From a message to a delivery, and from a committed delivery to its acknowledgement.

Everything that comes in is hostile until it is decoded. What cannot be decoded is kept among the
refused with its reason and is never acknowledged: the gateway keeps it, too, and a collector that
understands it one day will be offered it again.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from collector.delivery import Delivery, Reason, Refusal, row_of
from gateway.codec import MAX_BATCH_BYTES, decode_batch, encode_ack, gap_of, seal_ack
from gateway.errors import DecodeError, UnknownVersion
from gateway.model import Ack, Kind, Lane, Signed
from gateway.signing.signature import ACKNOWLEDGEMENT
from gateway.uplink import TOPIC_ROOT, Message, ack_topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.delivery import Outcome
    from collector.store import Store
    from gateway.signing.signature import PrivateKey

# Ids of gateways as `gateway.settings.Name` has them.
_UP_TOPIC = re.compile(
    re.escape(TOPIC_ROOT) + r"/([A-Za-z0-9][A-Za-z0-9._-]{0,63})/up/(urgent|routine)\Z"
)


# Always there, so that who shows them need not ask.
_TOTALS = ("batches", "not_kept", "stored", "duplicates", "conflicts")


class Intake(NamedTuple):
    """A group of messages, judged: they are stored in one transaction."""

    deliveries: tuple[Delivery, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def events(self) -> int:
        """How many events are to be stored."""
        return sum(len(delivery.rows) for delivery in self.deliveries)

    def joined(self, other: Intake) -> Intake:
        """Both in one transaction."""
        return Intake(self.deliveries + other.deliveries, self.refusals + other.refusals)


class Ingest:
    """Judges, stores, answers. Blocking; one thread at a time for `keep`.

    Args:
        store: where events go.
        key: signs acknowledgements; None leaves them unsigned.
    """

    def __init__(self, store: Store, key: PrivateKey | None = None) -> None:
        self._store = store
        self._key = key
        self._counters = Counter(dict.fromkeys(_TOTALS, 0))

    @property
    def counters(self) -> Mapping[str, int]:
        """batches, stored, duplicates, conflicts, not_kept, and refused_ with each Reason."""
        return dict(self._counters)

    def keep(self, intake: Intake) -> tuple[Message, ...]:
        """Store a group of messages; the acknowledgements of what is committed now.

        Raises:
            StoreError: nothing of the group was stored.
        """
        outcomes = self._store.commit(intake.deliveries, intake.refusals)
        for refusal in intake.refusals:
            self._counters[f"refused_{refusal.reason.value}"] += 1
        for outcome in outcomes:
            self._count(outcome)
        pairs = zip(intake.deliveries, outcomes, strict=True)
        return tuple(self._answer(delivery) for delivery, outcome in pairs if outcome.kept)

    def _answer(self, delivery: Delivery) -> Message:
        body = encode_ack(Ack(delivery.journal, delivery.lane, delivery.first, delivery.last))
        signed = self._key.sign(ACKNOWLEDGEMENT, body) if self._key else Signed(body)
        return Message(ack_topic(delivery.gateway), seal_ack(signed))

    def _count(self, outcome: Outcome) -> None:
        self._counters["batches"] += 1
        self._counters["not_kept"] += not outcome.kept
        self._counters["stored"] += outcome.stored
        self._counters["duplicates"] += outcome.duplicates
        self._counters["conflicts"] += outcome.conflicts


def judge(messages: Sequence[Message]) -> Intake:
    """Decode a group of messages."""
    deliveries: list[Delivery] = []
    refusals: list[Refusal] = []
    for message in messages:
        judged = open_message(message)
        if isinstance(judged, Refusal):
            refusals.append(judged)
        else:
            deliveries.append(judged)
            refusals += _malformed_gaps(judged)
    return Intake(tuple(deliveries), tuple(refusals))


def open_message(message: Message) -> Delivery | Refusal:
    """The batch in a message, or why it is none."""
    topic, payload = message
    place = _UP_TOPIC.match(topic)
    if place is None:
        return Refusal(topic, payload, Reason.WRONG_TOPIC, "not a topic for batches")
    if len(payload) > MAX_BATCH_BYTES:
        detail = f"{len(payload)} bytes; {MAX_BATCH_BYTES} is the most"
        return Refusal(topic[:256], payload[:MAX_BATCH_BYTES], Reason.OVERSIZED, detail)
    return _open_batch(message, gateway=place[1], lane=Lane[place[2].upper()])


def _open_batch(message: Message, *, gateway: str, lane: Lane) -> Delivery | Refusal:
    topic, payload = message
    try:
        batch, events = decode_batch(payload)
    except UnknownVersion as error:
        return Refusal(topic, payload, Reason.UNKNOWN_VERSION, str(error))
    except DecodeError as error:
        return Refusal(topic, payload, Reason.MALFORMED, str(error))
    if batch.gateway != gateway:
        return Refusal(topic, payload, Reason.WRONG_GATEWAY, f"the batch is of {batch.gateway!r}")
    if batch.lane is not lane:
        return Refusal(topic, payload, Reason.WRONG_LANE, f"the batch is {batch.lane.name.lower()}")
    pairs = zip(events, batch.events, strict=True)
    rows = tuple(row_of(seq, event, cbor) for seq, (event, cbor) in enumerate(pairs, batch.first))
    return Delivery(topic, gateway, batch.journal, lane, rows)


def _malformed_gaps(delivery: Delivery) -> list[Refusal]:
    """Gap events that do not say what is lost: stored like any event, and kept here to be seen."""
    refusals = []
    for row in delivery.rows:
        if row.event.kind is Kind.GAP:
            try:
                gap_of(row.event)
            except DecodeError as error:
                detail = f"seq {row.seq}: {error}"
                refusals.append(Refusal(delivery.topic, row.cbor, Reason.MALFORMED_GAP, detail))
    return refusals
