"""Commands through a real broker: there and back, through outages, past a hostile administrator."""

import asyncio
import contextlib

import aiomqtt
import pytest
from brokers import (
    GATEWAY,
    JOURNAL,
    MemoryBacklog,
    needs_mosquitto,
    payload_of,
    settings_for,
    until,
)
from ordered import KEY, OTHER_KEY, Desk, command_of, message_of, signed

from collector.sender import Sender
from drivers.sim.broker import Broker
from gateway.codec import decode_batch, encode_ack
from gateway.commands.wire import Outcome, Reply, decode_reply, encode_reply
from gateway.errors import PublishRefused
from gateway.forwarding import forwarder as forwarder_module
from gateway.forwarding import incoming as incoming_module
from gateway.forwarding.forwarder import Forwarder, uplink_of
from gateway.model import Ack, Lane
from gateway.uplink import MqttUplink, ack_topic, down_topic, reply_topic, up_topic

pytestmark = needs_mosquitto

VERSIONS = [aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311]


@pytest.fixture(autouse=True)
def quick_reconnect(monkeypatch):
    monkeypatch.setattr(forwarder_module, "RECONNECT_FIRST_S", 0.05)
    monkeypatch.setattr("collector.sender.REPEAT_S", 0.5)


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


class Home:
    """A gateway's forwarder with commands, over a real broker."""

    def __init__(self, broker, folder, *, version=VERSIONS[0], commands=True, **settings) -> None:
        self.desk = Desk(folder)
        self.backlog = MemoryBacklog()
        settings = settings_for(broker, **settings)
        uplink = uplink_of(GATEWAY, settings)
        uplink._version = version
        self.forwarder = Forwarder(
            GATEWAY,
            settings,
            (self.backlog,),
            uplink,
            commands=self.desk.dispatcher if commands else None,
        )

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.forwarder.run())
        try:
            await until(lambda: self.forwarder.connected, "a session")
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            await self.desk.dispatcher.close()


def sender(broker, key=KEY, version=VERSIONS[0]) -> Sender:
    uplink = MqttUplink(settings_for(broker))
    uplink._version = version
    return Sender(uplink, key)


@contextlib.asynccontextmanager
async def administrator(broker, *topics):
    """Somebody who may read and write everything, and has no key."""
    async with MqttUplink(settings_for(broker)).session() as session:
        for topic in topics:
            await session.subscribe(topic)
        yield session


async def seen(session, topic):
    async with asyncio.timeout(10):
        while True:
            for message in await session.receive(1):
                if message.topic == topic:
                    return message


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
@pytest.mark.parametrize("ack", ["collector", "broker"])
async def test_a_command_and_its_reply(broker, tmp_path, version, ack):
    async with Home(broker, tmp_path, version=version, ack=ack).running() as home:
        reply = await sender(broker, version=version).send(command_of(), 10)
        assert reply == Reply(command_of().id, Outcome.DONE, "", {"count": 1})
        await until(lambda: home.forwarder.counters["replies_sent"] == 1, "its PUBACK")
        assert home.forwarder.counters["acks_wrong_topic"] == 0


async def test_a_refused_command_says_why(broker, tmp_path):
    async with Home(broker, tmp_path).running():
        reply = await sender(broker).send(command_of(1, "no.such"), 10)
        assert (reply.outcome, reply.reason) == (Outcome.REFUSED, "unknown command")


async def test_without_commands_nothing_is_subscribed(broker, tmp_path):
    async with Home(broker, tmp_path, commands=False).running():
        assert await sender(broker).send(command_of(), 0.3) is None


async def test_who_has_no_key_gets_no_reply(broker, tmp_path):
    async with Home(broker, tmp_path).running() as home:
        async with administrator(broker, down_topic("+", "+/reply")) as session:
            assert await sender(broker, OTHER_KEY).send(command_of(), 0.3) is None
            await sender(broker).send(command_of(2), 10)
            answer = await seen(session, reply_topic(down_topic(GATEWAY, "call.accept")))
            assert decode_reply(answer.payload).id == command_of(2).id, "that is the first one"
        assert home.desk.dispatcher.counters["ignored_bad_signature"] == 1


async def test_the_sender_waits_for_the_reply_to_its_own_command(broker):
    """Others ask on the same topic, and anybody can write there."""
    topic = down_topic(GATEWAY, "call.accept")
    async with administrator(broker, topic) as session:
        sending = asyncio.create_task(sender(broker).send(command_of(), 10))
        await seen(session, topic)
        await session.publish(reply_topic(topic), b"junk")
        await session.publish(reply_topic(topic), encode_reply(Reply(bytes(16), Outcome.FAILED)))
        right = Reply(command_of().id, Outcome.DONE, "", {"n": 1})
        await session.publish(reply_topic(topic), encode_reply(right))
        assert await sending == right


# --- links that are lost ---


async def test_a_command_during_an_outage_is_taken_when_it_is_over(broker, tmp_path):
    async with Home(broker, tmp_path).running() as home:
        await broker.kill()
        await until(lambda: not home.forwarder.connected)
        sending = asyncio.create_task(sender(broker).send(command_of(), 30))
        await broker.start()
        assert (await sending).outcome is Outcome.DONE
        assert len(home.desk.done) == 1


async def test_a_link_lost_between_the_deed_and_its_reply(broker, tmp_path):
    async with Home(broker, tmp_path).running() as home:
        sending = asyncio.create_task(sender(broker).send(command_of(1, "slow"), 30))
        await home.desk.begun.wait()
        await broker.kill()
        await until(lambda: not home.forwarder.connected)
        home.desk.hold.set()
        await until(lambda: home.desk.done)
        await broker.start()
        assert (await sending) == Reply(command_of().id, Outcome.DONE)
        assert len(home.desk.done) == 1


async def test_a_gateway_that_restarts_between_the_deed_and_its_reply(broker, tmp_path):
    """The sender's next try meets another process with the same ledger."""
    first = Home(broker, tmp_path)
    async with first.running():
        reply = await sender(broker).send(command_of(), 10)
    async with Home(broker, tmp_path).running() as second:
        assert await sender(broker).send(command_of(), 10) == reply
        assert second.desk.done == []


# --- who runs the broker ---


async def test_an_administrator_can_neither_replay_nor_alter(broker, tmp_path):
    topic = down_topic(GATEWAY, "call.accept")
    async with Home(broker, tmp_path).running() as home, administrator(broker, topic, reply_topic(topic)) as session:  # fmt: skip
        first = await sender(broker).send(command_of(), 10)
        taken = await seen(session, topic)
        assert decode_reply((await seen(session, reply_topic(topic))).payload) == first
        for _ in range(3):
            await session.publish(topic, taken.payload)
            assert decode_reply((await seen(session, reply_topic(topic))).payload) == first
        for at in range(0, len(taken.payload), 7):
            altered = bytearray(taken.payload)
            altered[at] ^= 0x10
            await session.publish(topic, bytes(altered))
        await session.publish(topic, taken.payload[:-10])
        await session.publish(down_topic(GATEWAY, "notice.add"), taken.payload)
        last = await sender(broker).send(command_of(2), 10)
        assert last.result == {"count": 2}, "this is the second that was carried out"
        assert len(home.desk.done) == 2
        assert home.desk.dispatcher.counters["refused_wrong_topic"] == 1
        refused = [told for told in home.desk.told() if told["outcome"] == "refused"]
        assert [told["reason"] for told in refused] == ["wrong topic"]


async def test_a_retained_command_is_carried_out_once(broker, tmp_path):
    async with administrator(broker) as session:
        message = message_of(command_of())
        await session.publish(message.topic, message.payload, retain=True)
        for _ in range(3):
            async with Home(broker, tmp_path).running() as home:
                await until(lambda home=home: home.forwarder.counters["replies_sent"] == 1)
        assert Desk(tmp_path).dispatcher._ledger.find(command_of().id).outcome is Outcome.DONE
        assert home.desk.done == []


async def test_a_broker_that_forbids_commands_still_gets_events(tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite #\ntopic deny hearth/v1/gw-1/down/#\n")
    async with Broker(lines=f"acl_file {acl}") as broker:
        async with Home(broker, tmp_path, ack="broker").running() as home:
            home.backlog.append(Lane.ROUTINE, payload_of(1))
            assert await home.forwarder.drain(10)
        with pytest.raises(PublishRefused):
            await sender(broker).send(command_of(), 5)


# --- in nobody's way ---


async def test_a_slow_command_delays_neither_events_nor_acknowledgements(broker, tmp_path):
    async with (
        Home(broker, tmp_path, ack_timeout=60.0).running() as home,
        administrator(broker, up_topic(GATEWAY, Lane.URGENT)) as collector,
    ):
        sending = asyncio.create_task(sender(broker).send(command_of(1, "slow"), 30))
        await home.desk.begun.wait()
        home.backlog.append(Lane.URGENT, payload_of(1))
        message = await seen(collector, up_topic(GATEWAY, Lane.URGENT))
        batch, _ = decode_batch(message.payload)
        ack = Ack(JOURNAL, batch.lane, batch.first, batch.last)
        await collector.publish(ack_topic(GATEWAY), encode_ack(ack))
        assert await home.forwarder.drain(10)
        assert (await sender(broker).send(command_of(2), 10)).outcome is Outcome.DONE
        assert not sending.done()
        home.desk.hold.set()
        assert (await sending).outcome is Outcome.DONE


async def test_a_flood_is_dropped_counted_and_over(broker, tmp_path, monkeypatch):
    monkeypatch.setattr(incoming_module, "MAX_COMMANDS", 4)
    async with Home(broker, tmp_path).running() as home, administrator(broker) as session:
        topic = down_topic(GATEWAY, "slow")
        for n in range(10):
            await session.publish(topic, signed(command_of(n, "slow")))
        await until(lambda: home.forwarder.counters["commands_dropped"] == 6)
        home.desk.hold.set()
        await until(lambda: home.forwarder.counters["replies_sent"] == 4)
        assert (await sender(broker).send(command_of(20), 10)).outcome is Outcome.DONE
        await until(lambda: home.forwarder._incoming._commanding == 0)


async def test_a_lost_link_gives_the_places_back(broker, tmp_path, monkeypatch):
    monkeypatch.setattr(incoming_module, "MAX_COMMANDS", 2)
    async with Home(broker, tmp_path).running() as home:
        async with administrator(broker) as session:
            for n in range(2):
                await session.publish(down_topic(GATEWAY, "slow"), signed(command_of(n, "slow")))
            await until(lambda: len(home.desk.dispatcher._running) == 2)
        await broker.restart()
        assert (await sender(broker).send(command_of(20), 20)).outcome is Outcome.DONE
