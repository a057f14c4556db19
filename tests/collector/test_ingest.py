"""What comes in is hostile until it is decoded."""

import cbor2
import pytest
from brokers import GATEWAY, JOURNAL, event_of, payload_of
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.delivery import Delivery, Outcome, Reason, Refusal
from collector.ingest import Ingest, Intake, judge, open_message
from gateway.codec import MAX_BATCH_BYTES, decode_ack, encode_batch, encode_event, open_ack
from gateway.model import Ack, Batch, Kind, Lane
from gateway.signing.signature import ACKNOWLEDGEMENT, PrivateKey
from gateway.uplink import Message, ack_topic, up_topic

R, U = Lane.ROUTINE, Lane.URGENT
TOPIC = up_topic(GATEWAY, R)


def batch_bytes(first=1, count=3, gateway=GATEWAY, lane=R):
    events = tuple(payload_of(n) for n in range(count))
    return encode_batch(Batch(gateway, JOURNAL, lane, first, events))


def test_a_batch_becomes_rows():
    delivery = open_message(Message(TOPIC, batch_bytes(first=10)))
    assert isinstance(delivery, Delivery)
    assert [row.seq for row in delivery.rows] == [10, 11, 12]
    assert [row.cbor for row in delivery.rows] == [payload_of(n) for n in range(3)]
    assert (delivery.gateway, delivery.lane, delivery.journal) == (GATEWAY, R, JOURNAL)


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPIC, b"", Reason.MALFORMED),
        (TOPIC, b"\xff" * 50, Reason.MALFORMED),
        (TOPIC, bytes(MAX_BATCH_BYTES + 1), Reason.OVERSIZED),
        (TOPIC, cbor2.dumps([2, "anything"]), Reason.UNKNOWN_VERSION),
        (TOPIC, batch_bytes(gateway="gw-2"), Reason.WRONG_GATEWAY),
        (TOPIC, batch_bytes(lane=U), Reason.WRONG_LANE),
        (up_topic("gw-2", R), batch_bytes(), Reason.WRONG_GATEWAY),
        ("hearth/v1/gw-1/up/other", batch_bytes(), Reason.WRONG_TOPIC),
        ("hearth/v1/gw-1/ack", batch_bytes(), Reason.WRONG_TOPIC),
        ("hearth/v1/../up/routine", batch_bytes(), Reason.WRONG_TOPIC),
        (TOPIC + "\n", batch_bytes(), Reason.WRONG_TOPIC),
        ("x/" + TOPIC, batch_bytes(), Reason.WRONG_TOPIC),
    ],
)
def test_what_is_refused_has_its_reason(topic, payload, reason):
    refusal = open_message(Message(topic, payload))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert refusal.detail
    assert len(refusal.payload) <= MAX_BATCH_BYTES


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_no_bytes_do_harm(payload):
    assert isinstance(open_message(Message(TOPIC, payload)), Refusal)


@given(st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_is_refused_or_another_batch(at, bit):
    data = bytearray(batch_bytes())
    data[at % len(data)] ^= 1 << bit
    assert isinstance(open_message(Message(TOPIC, bytes(data))), Refusal | Delivery)


def test_a_gap_event_that_does_not_say_what_is_lost_is_stored_and_seen():
    event = encode_event(event_of(1, Kind.GAP, detail={"lane": "routine", "first": 9, "last": 3}))
    intake = judge([Message(TOPIC, encode_batch(Batch(GATEWAY, JOURNAL, R, 5, (event,))))])
    assert len(intake.deliveries) == 1
    assert [(r.reason, r.payload) for r in intake.refusals] == [(Reason.MALFORMED_GAP, event)]


class ScriptedStore:
    def __init__(self, outcomes):
        self.outcomes = outcomes

    def commit(self, deliveries, refusals):
        return self.outcomes[: len(deliveries)]


def test_only_what_is_kept_is_acknowledged_each_batch_as_it_came():
    messages = [Message(TOPIC, batch_bytes(1)), Message(TOPIC, batch_bytes(4)), Message(TOPIC, b"")]
    ingest = Ingest(ScriptedStore((Outcome(kept=True, stored=3), Outcome(kept=False))))
    (answer,) = ingest.keep(judge(messages))
    assert answer.topic == ack_topic(GATEWAY)
    assert decode_ack(answer.payload) == Ack(JOURNAL, R, 1, 3)
    assert ingest.counters == {
        "batches": 2, "not_kept": 1, "stored": 3, "duplicates": 0, "conflicts": 0,
        "refused_malformed": 1,
    }  # fmt: skip


def test_with_a_key_each_answer_is_signed():
    key = PrivateKey.generate()
    ingest = Ingest(ScriptedStore((Outcome(kept=True, stored=3),)), key)
    (answer,) = ingest.keep(judge([Message(TOPIC, batch_bytes(1))]))
    signed = open_ack(answer.payload)
    assert key.public.verifies(ACKNOWLEDGEMENT, signed)
    assert decode_ack(signed.body) == Ack(JOURNAL, R, 1, 3)


def test_joined_intakes_keep_their_order():
    one, two = judge([Message(TOPIC, batch_bytes(1))]), judge([Message(TOPIC, batch_bytes(4))])
    joined = Intake().joined(one).joined(two)
    assert [delivery.first for delivery in joined.deliveries] == [1, 4]
    assert joined.events == 6
