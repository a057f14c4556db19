"""An uplink without a broker: a test says what each publish does, and what comes in."""

import asyncio
import contextlib

from gateway.codec import MAX_BATCH_BYTES, decode_batch, encode_ack
from gateway.errors import UplinkLost
from gateway.model import Ack, Batch
from gateway.uplink import Message, Traffic, ack_topic


class ScriptedSession:
    def __init__(self, uplink) -> None:
        self._uplink = uplink
        self._inbox: asyncio.Queue = asyncio.Queue()
        self._lost = asyncio.get_running_loop().create_future()
        self.window = uplink.window
        self.max_payload = uplink.max_payload
        self.dropped = 0
        self.traffic = Traffic()
        self.topics: list[str] = []

    async def publish(self, topic, payload, *, retain=False):
        self._uplink.published.append((topic, payload))
        self._uplink.event.set()
        self._uplink.in_flight += 1
        self._uplink.most_in_flight = max(self._uplink.in_flight, self._uplink.most_in_flight)
        try:
            answer = asyncio.ensure_future(self._uplink.on_publish(topic, payload))
            await asyncio.wait([answer, self._lost], return_when=asyncio.FIRST_COMPLETED)
            if self._lost.done():
                answer.cancel()
                raise UplinkLost("scripted")
            answer.result()
        finally:
            self._uplink.in_flight -= 1

    async def subscribe(self, topic):
        self.topics.append(topic)

    async def receive(self, limit):
        got = asyncio.ensure_future(self._inbox.get())
        await asyncio.wait([got, self._lost], return_when=asyncio.FIRST_COMPLETED)
        if not got.done():
            got.cancel()
            raise UplinkLost("scripted")
        return [got.result()]

    async def messages(self):
        while True:
            for message in await self.receive(1):
                yield message

    def push(self, topic, payload):
        self._inbox.put_nowait(Message(topic, payload))

    def lose(self):
        if not self._lost.done():
            self._lost.set_result(None)


class ScriptedUplink:
    """`on_publish` is awaited for each publish: return for PUBACK, raise to refuse."""

    def __init__(self, gateway: str, *, window=20, max_payload=MAX_BATCH_BYTES) -> None:
        self.gateway = gateway
        self.window = window
        self.max_payload = max_payload
        self.published: list[tuple[str, bytes]] = []
        self.sessions: list[ScriptedSession] = []
        self.in_flight = self.most_in_flight = 0
        self.event = asyncio.Event()
        self.down: Exception | None = None

    async def on_publish(self, topic, payload):
        return

    @contextlib.asynccontextmanager
    async def session(self):
        if self.down:
            raise self.down
        session = ScriptedSession(self)
        self.sessions.append(session)
        self.event.set()
        yield session
        session.lose()

    @property
    def batches(self) -> list[Batch]:
        return [decode_batch(data)[0] for topic, data in self.published if "/up/" in topic]

    def ranges(self, lane) -> list[tuple[int, int]]:
        return [(batch.first, batch.last) for batch in self.batches if batch.lane is lane]

    def acknowledge(self, journal, lane, first, last):
        self.say(encode_ack(Ack(journal, lane, first, last)))

    def acknowledge_all(self):
        for batch in self.batches:
            self.acknowledge(batch.journal, batch.lane, batch.first, batch.last)

    def say(self, payload: bytes, topic: str = ""):
        self.sessions[-1].push(topic or ack_topic(self.gateway), payload)

    async def until(self, condition, what: str = ""):
        try:
            async with asyncio.timeout(10):
                while not condition():
                    self.event.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.event.wait(), 0.01)
        except TimeoutError:
            raise AssertionError(f"never: {what or condition}; {self.published!r:.500}") from None
