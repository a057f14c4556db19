"""MQTT 5 first, 3.1.1 where the broker does not speak it."""

import asyncio
import importlib.util

import pytest

from drivers.sim.broker import Broker
from drivers.sim.loopback import free_port
from gateway.errors import UplinkLost
from gateway.settings import UplinkSettings
from gateway.uplink import MqttUplink, Will

CONNACK_311 = bytes([0x20, 2, 0, 0])
SUBSCRIBE = 0x82


class OldBroker:
    """Speaks 3.1.1; what it does with an MQTT 5 CONNECT is `answer`, then it hangs up."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.levels: list[int] = []
        self.port = free_port()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        packet = await reader.read(4096)
        level = packet[packet.index(b"MQTT") + 4]
        self.levels.append(level)
        if level == 4:
            writer.write(CONNACK_311)
            await self._refuse_subscription(reader, writer)
        else:
            writer.write(self.answer)
        writer.close()

    async def _refuse_subscription(self, reader, writer):
        packet = await reader.read(4096)
        if packet and packet[0] == SUBSCRIBE:
            writer.write(bytes([0x90, 3, *packet[2:4], 0x80]))
            await reader.read()


@pytest.mark.parametrize(
    "answer",
    [b"", bytes([0x20, 2, 0, 1]), bytes([0x20, 3, 0, 0x84, 0])],
    ids=["hangs up", "return code 1", "reason 0x84"],
)
async def test_fall_back_to_3_1_1_and_stay(answer):
    async with OldBroker(answer) as broker:
        uplink = MqttUplink(UplinkSettings(url=f"mqtt://127.0.0.1:{broker.port}"))
        async with asyncio.timeout(5):
            for _ in range(2):
                async with uplink.session():
                    assert uplink.version == "3.1.1"
    assert broker.levels == [5, 4, 4]


async def test_a_refused_subscription_raises():
    async with OldBroker(b"") as broker:
        uplink = MqttUplink(UplinkSettings(url=f"mqtt://127.0.0.1:{broker.port}"))
        async with uplink.session() as session:
            with pytest.raises(UplinkLost, match="refused the subscription"):
                await session.subscribe("a")


async def test_other_refusals_do_not_fall_back():
    async with OldBroker(bytes([0x20, 3, 0, 0x87, 0])) as broker:  # not authorised
        uplink = MqttUplink(UplinkSettings(url=f"mqtt://127.0.0.1:{broker.port}"))
        with pytest.raises(UplinkLost) as refused:
            async with uplink.session():
                pass
    assert broker.levels == [5]
    assert "does not know this client" in refused.value.hint
    assert uplink.version == ""


@pytest.mark.skipif(importlib.util.find_spec("amqtt") is None, reason="amqtt is not installed")
async def test_the_embedded_broker():
    async with Broker(kind="amqtt") as broker:
        uplink = MqttUplink(UplinkSettings(url=broker.url), will=Will("state", b"offline"))
        async with MqttUplink(UplinkSettings(url=broker.url)).session() as watcher:
            await watcher.subscribe("#")
            async with uplink.session() as session:
                await session.publish("a", b"1")
            async with asyncio.timeout(5):
                messages = [await anext(watcher.messages()) for _ in range(2)]
        assert messages == [("a", b"1"), ("state", b"offline")]
        assert uplink.version == "3.1.1"
        await broker.restart()
        async with uplink.session() as session:
            await session.publish("a", b"2")
