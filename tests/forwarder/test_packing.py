"""Batches go packed where the collector understands it, and never get stuck where it does not."""

import random
import time

import cbor2
import pytest
from brokers import GATEWAY, MemoryBacklog, event_of, payload_of, until
from scripted_uplink import ScriptedUplink
from test_forwarder_rules import Rig

from gateway.codec import decode_batch, encode_event, encode_offer
from gateway.forwarding.outstanding import Parcel, State
from gateway.forwarding.packing import DOUBT_S, Packing
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
    await rig.uplink.until(lambda: rig.forwarder._packing.agreed(time.monotonic()) is understands)


async def test_nothing_is_packed_unasked():
    async with Rig().running() as rig:
        rig.append(R, ENOUGH)
        await rig.sent(R, ENOUGH)
        assert batches_of(rig, R) == [False]
        assert offer_topic() in rig.uplink.sessions[0].topics


async def test_what_is_understood_goes_packed_and_holds_the_same():
    async with Rig().running() as rig:
        for n in range(1, 4):  # each lane of a collector makes the offer, and each collector
            await offer(rig)
            await rig.uplink.until(lambda n=n: rig.forwarder._packing._offers == n)
        await learned(rig, understands=True)
        payloads = tuple(payload_of(n) for n in range(ENOUGH))
        rig.backlog.append(R, *payloads)
        await rig.sent(R, ENOUGH)
        assert all(batches_of(rig, R))
        counters = rig.forwarder.counters
        assert counters["batches_packed"] == counters["batches_sent"] == len(batches_of(rig, R))
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
        await rig.uplink.until(lambda: rig.forwarder._packing._offers)
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


async def test_what_went_before_the_collector_came_says_nothing_of_it():
    """An offer was retained, nobody was there; now somebody is, and it goes again, packed."""
    async with Rig(ack_timeout=0.2).running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        rig.append(R, ENOUGH)
        await rig.sent(R, ENOUGH)
        await offer(rig)
        await rig.uplink.until(lambda: len(batches_of(rig, R)) == 2)
        assert batches_of(rig, R) == [True, True]
        await rig.uplink.until(lambda: len(batches_of(rig, R)) == 3)
        assert batches_of(rig, R)[2] is False  # it was there this time


def test_doubt_does_not_last_for_ever():
    packing, parcel, fresh = Packing(wanted=True), Parcel(1, 9), Parcel(10, 19)
    packing.offered(Offer(frozenset({DEFLATE})))
    assert packing.packs(parcel, R, 9999, 0.0)
    parcel.tries, parcel.state = 1, State.WAITING
    assert not packing.packs(parcel, R, 9999, 1.0)
    assert not packing.packs(fresh, R, 9999, 1.0 + DOUBT_S / 2)
    assert packing.packs(fresh, R, 9999, 1.0 + DOUBT_S)


def noisy(count):
    """Events that nothing makes much smaller."""
    chance = random.Random(3)
    notes = (
        "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(120)) for _ in range(count)
    )
    return tuple(encode_event(event_of(n, detail={"note": note})) for n, note in enumerate(notes))


async def test_packed_batches_are_as_large_on_the_wire_as_others():
    async with Rig(max_batch="2 KiB").running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        for n in range(1, 60):
            rig.append(R, 20)
            await rig.sent(R, 20 * n)
            rig.uplink.acknowledge_all()
        sizes = [len(data) for name, data in rig.uplink.published if name.endswith("/up/routine")]
        rows = [len(batch.events) for batch in rig.uplink.batches]
        assert max(sizes) <= 2048
        assert max(rows) * len(payload_of(1)) > 512


async def test_what_does_not_get_smaller_goes_in_more_batches():
    async with Rig(max_batch="2 KiB").running() as rig:
        await offer(rig)
        await learned(rig, understands=True)
        uplink, events = rig.uplink, noisy(40)

        async def answer(topic, payload):
            if "/up/" in topic:
                batch, _ = decode_batch(payload)
                uplink.acknowledge(batch.journal, batch.lane, batch.first, batch.last)

        uplink.on_publish = answer
        rig.backlog.append(R, *events)
        assert await rig.forwarder.drain(10)
        sizes = [len(data) for name, data in rig.uplink.published if name.endswith("/up/routine")]
        assert max(sizes) <= 2048
        stored = {
            batch.first + n: body
            for batch in rig.uplink.batches
            for n, body in enumerate(batch.events)
        }
        assert [stored[seq] for seq in sorted(stored)] == [*events]


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
