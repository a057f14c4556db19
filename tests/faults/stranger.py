"""A client that has no business here: it listens to everything and publishes what it likes."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import aiomqtt


class Stranger:
    """`async with`: connected to a broker; `heard` is what came on its topics, oldest first."""

    def __init__(self, url: str, *topics: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        parts = urlsplit(url)
        self._client = aiomqtt.Client(
            parts.hostname, parts.port, protocol=aiomqtt.ProtocolVersion.V5
        )
        self._topics = topics

    async def __aenter__(self) -> "Stranger":
        await self._client.__aenter__()
        for topic in self._topics:
            await self._client.subscribe(topic, 1)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
            await self._listening
        with contextlib.suppress(aiomqtt.MqttError):  # the broker may be gone
            await self._client.__aexit__(None, None, None)

    async def _listen(self) -> None:
        async for message in self._client.messages:
            self.heard.append((str(message.topic), bytes(message.payload)))

    async def publish(self, topic: str, payload: bytes) -> None:
        """With QoS 1, until the broker has it."""
        await self._client.publish(topic, payload, 1)


def nested(size_bytes: int) -> bytes:
    """CBOR that is one array in another, so many deep."""
    return b"\x81" * (size_bytes - 1) + b"\x00"
