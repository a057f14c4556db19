"""A session against a real broker: what it confirms, what it refuses, and how it ends."""

import asyncio
import base64
import hashlib
import random
import time
from contextlib import suppress

import paho.mqtt.client as paho
import pytest
from brokers import needs_mosquitto, settings_for, until
from paho.mqtt.enums import CallbackAPIVersion

from drivers.sim.broker import Broker
from gateway.errors import PublishRefused, SettingsError, UplinkLost
from gateway.settings import UplinkSettings
from gateway.uplink import MqttUplink, Will
from gateway.uplink import client as uplink_module
from gateway.uplink.client import PACKET_ALLOWANCE
from gateway.uplink.inbox import INBOX_MESSAGES

pytestmark = needs_mosquitto


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


async def test_publish_and_receive(broker):
    uplink = MqttUplink(settings_for(broker))
    async with uplink.session() as session:
        await session.subscribe("a/+")
        for n in range(3):
            await session.publish(f"a/{n}", bytes([n]))
        got = [await anext(session.messages()) for _ in range(3)]
    assert got == [(f"a/{n}", bytes([n])) for n in range(3)]
    assert uplink.version == "5"


async def test_a_refused_puback_raises_with_the_brokers_reason(tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite ok/#\n")
    async with (
        Broker(lines=f"acl_file {acl}") as broker,
        MqttUplink(settings_for(broker)).session() as session,
    ):
        with pytest.raises(PublishRefused, match="Not authorized") as refused:
            await session.publish("denied/x", b"1")
        assert refused.value.hint
        await session.publish("ok/x", b"1")


async def test_a_lost_link_fails_everything_that_waits_at_once(broker):
    async with MqttUplink(settings_for(broker, keepalive=60), window=2).session() as session:
        broker.pause()
        waiting = [asyncio.create_task(session.publish("a", b"1")) for _ in range(5)]
        waiting.append(asyncio.create_task(session.receive(1)))
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        await broker.kill()
        async with asyncio.timeout(20):  # keepalive is 60 s, so this is not a time-out
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {UplinkLost}
        with pytest.raises(UplinkLost):
            await session.publish("a", b"2")


async def test_a_half_open_link_is_found_by_keepalive(broker):
    async with MqttUplink(settings_for(broker, keepalive=2)).session() as session:
        broker.pause()
        with pytest.raises(UplinkLost):
            async with asyncio.timeout(30):  # that no PUBACK comes is noticed after 120 s
                await session.publish("a", b"1")


async def test_a_new_session_after_the_broker_came_back(broker):
    uplink = MqttUplink(settings_for(broker))
    async with uplink.session() as session:
        await broker.kill()
        with pytest.raises(UplinkLost):
            await session.receive(1)
    with pytest.raises(UplinkLost) as refused:
        async with uplink.session():
            pass
    assert "nobody listens" in refused.value.hint
    await broker.start()
    async with uplink.session() as session:
        await session.publish("a", b"1")


async def test_the_brokers_receive_maximum_is_obeyed():
    async with (
        Broker(lines="max_inflight_messages 3") as broker,
        MqttUplink(settings_for(broker), window=50).session() as session,
    ):
        assert session.window == 3
        await asyncio.gather(*(session.publish("a", b"1") for _ in range(100)))


async def test_what_is_larger_than_the_broker_takes_is_refused_and_the_link_stays():
    async with (
        Broker(lines="max_packet_size 5000") as broker,
        MqttUplink(settings_for(broker)).session() as session,
    ):
        assert session.max_payload == 5000 - PACKET_ALLOWANCE
        with pytest.raises(PublishRefused, match="too large"):
            await session.publish("a", bytes(session.max_payload + 1))
        await session.publish("a", bytes(session.max_payload))


async def test_a_cancelled_publish_keeps_its_place_until_the_broker_answers(broker):
    async with MqttUplink(settings_for(broker), window=1).session() as session:
        broker.pause()
        first = asyncio.create_task(session.publish("a", b"1"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.create_task(session.publish("a", b"2"))
        await asyncio.sleep(0.05)
        assert not second.done()
        broker.resume()
        async with asyncio.timeout(5):
            await second


async def test_the_will_is_told_when_a_session_ends_in_any_way(broker):
    settings = settings_for(broker)
    will = Will("state", b"offline")
    async with MqttUplink(settings).session() as watcher:
        await watcher.subscribe("state")
        async with MqttUplink(settings, client_id="gw", will=will).session() as session:
            await session.publish("state", b"online", retain=True)
        assert await anext(watcher.messages()) == ("state", b"online")
        async with asyncio.timeout(5):
            assert await anext(watcher.messages()) == ("state", b"offline")
    async with MqttUplink(settings).session() as later:
        await later.subscribe("state")
        assert await anext(later.messages()) == ("state", b"offline")  # retained


async def test_what_is_not_received_waits_at_the_broker(broker):
    settings = settings_for(broker)
    async with MqttUplink(settings, window=5).session() as slow:
        await slow.subscribe("a")
        async with MqttUplink(settings).session() as fast:
            await asyncio.gather(*(fast.publish("a", bytes([n])) for n in range(50)))
        for _ in range(50):  # each PUBACK comes behind what the broker had to send
            await slow.publish("b", b"")
        got = await slow.receive(1000)
        assert len(got) <= 5
        while len(got) < 50:
            got += await slow.receive(1000)
        assert sorted(payload for _, payload in got) == [bytes([n]) for n in range(50)]
        assert slow.dropped == 0


async def test_what_has_no_flow_control_is_bounded_too(broker):
    async with MqttUplink(settings_for(broker)).session() as session:
        await session.subscribe("flood")
        flood = paho.Client(CallbackAPIVersion.VERSION2)
        flood.connect("127.0.0.1", broker.port)
        flood.loop_start()
        for _ in range(INBOX_MESSAGES + 50):
            flood.publish("flood", b"x", qos=0).wait_for_publish(5)
        await until(lambda: session.dropped == 50)
        flood.disconnect()
        flood.loop_stop()
        assert len(await session.receive(10_000)) == INBOX_MESSAGES
        await session.publish("a", b"1")


def mosquitto_password(user: str, password: str) -> str:
    salt = b"saltsaltsalt"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    encode = lambda data: base64.b64encode(data).decode()  # noqa: E731
    return f"{user}:$7$101${encode(salt)}${encode(digest)}\n"


async def test_the_password_comes_from_a_file_that_others_cannot_read(tmp_path):
    users, secret = tmp_path / "users", tmp_path / "secret"
    users.write_text(mosquitto_password("gw", "open sesame"))
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    listener = f"allow_anonymous false\npassword_file {users}"
    async with Broker(listener=listener) as broker:
        settings = settings_for(broker, username="gw", password_file=str(secret))
        async with MqttUplink(settings).session() as session:
            await session.publish("a", b"1")
        secret.write_text("wrong\n")
        with pytest.raises(UplinkLost) as refused:
            async with MqttUplink(settings).session():
                pass
        assert "password_file" in refused.value.hint
        secret.chmod(0o644)
        with pytest.raises(SettingsError, match="open to every user"):
            MqttUplink(settings).check()
        with pytest.raises(SettingsError):
            async with MqttUplink(settings).session():
                pass


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", bytes(70_000)])
def test_a_password_file_without_a_password_is_refused(tmp_path, content):
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    secret.chmod(0o600)
    settings = UplinkSettings(url="mqtt://127.0.0.1", password_file=str(secret))
    with pytest.raises(SettingsError):
        MqttUplink(settings).check()


async def test_a_name_that_does_not_resolve_has_a_hint():
    with pytest.raises(UplinkLost) as lost:
        async with MqttUplink(UplinkSettings(url="mqtt://broker.invalid")).session():
            pass
    assert "resolve" in lost.value.hint


async def test_a_broker_that_never_confirms_is_left(broker, monkeypatch):
    monkeypatch.setattr(uplink_module, "PUBACK_TIMEOUT_S", 0.2)
    async with MqttUplink(settings_for(broker)).session() as session:
        broker.pause()
        with pytest.raises(UplinkLost, match="does not confirm"):
            await session.publish("a", b"1")


@needs_mosquitto
async def test_a_cancellation_is_never_lost(broker):
    """At any moment of many sessions; of a hundred, a dozen were taken for an answer."""
    rng = random.Random(7)

    async def come_and_go():
        while True:
            with suppress(UplinkLost):
                async with MqttUplink(settings_for(broker)).session() as session:
                    await session.subscribe("a/b")

    for _ in range(100):
        going = asyncio.create_task(come_and_go())
        await asyncio.sleep(rng.uniform(0, 0.05))
        going.cancel()
        ended, _ = await asyncio.wait([going], timeout=10)
        assert ended, "it goes on"
        assert going.cancelled()


async def test_connecting_can_be_cancelled():
    """A listener that accepts and says nothing."""
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        uplink = MqttUplink(UplinkSettings(url=f"mqtt://127.0.0.1:{port}"))

        async def connect():
            async with uplink.session():
                pass

        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connect()
        assert time.monotonic() - started < 5
