"""Batches go packed where the collector understands it, and never get stuck where it does not."""

import cbor2
import pytest
from brokers import GATEWAY, MemoryBacklog, payload_of, until
from scripted_uplink import ScriptedUplink
from test_forwarder_rules import Rig

from gateway.codec import encode_offer
from gateway.model import DEFLATE, Lane, Offer
from gateway.uplink import ack_topic, offer_topic

U, R = Lane.URGENT, Lane.ROUTINE
UNDERSTOOD = encode_offer(Offer(frozenset({DEFLATE, "what comes later"})))
ENOUGH = 8  # readings that are worth packing, and fit one batch


def is_packed(payload: bytes) -> bool:
    return isinstance(cbor2.loads(payload)[5], bytes)


def batches_of(rig, lane):
    topic = f"/up/{lane.name.lower()}"
    return [is_packed(data) for name, data in rig.uplink.published if name.endswith(topic)]


async def offer(rig, payload=UNDERSTOOD):
    await rig.uplink.until(lambda: rig.uplink.sessions and rig.uplink.sessions[-1].topics)
    rig.uplink.say(payload, offer_topic())


async def learned(rig, *, understands):
    await rig.uplink.until(lambda: rig.forwarder._packing._understood is understands)


async def test_nothing_is_packed_unasked():
    async with Rig().running() as rig:
        rig.append(R, ENOUGH)
        await rig.sent(R, ENOUGH)
        assert batches_of(rig, R) == [False]
        assert offer_topic() in rig.uplink.sessions[0].topics


async def test_what_is_understood_goes_packed_and_holds_the_same():
    async with Rig().running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        payloads = tuple(payload_of(n) for n in range(ENOUGH))
        rig.backlog.append(R, *payloads)
        await rig.sent(R, ENOUGH)
        assert all(batches_of(rig, R))
        assert [body for batch in rig.uplink.batches for body in batch.events] == [*payloads]
        sizes = [len(data) for name, data in rig.uplink.published if name.endswith("/up/routine")]
        assert sum(sizes) < sum(map(len, payloads)) / 2
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)


async def test_calls_and_small_batches_go_as_they_are():
    async with Rig().running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        rig.append(U, ENOUGH)
        rig.append(R, 1)
        await rig.sent(U, ENOUGH)
        rig.uplink.acknowledge_all()
        await rig.sent(R, 1)
        assert not any(batches_of(rig, U) + batches_of(rig, R))


@pytest.mark.parametrize(
    "payload",
    [encode_offer(Offer(frozenset())), encode_offer(Offer(frozenset({"brotli"}))), b"", b"\xff",
     cbor2.dumps([2, ["deflate"]]), cbor2.dumps([1, "deflate"]), cbor2.dumps([1, [["deflate"]]])],
)  # fmt: skip
async def test_what_does_not_say_deflate_means_nothing(payload):
    async with Rig().running() as rig:
        await offer(rig, payload)
        rig.uplink.say(b"garbage", ack_topic(GATEWAY))  # taken after the offer was
        await rig.uplink.until(lambda: rig.forwarder.counters["acks_malformed"])
        rig.append(R, ENOUGH)
        await rig.sent(R, ENOUGH)
        assert batches_of(rig, R) == [False]


async def test_nothing_is_packed_where_it_is_not_wanted():
    async with Rig(compress=False).running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        rig.append(R, ENOUGH)
        await rig.sent(R, ENOUGH)
        assert batches_of(rig, R) == [False]


async def test_a_collector_that_comes_is_told_of_calls_at_once():
    """Its broker was back before it was: the call reached nobody, and must not wait for that."""
    async with Rig(ack_timeout=3600.0).running() as rig:
        rig.forwarder._outboxes[(rig.backlog.uuid, U)]._ack_timeout_s = 3600.0
        rig.append(U, 1)
        rig.append(R, 1)
        await rig.uplink.until(lambda: rig.uplink.ranges(U) and rig.uplink.ranges(R))
        await until(
            lambda: not any(box.outstanding.flying for box in rig.forwarder._outboxes.values())
        )
        await offer(rig)
        await rig.uplink.until(lambda: len(rig.uplink.ranges(U)) == 2)
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        assert len(rig.uplink.ranges(R)) == 1


async def test_what_a_collector_does_not_answer_goes_again_as_it_is():
    """The offer outlived the collector that made it: the one that is there now is older."""
    async with Rig(ack_timeout=0.05).running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        rig.append(R, ENOUGH)
        await rig.uplink.until(lambda: len(batches_of(rig, R)) >= 2)
        assert batches_of(rig, R)[:2] == [True, False]
        rig.append(R, ENOUGH)
        await rig.sent(R, 2 * ENOUGH)
        assert not any(batches_of(rig, R)[1:])  # nor is anything else packed now
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        rig.append(R, ENOUGH)
        await rig.sent(R, 3 * ENOUGH)
        assert not any(batches_of(rig, R)[1:])
        await offer(rig)  # a collector that understands it came
        await learned(rig, understands=True)
        rig.append(R, ENOUGH)
        await rig.sent(R, 4 * ENOUGH)
        assert batches_of(rig, R)[-1]


async def test_a_late_answer_to_a_packed_batch_ends_the_doubt():
    async with Rig(ack_timeout=0.5).running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        rig.append(R, ENOUGH)
        await rig.sent(R, ENOUGH)
        rig.append(R, ENOUGH)
        await rig.sent(R, 2 * ENOUGH)
        await rig.uplink.until(lambda: len(batches_of(rig, R)) == 3)
        assert batches_of(rig, R) == [True, True, False]  # one is asked for again, as it is
        _, second, _ = rig.uplink.batches
        rig.uplink.acknowledge(second.journal, R, second.first, second.last)
        await learned(rig, understands=True)
        rig.append(R, ENOUGH)
        await rig.sent(R, 3 * ENOUGH)
        assert batches_of(rig, R)[-1]


async def test_a_lost_link_sends_again_as_it_was_agreed_then():
    uplink = ScriptedUplink(GATEWAY)
    async with Rig(uplink).running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        rig.append(R, ENOUGH)
        await rig.sent(R, ENOUGH)
        uplink.sessions[-1].lose()
        await rig.uplink.until(lambda: len(batches_of(rig, R)) == 2)
        assert batches_of(rig, R) == [True, False]  # the new session has heard of no offer yet
        assert uplink.batches[0].events == uplink.batches[1].events


def test_the_backlog_of_these_tests_is_worth_packing():
    backlog = MemoryBacklog()
    backlog.append(R, *(payload_of(n) for n in range(ENOUGH)))
    assert sum(map(len, backlog.read(R, 0, 1 << 20).payloads)) > 400
