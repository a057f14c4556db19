"""What is sent, sent again, freed and refused: every rule of the forwarder, without a broker."""

import asyncio
import contextlib

import cbor2
import pytest
from brokers import GATEWAY, JOURNAL, MemoryBacklog, payload_of, until
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_uplink import ScriptedSession, ScriptedUplink

from gateway.codec import encode_ack
from gateway.errors import JournalClosed, PublishRefused, UplinkLost
from gateway.forwarding import forwarder as forwarder_module
from gateway.forwarding import outbox as outbox_module
from gateway.forwarding import patience as patience_module
from gateway.forwarding import right_of_way as way_module
from gateway.forwarding.forwarder import ROUTINE_PLACES, Forwarder
from gateway.forwarding.outbox import MAX_OUTSTANDING
from gateway.forwarding.right_of_way import URGENT_PLACES
from gateway.model import Ack, Lane
from gateway.settings import UplinkSettings
from gateway.uplink import Message, down_topic, reply_topic, state_topic

U, R = Lane.URGENT, Lane.ROUTINE


class Rig:
    def __init__(self, uplink=None, **changes) -> None:
        self.uplink = uplink or ScriptedUplink(GATEWAY)
        self.backlog = MemoryBacklog()
        fields = {"url": "mqtt://127.0.0.1", "max_batch": "1 KiB", "ack_timeout": 60.0, **changes}
        self.forwarder = Forwarder(GATEWAY, UplinkSettings(**fields), (self.backlog,), self.uplink)

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.forwarder.run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)

    def append(self, lane, count=1):
        return self.backlog.append(lane, *(payload_of(n) for n in range(count)))

    def freed(self, lane):
        return self.backlog.acknowledged(lane)

    async def sent(self, lane, through):
        await self.uplink.until(lambda: any(r[1] >= through for r in self.uplink.ranges(lane)))


@pytest.fixture(autouse=True)
def quick_reconnect(monkeypatch):
    monkeypatch.setattr(forwarder_module, "RECONNECT_FIRST_S", 0.01)
    monkeypatch.setattr(forwarder_module, "RECONNECT_LEAST_S", 0.001)


async def test_a_batch_is_freed_by_its_acknowledgement_and_not_by_the_puback():
    async with Rig().running() as rig:
        rig.append(R, 3)
        await rig.sent(R, 3)
        assert not await rig.forwarder.drain(0.05)
        assert rig.freed(R) == 0
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        assert rig.freed(R) == 3
        assert rig.forwarder.outstanding == 0
        assert rig.forwarder.counters["events_acknowledged"] == 3


async def test_what_is_only_in_memory_goes_under_its_own_uuid():
    rig = Rig()
    memory = MemoryBacklog(bytes(reversed(JOURNAL)))
    settings = UplinkSettings(url="mqtt://127.0.0.1", ack_timeout=60.0)
    rig.forwarder = Forwarder(GATEWAY, settings, (rig.backlog, memory), rig.uplink)
    async with rig.running():
        rig.append(U, 2)
        memory.append(U, payload_of(7))
        memory.append(R, payload_of(8))
        await rig.uplink.until(lambda: len({(b.journal, b.lane) for b in rig.uplink.batches}) == 3)
        rig.uplink.acknowledge(memory.uuid, U, 1, 1)
        await rig.uplink.until(lambda: memory.acknowledged(U) == 1)
        assert (rig.freed(U), memory.acknowledged(R)) == (0, 0), "each answer frees what it names"
        assert not await rig.forwarder.drain(0.05)
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        assert (rig.freed(U), memory.acknowledged(R)) == (2, 1)


async def test_with_ack_broker_the_puback_frees_and_nothing_is_subscribed():
    async with Rig(ack="broker").running() as rig:
        rig.append(R, 3)
        rig.append(U)
        assert await rig.forwarder.drain(5)
        assert (rig.freed(R), rig.freed(U)) == (3, 1)
        assert rig.uplink.sessions[0].topics == []


async def test_online_is_retained():
    async with Rig().running() as rig:
        await rig.uplink.until(lambda: rig.uplink.published)
        topic, payload = rig.uplink.published[0]
        assert (topic, cbor2.loads(payload)) == (state_topic(GATEWAY), [1, "online"])


async def test_batches_are_of_one_lane_and_within_their_size():
    async with Rig().running() as rig:
        rig.append(R, 100)
        await rig.sent(R, 100)
        assert max(len(payload) for _, payload in rig.uplink.published) <= 1024
        seqs = [s for first, last in rig.uplink.ranges(R) for s in range(first, last + 1)]
        assert seqs == list(range(1, 101))


async def test_the_journal_is_freed_up_to_the_first_batch_that_is_not_stored():
    async with Rig().running() as rig:
        rig.append(R, 30)
        await rig.sent(R, 30)
        ranges = rig.uplink.ranges(R)
        assert len(ranges) > 2
        for first, last in ranges[1:]:
            rig.uplink.acknowledge(JOURNAL, R, first, last)
        await rig.uplink.until(lambda: rig.forwarder.counters.get("acks_taken") == len(ranges) - 1)
        assert rig.freed(R) == 0
        rig.uplink.acknowledge(JOURNAL, R, *ranges[0])
        assert await rig.forwarder.drain(5)
        assert rig.freed(R) == 30


HOSTILE = {
    "malformed": b"\xff",
    "unknown_version": cbor2.dumps([2, JOURNAL, 1, 1, 5]),
    "wrong_journal": encode_ack(Ack(bytes(16), R, 1, 5)),
    "never_sent": encode_ack(Ack(JOURNAL, R, 1, 4)),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_bad_acknowledgement_frees_nothing_and_is_counted(name):
    async with Rig().running() as rig:
        rig.append(R, 5)
        await rig.sent(R, 5)
        rig.uplink.say(HOSTILE[name])
        await rig.uplink.until(lambda: rig.forwarder.counters.get(f"acks_{name}") == 1)
        assert rig.freed(R) == 0
        rig.uplink.acknowledge(JOURNAL, R, 1, 5)
        assert await rig.forwarder.drain(5)


async def test_an_acknowledgement_on_another_topic_counts_for_nothing():
    async with Rig().running() as rig:
        rig.append(R, 5)
        await rig.sent(R, 5)
        rig.uplink.say(encode_ack(Ack(JOURNAL, R, 1, 5)), "hearth/v1/other/ack")
        await rig.uplink.until(lambda: rig.forwarder.counters.get("acks_wrong_topic") == 1)
        assert rig.freed(R) == 0


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_bytes_are_an_acknowledgement_by_chance(data):
    async def story():
        rig = Rig()
        rig.forwarder._outboxes[JOURNAL, R].outstanding.add(1, 5)
        verdict = rig.forwarder._incoming.judge(data)
        assert verdict in {"malformed", "unknown_version", "wrong_journal", "never_sent"}

    asyncio.run(story())


async def test_urgent_goes_before_a_backlog_and_has_its_places():
    uplink = ScriptedUplink(GATEWAY)
    rig, gate = Rig(uplink), asyncio.Event()

    async def stuck_routine(topic, payload):
        if topic.endswith("routine"):
            await gate.wait()

    uplink.on_publish = stuck_routine
    rig.append(R, 2000)
    async with rig.running():
        await uplink.until(lambda: uplink.ranges(R))
        rig.append(U)
        await uplink.until(lambda: uplink.ranges(U))  # while no routine batch was confirmed
        rig.uplink.acknowledge(JOURNAL, U, 1, 1)
        await uplink.until(lambda: rig.freed(U) == 1)
        gate.set()


async def test_no_routine_batch_is_handed_over_while_an_urgent_one_could_be():
    rig = Rig(max_batch="1 KiB")
    rig.append(R, 50)
    rig.append(U, 50)
    async with rig.running():
        await rig.sent(R, 50)
        lanes = [batch.lane for batch in rig.uplink.batches]
        assert lanes == sorted(lanes)


async def test_the_window_is_kept():
    uplink = ScriptedUplink(GATEWAY)
    rig, gate = Rig(uplink), asyncio.Event()
    fast = 150

    async def then_slow(topic, payload):
        if len(uplink.published) > fast:
            await gate.wait()

    uplink.on_publish = then_slow
    rig.append(R, 4000)

    async with rig.running():
        told = 0
        while uplink.in_flight < ROUTINE_PLACES:
            ranges = uplink.ranges(R)
            for first, last in ranges[told:]:
                uplink.acknowledge(JOURNAL, R, first, last)
            told = len(ranges)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert uplink.in_flight == ROUTINE_PLACES
        rig.append(U, 200)
        await uplink.until(lambda: uplink.in_flight == ROUTINE_PLACES + URGENT_PLACES)
        assert uplink.most_in_flight <= uplink.window
        gate.set()


async def test_how_much_may_wait_for_the_collector_is_bounded():
    async with Rig().running() as rig:
        rig.append(R, 5000)
        await rig.uplink.until(lambda: rig.forwarder.outstanding == MAX_OUTSTANDING)
        await asyncio.sleep(0.05)
        assert len(rig.uplink.ranges(R)) == MAX_OUTSTANDING
        rig.uplink.acknowledge(JOURNAL, R, *rig.uplink.ranges(R)[0])
        await rig.uplink.until(lambda: len(rig.uplink.ranges(R)) == MAX_OUTSTANDING + 1)


async def test_a_lost_link_sends_the_same_batches_again():
    async with Rig().running() as rig:
        rig.append(R, 30)
        await rig.sent(R, 30)
        before = rig.uplink.ranges(R)
        rig.append(R, 5)
        await rig.sent(R, 35)
        before = rig.uplink.ranges(R)
        rig.uplink.sessions[-1].lose()
        await rig.uplink.until(lambda: len(rig.uplink.ranges(R)) == 2 * len(before))
        assert rig.uplink.ranges(R)[len(before) :] == before
        assert isinstance(rig.forwarder.last_error, UplinkLost)
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)


async def test_an_acknowledgement_of_the_first_sending_fits_after_the_link_was_lost():
    async with Rig().running() as rig:
        rig.append(R, 3)
        await rig.sent(R, 3)
        rig.uplink.sessions[-1].lose()
        await rig.uplink.until(lambda: len(rig.uplink.sessions) == 2)
        rig.uplink.acknowledge(JOURNAL, R, 1, 3)
        assert await rig.forwarder.drain(5)


async def test_a_missing_acknowledgement_sends_one_batch_again():
    async with Rig(ack_timeout=0.05).running() as rig:
        rig.append(R, 30)
        await rig.sent(R, 30)
        ranges = rig.uplink.ranges(R)
        await rig.uplink.until(lambda: len(rig.uplink.ranges(R)) > len(ranges) + 1)
        again = rig.uplink.ranges(R)[len(ranges) :]
        assert again == ranges[: len(again)]  # one after the other, each as it was
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        assert rig.forwarder.counters["batches_resent"] >= 2


async def test_a_call_is_told_again_soon_however_patient_the_settings_are(monkeypatch):
    monkeypatch.setattr(outbox_module, "URGENT_PATIENCE_S", 0.05)
    async with Rig(ack_timeout=60.0).running() as rig:
        rig.append(R, 3)
        await rig.sent(R, 3)
        rig.append(U)
        await rig.uplink.until(lambda: len(rig.uplink.ranges(U)) >= 2)
        assert rig.uplink.ranges(U)[:2] == [(1, 1), (1, 1)]
        assert rig.uplink.ranges(R) == [(1, 3)]  # readings have time
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)


async def test_patience_grows_while_the_collector_is_silent(monkeypatch):
    monkeypatch.setitem(outbox_module.PATIENCE_CAP_S, R, 1000.0)
    async with Rig(ack_timeout=0.02).running() as rig:
        rig.append(R, 1)
        await rig.uplink.until(lambda: len(rig.uplink.ranges(R)) >= 3)
        await asyncio.sleep(1)
        # 0.02, 0.04, 0.08, 0.16, 0.32, ... each drawn from its upper half.
        assert len(rig.uplink.ranges(R)) <= 8


async def test_a_hole_in_the_journal_is_stepped_over():
    rig = Rig()
    rig.append(R, 20)
    rig.backlog.lose(R, 5, 9)
    async with rig.running():
        await rig.sent(R, 20)
        seqs = [s for first, last in rig.uplink.ranges(R) for s in range(first, last + 1)]
        assert seqs == [*range(1, 5), *range(10, 21)]
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        assert rig.freed(R) == 20


async def test_what_the_journal_lost_of_a_batch_meanwhile_is_left_out():
    async with Rig().running() as rig:
        rig.append(R, 8)
        await rig.sent(R, 8)
        assert rig.uplink.ranges(R) == [(1, 8)]
        rig.backlog.lose(R, 3, 4)
        rig.uplink.sessions[-1].lose()
        await rig.uplink.until(lambda: len(rig.uplink.ranges(R)) == 3)
        assert rig.uplink.ranges(R)[1:] == [(1, 2), (5, 8)]
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        assert rig.freed(R) == 8
        assert rig.forwarder.counters["acks_never_sent"] == 1  # that of 1..8, now of no batch


async def test_a_batch_that_the_journal_lost_whole_is_given_up():
    async with Rig().running() as rig:
        rig.append(R, 3)
        await rig.sent(R, 3)
        rig.backlog.lose(R, 1, 3)
        rig.uplink.sessions[-1].lose()
        assert await rig.forwarder.drain(5)
        assert rig.freed(R) == 3


async def test_a_refused_batch_is_tried_again_and_its_acknowledgement_is_not_believed():
    rig = Rig(ack_timeout=0.3)
    refusals = 1

    async def refuse_once(topic, payload):
        nonlocal refusals
        if "/up/" in topic and refusals:
            refusals -= 1
            raise PublishRefused("Not authorized")

    rig.uplink.on_publish = refuse_once
    async with rig.running():
        rig.append(R, 2)
        await rig.uplink.until(lambda: rig.forwarder.counters.get("publishes_refused") == 1)
        rig.uplink.acknowledge(JOURNAL, R, 1, 2)
        await rig.uplink.until(lambda: rig.forwarder.counters.get("acks_never_sent") == 1)
        assert rig.freed(R) == 0
        assert isinstance(rig.forwarder.last_error, PublishRefused)
        await rig.uplink.until(lambda: len(rig.uplink.ranges(R)) == 2)
        rig.uplink.acknowledge(JOURNAL, R, 1, 2)
        assert await rig.forwarder.drain(5)
        assert len(rig.uplink.sessions) == 1


async def test_an_urgent_event_does_not_wait_for_the_next_try_to_connect(monkeypatch):
    monkeypatch.setattr(forwarder_module, "RECONNECT_FIRST_S", 1000.0)
    monkeypatch.setattr(forwarder_module, "RECONNECT_CAP_S", 1000.0)
    rig = Rig()
    rig.uplink.down = UplinkLost("no broker")
    async with rig.running():
        await rig.uplink.until(lambda: rig.forwarder.counters.get("sessions_failed") == 1)
        rig.uplink.down = None
        rig.append(U)
        await rig.sent(U, 1)


async def test_while_an_urgent_event_waits_the_pauses_are_short(monkeypatch):
    """One that came during an outage must not wait for the longest pause after it."""
    monkeypatch.setattr(forwarder_module, "RECONNECT_FIRST_S", 1000.0)
    monkeypatch.setattr(forwarder_module, "RECONNECT_CAP_S", 1000.0)
    monkeypatch.setattr(forwarder_module, "RECONNECT_URGENT_CAP_S", 0.01)
    rig = Rig()
    rig.uplink.down = UplinkLost("no broker")
    rig.append(U)
    async with rig.running():
        await rig.uplink.until(lambda: rig.forwarder.counters.get("sessions_failed") > 3)
        rig.uplink.down = None
        await rig.sent(U, 1)


async def test_routine_waits_for_the_acknowledgement_of_an_urgent_batch(monkeypatch):
    monkeypatch.setattr(way_module, "CLEARANCE_S", 1000.0)
    async with Rig().running() as rig:
        rig.append(U)
        await rig.sent(U, 1)
        rig.append(R, 3)
        await asyncio.sleep(0.05)
        assert rig.uplink.ranges(R) == []
        rig.uplink.acknowledge(JOURNAL, U, 1, 1)
        await rig.sent(R, 3)


async def test_routine_waits_no_longer_than_the_clearance(monkeypatch):
    monkeypatch.setattr(way_module, "CLEARANCE_S", 0.05)
    async with Rig().running() as rig:
        rig.append(U)
        await rig.sent(U, 1)
        rig.append(R, 3)
        await rig.sent(R, 3)
        assert rig.freed(U) == 0


async def test_a_journal_that_fails_ends_the_run():
    rig = Rig()

    def broken(lane, after, max_bytes):
        raise JournalClosed("closed")

    rig.backlog.read = broken
    with pytest.raises(JournalClosed):
        await asyncio.wait_for(rig.forwarder.run(), 5)


async def test_batches_shrink_to_what_the_broker_takes():
    async with Rig(ScriptedUplink(GATEWAY, max_payload=600)).running() as rig:
        rig.append(R, 30)
        await rig.sent(R, 30)
        assert max(len(payload) for _, payload in rig.uplink.published) <= 600


async def test_an_idle_forwarder_does_not_ask_the_journal():
    async with Rig().running() as rig:
        rig.append(R, 3)
        await rig.sent(R, 3)
        rig.uplink.acknowledge_all()
        outboxes = rig.forwarder._outboxes.values()
        await rig.uplink.until(lambda: rig.freed(R) == 3 and all(o._exhausted for o in outboxes))
        reads = rig.backlog.reads
        await asyncio.sleep(0.1)
        assert rig.backlog.reads == reads


async def test_a_cancellation_is_kept_even_when_the_link_breaks_with_it():
    for delay in range(20):
        rig = Rig()
        task = asyncio.create_task(rig.forwarder.run())
        await rig.uplink.until(lambda rig=rig: rig.uplink.sessions)
        rig.append(R, 1)
        rig.uplink.sessions[-1].lose()
        for _ in range(delay):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        assert done, f"survived the cancellation, {delay} turns after the loss"


# --- commands ---


class Echo:
    """Carries out nothing, and says so."""

    async def handle(self, message):
        return Message(reply_topic(message.topic), message.payload)


def with_commands(**changes):
    rig = Rig(**changes)
    settings = UplinkSettings(url="mqtt://127.0.0.1", ack_timeout=60.0)
    rig.forwarder = Forwarder(GATEWAY, settings, (rig.backlog,), rig.uplink, commands=Echo())
    return rig


async def test_a_refused_reply_is_counted_and_the_session_goes_on():
    rig = with_commands()

    async def on_publish(topic, payload):
        if topic.endswith("/reply"):
            raise PublishRefused("not authorised")

    rig.uplink.on_publish = on_publish
    async with rig.running():
        await rig.uplink.until(lambda: rig.uplink.published)
        rig.uplink.say(b"x", down_topic(GATEWAY, "a"))
        await rig.uplink.until(lambda: rig.forwarder.counters["replies_refused"] == 1)
        rig.append(R)
        await rig.sent(R, 1)
        assert len(rig.uplink.sessions) == 1


async def test_a_subscription_to_commands_that_is_refused_keeps_no_event_back(monkeypatch):
    rig = with_commands()

    async def subscribe(self, topic):
        if "/down/" in topic:
            raise UplinkLost("the broker refused the subscription")
        self.topics.append(topic)

    monkeypatch.setattr(ScriptedSession, "subscribe", subscribe)
    async with rig.running():
        rig.append(R)
        await rig.sent(R, 1)
        rig.uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)
        assert rig.forwarder.counters["commands_not_subscribed"] == 1
        assert rig.forwarder.counters["sessions_failed"] == 0


async def test_a_call_that_nobody_confirms_goes_over_another_connection(monkeypatch):
    """The link is half open: what is sent vanishes, and no ping is due for minutes."""
    monkeypatch.setattr(patience_module, "FIRST_S", 0.1)
    uplink = ScriptedUplink(GATEWAY)
    vanished = asyncio.Event()

    async def first_session_is_dead(topic, payload):
        if len(uplink.sessions) == 1 and "/up/" in topic:
            await vanished.wait()

    uplink.on_publish = first_session_is_dead
    async with Rig(uplink).running() as rig:
        rig.append(U, 1)
        rig.append(R, 1)
        await uplink.until(lambda: len(uplink.ranges(U)) == 2)
        assert len(uplink.sessions) == 2
        assert "does not confirm a call" in str(rig.forwarder.last_error)
        uplink.acknowledge_all()
        await rig.sent(R, 1)
        uplink.acknowledge_all()
        assert await rig.forwarder.drain(5)


async def test_calls_in_hand_when_a_link_is_lost_do_not_make_the_next_one_wait(monkeypatch):
    """Only a call that was not confirmed in time says that the link is slow."""
    monkeypatch.setattr(patience_module, "FIRST_S", 2.0)
    uplink = ScriptedUplink(GATEWAY)
    vanished = asyncio.Event()

    async def two_sessions_are_dead(topic, payload):
        if len(uplink.sessions) <= 2 and "/up/" in topic:
            await vanished.wait()

    uplink.on_publish = two_sessions_are_dead
    async with Rig(uplink).running() as rig:
        for n in range(1, URGENT_PLACES + 1):
            rig.append(U, 1)
            await rig.sent(U, n)
        uplink.sessions[-1].lose()
        await uplink.until(lambda: len(uplink.sessions) == 2)
        assert rig.forwarder._sending._patience._patience_s == 2.0
        await uplink.until(lambda: len(uplink.sessions) == 3)  # the second was given no longer
        uplink.acknowledge_all()


async def test_a_slow_link_is_given_more_time_until_it_answers(monkeypatch):
    monkeypatch.setattr(patience_module, "FIRST_S", 0.05)
    uplink = ScriptedUplink(GATEWAY)
    vanished = asyncio.Event()

    async def three_sessions_are_dead(topic, payload):
        if len(uplink.sessions) <= 3 and "/up/" in topic:
            await vanished.wait()

    uplink.on_publish = three_sessions_are_dead
    async with Rig(uplink).running() as rig:
        patience = []
        rig.append(U, 1)
        for n in range(2, 5):
            await uplink.until(lambda n=n: len(uplink.sessions) == n)
            patience.append(rig.forwarder._sending._patience._patience_s)
        assert patience == [0.1, 0.2, 0.4]
        await until(lambda: rig.forwarder._sending._patience._patience_s == 0.05)
        uplink.acknowledge_all()


async def test_readings_that_nobody_confirms_wait_for_the_keepalive(monkeypatch):
    monkeypatch.setattr(patience_module, "FIRST_S", 0.01)
    uplink = ScriptedUplink(GATEWAY)
    slow = asyncio.Event()

    async def wait(topic, payload):
        if topic.endswith("/up/routine"):
            await slow.wait()

    uplink.on_publish = wait
    async with Rig(uplink).running() as rig:
        rig.append(R, 1)
        await rig.sent(R, 1)
        await asyncio.sleep(0.1)  # ten times the patience that a call has
        assert len(uplink.sessions) == 1
        slow.set()


async def test_calls_without_end_do_not_stop_the_readings(monkeypatch):
    """Each clears the way for itself; together they must not close it."""
    monkeypatch.setattr(way_module, "CLEARANCE_S", 0.05)
    async with Rig().running() as rig:
        calls = rig.append(U, URGENT_PLACES)
        await rig.sent(U, URGENT_PLACES)
        rig.append(R, 1)
        while not rig.uplink.ranges(R):
            calls = rig.append(U, 1)  # before the last one is acknowledged
            await rig.sent(U, calls)
            rig.uplink.acknowledge(JOURNAL, U, calls - 1, calls - 1)
            assert calls < 1000
        rig.uplink.acknowledge_all()
