"""Somebody with `mosquitto_sub`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from brokers import until

from drivers.sim.broker import Broker
from gateway.settings import UplinkSettings
from gateway.uplink import Message, MqttUplink

LAST = "ear/last"


class Ear:
    """Hears what matches, from `async with` on; what is retained first."""

    def __init__(self, broker: Broker, *patterns: str) -> None:
        self.messages: list[Message] = []
        self._uplink = MqttUplink(UplinkSettings(url=broker.url))
        self._patterns = patterns
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Ear:
        self._session = await self._stack.enter_async_context(self._uplink.session())
        for pattern in (*self._patterns, LAST):
            await self._session.subscribe(pattern)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        await self._stack.aclose()

    async def _listen(self) -> None:
        async for message in self._session.messages():
            self.messages.append(message)

    async def settled(self) -> None:
        """Until all that the broker had for us is here: what we say now comes after that."""
        await self._session.publish(LAST, b"")
        await until(lambda: any(it.topic == LAST for it in self.messages), "the last")
        self.messages = [it for it in self.messages if it.topic != LAST]

    def payloads(self, topic: str) -> list[bytes]:
        return [it.payload for it in self.messages if it.topic == topic]

    async def hears(self, topic: str, payload: bytes | None = None) -> bytes:
        """Until there is such a message; the newest."""
        await until(
            lambda: [it for it in self.payloads(topic) if payload is None or it == payload][-1:],
            f"{topic} {payload!r}",
            timeout_s=30,
        )
        return self.payloads(topic)[-1]


async def retained(broker: Broker, *patterns: str) -> dict[str, bytes]:
    """What somebody gets who comes now."""
    async with Ear(broker, *patterns) as ear:
        await ear.settled()
        return dict(ear.messages)
