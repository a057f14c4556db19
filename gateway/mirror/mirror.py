"""The mirror's queue and its session."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from gateway.backoff import Backoff
from gateway.crew import Crew
from gateway.errors import JournalWriteFailed, PublishRefused, SettingsError, UplinkError
from gateway.mirror.message import message_of
from gateway.mirror.outgoing import OFFLINE, ONLINE, Outgoing, event_topic, status_topic
from gateway.uplink import MqttUplink, Will

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.mirror.home_assistant import HomeAssistant
    from gateway.mirror.home_assistant.kept import Kept
    from gateway.model import Event
    from gateway.settings import BrokerSettings
    from gateway.uplink import Session, Uplink

# Events that wait while its broker is away: a minute of a home with many meters. What is older is
# of no use to who looks at how things are now; all of it is in the journal.
QUEUE_EVENTS = 1000
# Slower than the forwarder's (0.5 to 30 s): nobody waits on the floor for a mirror.
RECONNECT_FIRST_S, RECONNECT_CAP_S = 1.0, 60.0
# A session that held so long was good: when it breaks, start from the shortest delay again.
STABLE_S = 30.0
# Home Assistant passes over parts of a description while it is busy with an earlier one, and never
# comes back to them. It takes seconds for one; the same again, later, finds it at leisure.
DESCRIBE_AGAIN_S = 60.0

log = logging.getLogger("hearth.mirror")


def uplink_of(gateway: str, broker: BrokerSettings) -> MqttUplink:
    """The mirror's sessions: a client identifier of its own, offline as its last will."""
    will = Will(status_topic(gateway), OFFLINE)
    return MqttUplink(broker, client_id=f"hearth-mirror-{gateway}", will=will)


class Mirror:
    """Publishes what it is told, as far as its broker takes it."""

    def __init__(
        self, gateway: str, uplink: Uplink, kept: Kept, home: HomeAssistant | None
    ) -> None:
        """A mirror that `run` begins.

        Args:
            gateway: its id.
            uplink: where its sessions come from.
            kept: which topics hold something retained.
            home: what Home Assistant is told; None if it is told nothing.
        """
        self._gateway = gateway
        self._uplink = uplink
        self._kept = kept
        self._home = home
        self._queue: deque[tuple[Event, int]] = deque()
        self._in_hand = 0  # events that left the queue and are not published yet
        self._came = asyncio.Event()
        self._described = asyncio.Event()
        self._connected = False
        self._published = self._refused = self._dropped = 0
        self._last_error = ""
        self._tried: Event | None = None
        self._task: asyncio.Task[None] | None = None

    def note(self, event: Event, seq: int) -> None:
        """An event is in the journal. Returns at once, and raises nothing."""
        self._queue.append((event, seq))
        self._trim()
        self._came.set()

    def facts(self) -> dict[str, object]:
        """How it is, for Health."""
        return {
            "connected": self._connected,
            "queued": len(self._queue) + self._in_hand,
            "published": self._published,
            "refused": self._refused,
            "dropped": self._dropped,
            "last_error": self._last_error,
        }

    def start(self) -> None:
        """Begin, in a task of its own: nothing that goes wrong in it ends anything else."""
        self._task = asyncio.create_task(self.run())
        self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """End; the broker tells that."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_CAP_S)
        while True:
            started_s = loop.time()
            try:
                async with self._uplink.session() as session:
                    await self._begin(session)
                    await self._converse(session)
            except (UplinkError, SettingsError) as error:
                self._failed(error)
            finally:
                self._connected = False
            if loop.time() - started_s >= STABLE_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _begin(self, session: Session) -> None:
        """Clear what is not ours any more, then tell everything: the broker may know nothing."""
        wanted = self._home.topics() if self._home else set()
        stale = sorted(self._kept.topics - wanted)
        if await self._publish_all(session, (Outgoing(it, b"", retain=True) for it in stale)):
            self._kept.topics.clear()
        self._kept.topics |= wanted
        await self._save()
        if self._home:
            everything = self._home.everything()
            await self._publish_all(session, everything.configs)
            await self._publish_all(session, everything.states)
        # The last: until then nobody believes what is retained, and may be of yesterday.
        await self._publish(session, Outgoing(status_topic(self._gateway), ONLINE, retain=True))
        self._connected = True

    async def _converse(self, session: Session) -> None:
        crew = Crew()
        crew.start(self._pump(session))
        crew.start(_until_lost(session))
        if self._home:
            crew.start(self._describe_again(session, self._home))
        await crew.work()

    async def _describe_again(self, session: Session, home: HomeAssistant) -> None:
        """Once more, a while after the session began or something new was described."""
        while True:
            self._described.clear()
            await asyncio.sleep(DESCRIBE_AGAIN_S)
            await self._publish_all(session, home.descriptions())
            await self._described.wait()

    async def _pump(self, session: Session) -> None:
        while True:
            while not self._queue:
                self._came.clear()
                await self._came.wait()
            event, seq = self._queue.popleft()
            self._in_hand = 1
            try:
                await self._mirror(session, event, seq)
            except UplinkError:
                self._put_back(event, seq)
                raise
            finally:
                self._in_hand = 0

    async def _mirror(self, session: Session, event: Event, seq: int) -> None:
        message = message_of(self._gateway, event, seq)
        topic = event_topic(self._gateway, event.device)
        if self._home is None:
            await self._publish(session, Outgoing(topic, message))
            return
        answer = self._home.answer(event)
        if answer.configs:
            self._kept.topics |= self._home.topics()
            await self._save()  # before it is told: what is not known cannot be cleared
            await self._publish_all(session, answer.configs)
            self._described.set()
        await self._publish_all(session, [Outgoing(topic, message), *answer.states])

    async def _publish_all(self, session: Session, messages: Iterable[Outgoing]) -> bool:
        """All at once, as far as the window goes; whether the broker took each."""
        return all(await asyncio.gather(*(self._publish(session, it) for it in messages)))

    async def _publish(self, session: Session, message: Outgoing) -> bool:
        """One message; whether the broker took it. UplinkLost if the link is lost."""
        try:
            await session.publish(message.topic, message.payload, retain=message.retain)
        except PublishRefused as error:
            self._refused += 1
            self._failed(error)
            return False
        self._published += 1
        return True

    async def _save(self) -> None:
        try:
            await self._kept.save()
        except JournalWriteFailed as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if str(error) != self._last_error:
            log.warning("%s", error)
        self._last_error = str(error)

    def _put_back(self, event: Event, seq: int) -> None:
        """Try an event once more; not for ever, since it may be why the broker hangs up."""
        if self._tried is event:
            self._dropped += 1
            return
        self._tried = event
        self._queue.appendleft((event, seq))
        self._trim()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._last_error = f"ended: {error!r}"
            log.error("the mirror ended", exc_info=error)

    def _trim(self) -> None:
        while len(self._queue) > QUEUE_EVENTS:
            self._queue.popleft()
            self._dropped += 1


async def _until_lost(session: Session) -> None:
    """Nothing is subscribed, so nothing comes but the end."""
    async for _ in session.messages():
        pass
