"""From the journal to committed at the collector.

The journal is the outbox. The forwarder reads runs of events from it, sends each as one batch, and
frees it when the collector says that exactly this batch is committed (or, with `ack = "broker"`,
when the broker confirms it).

- The urgent lane has its own task, its own places in the window, and goes first: routine batches
  are not handed over while an urgent one could be, nor right behind one that is not acknowledged,
  and few enough are on their way that an urgent one does not stand behind seconds of them
  (`pace.py`).
- What the flash refused is forwarded from memory, as a second backlog with a uuid of its own.
- A link that is lost is found again with growing delays; an urgent event tries at once. Everything
  outstanding is then sent again: what arrives twice is stored once.
- Acknowledgements that do not come are waited for with growing patience (`outbox.py`).
- An acknowledgement that fits nothing sent is refused, and counted by name.
- Commands that come down on the same session are handed on, each in a task of its own, and their
  replies are sent. Neither holds up an event or an acknowledgement.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

import cbor2

from gateway.backoff import Backoff
from gateway.codec import MAX_BATCH_BYTES, WIRE_VERSION, decode_ack, encode_batch
from gateway.errors import (
    DecodeError,
    PublishRefused,
    SettingsError,
    UnknownVersion,
    UplinkError,
    UplinkLost,
)
from gateway.model import Batch, Lane
from gateway.outbox import Outbox, Outgoing
from gateway.outstanding import Verdict
from gateway.pace import Pace
from gateway.uplink import MqttUplink, Will, ack_topic, down_topic, state_topic, up_topic

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from gateway.outbox import Backlog
    from gateway.settings import UplinkSettings
    from gateway.uplink import Message, Session, Uplink

# Every counter, so that health can show what never happened, too.
_COUNTED = (
    "sessions",
    "sessions_failed",
    "batches_sent",
    "batches_resent",
    "events_sent",
    "bytes_sent",
    "publishes_refused",
    "events_acknowledged",
    "acks_taken",
    "acks_stale",  # the answer to another sending of the same batch
    "acks_never_sent",
    "acks_malformed",
    "acks_unknown_version",
    "acks_wrong_journal",
    "acks_wrong_topic",
    "commands_not_subscribed",
    "commands_dropped",  # more at once than MAX_COMMANDS
    "replies_sent",
    "replies_refused",
)
# Delays between tries to connect: fast enough for a broker that restarts, slow enough for one that
# is down for a night. Urgent events do not wait for them.
RECONNECT_FIRST_S, RECONNECT_CAP_S = 0.5, 30.0
# While an urgent event waits, no pause is longer than this.
RECONNECT_URGENT_CAP_S = 1.0
# Even with an urgent event waiting, a broker that just refused us is given a moment.
RECONNECT_LEAST_S = 0.2
# A session that held this long was good: when it breaks, start from the shortest delay again.
STABLE_S = 30.0
# Places of the window that only urgent batches take, and how many routine ones may be on their way
# on a fast link. More drain no backlog faster, and a call shares the far side with them.
URGENT_PLACES = 4
ROUTINE_PLACES = 6
# After an urgent batch has gone, no routine one follows until it is acknowledged, for this long at
# the most: a collector that is away must not stop the readings.
CLEARANCE_S = 0.5
# Commands in hand at once; a home has a few a day. Who gets no reply sends again.
MAX_COMMANDS = 16
# The head of a batch around its events: version, gateway (up to 64 characters), journal, seq.
BATCH_HEAD_BYTES = 128


def state_payload(state: str) -> bytes:
    """What is retained under the state topic: `[version, "online" | "offline"]`."""
    return cbor2.dumps([WIRE_VERSION, state])


def uplink_of(gateway: str, settings: UplinkSettings) -> MqttUplink:
    """The uplink of a gateway: a client identifier of its own, offline as its last will."""
    will = Will(state_topic(gateway), state_payload("offline"))
    return MqttUplink(settings, client_id=f"hearth-{gateway}", will=will)


class Commands(Protocol):
    """Who carries out what comes down."""

    async def handle(self, message: Message) -> Message | None:
        """The reply, when there is one; None if there is none to give."""
        ...


class Forwarder:
    """Sends what the journal holds, and frees what is stored over there.

    Args:
        gateway: id of this gateway.
        settings: the table `[uplink]`.
        backlogs: the journal, and what its flash refused.
        uplink: where sessions come from; by default `uplink_of(gateway, settings)`.
        commands: who carries out what comes down; None if no command is taken.
    """

    def __init__(
        self,
        gateway: str,
        settings: UplinkSettings,
        backlogs: Sequence[Backlog],
        uplink: Uplink | None = None,
        commands: Commands | None = None,
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._uplink = uplink or uplink_of(gateway, settings)
        self._outboxes = {
            (backlog.uuid, lane): Outbox(lane, backlog, settings.ack_timeout)
            for backlog in backlogs
            for lane in Lane
        }
        self._commands = commands
        self._commanding = 0
        self._counters = Counter(dict.fromkeys(_COUNTED, 0))
        self._connected = False
        self._last_error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._progress = asyncio.Event()
        self._urgent_came = asyncio.Event()
        self._cleared_at_s = 0.0
        for backlog in backlogs:
            backlog.watch(self._on_durable)

    @property
    def connected(self) -> bool:
        """Whether there is a session with the broker."""
        return self._connected

    @property
    def outstanding(self) -> int:
        """How many batches were read and are not acknowledged."""
        return sum(len(outbox.outstanding) for outbox in self._outboxes.values())

    @property
    def counters(self) -> Mapping[str, int]:
        """How often what happened, by the names of _COUNTED."""
        return dict(self._counters)

    @property
    def last_error(self) -> Exception | None:
        """Why the last session failed, or the last publish was refused."""
        return self._last_error

    async def run(self) -> None:
        """Forward until cancelled.

        Raises:
            JournalError: the journal cannot be read any more.
        """
        self._loop = asyncio.get_running_loop()
        backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_CAP_S)
        try:
            while True:
                started_s = time.monotonic()
                await self._session()
                if time.monotonic() - started_s >= STABLE_S:
                    backoff.reset()
                await self._pause(backoff.next_s())
        finally:
            self._loop = None

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything durable is acknowledged; False if time was up first.

        `run` must be running beside it.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not all(outbox.drained for outbox in self._outboxes.values()):
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    async def _session(self) -> None:
        """One session, until it fails."""
        try:
            async with self._uplink.session() as session:
                if self._settings.ack == "collector":
                    await session.subscribe(ack_topic(self._gateway))
                if self._commands is not None:
                    await self._take_commands(session)
                self._connected = True
                self._counters["sessions"] += 1
                await self._converse(session)
        except (UplinkError, SettingsError) as error:
            self._last_error = error
            self._counters["sessions_failed"] += 1
        finally:
            self._connected = False
            for outbox in self._outboxes.values():
                outbox.outstanding.requeue()

    async def _take_commands(self, session: Session) -> None:
        """Subscribe to what comes down. A broker that forbids it must not keep events back."""
        try:
            await session.subscribe(down_topic(self._gateway, "+"))
        except UplinkLost as error:  # if it is the link that is lost, what comes next says so
            self._last_error = error
            self._counters["commands_not_subscribed"] += 1

    async def _converse(self, session: Session) -> None:
        largest = min(self._settings.max_batch_bytes, MAX_BATCH_BYTES, session.max_payload)
        pace = Pace(largest - BATCH_HEAD_BYTES, _routine_places(session.window))
        crew = _Crew()
        crew.start(self._tell_online(session))
        crew.start(self._receive(session, crew))
        for outbox in self._outboxes.values():
            crew.start(self._pump(session, outbox, pace, crew))
        await crew.work()

    async def _tell_online(self, session: Session) -> None:
        try:
            await session.publish(state_topic(self._gateway), state_payload("online"), retain=True)
        except PublishRefused as error:  # told, and no reason to keep events back
            self._refused(error)

    async def _receive(self, session: Session, crew: _Crew) -> None:
        down = down_topic(self._gateway, "")
        async for message in session.messages():
            if self._commands is not None and message.topic.startswith(down):
                self._hand_on(session, message, self._commands, crew)
            elif message.topic == ack_topic(self._gateway):
                self._counters[f"acks_{self._judge(message.payload)}"] += 1
            else:
                self._counters["acks_wrong_topic"] += 1

    def _hand_on(self, session: Session, message: Message, to: Commands, crew: _Crew) -> None:
        if self._commanding < MAX_COMMANDS:
            self._commanding += 1
            crew.start(self._command(session, message, to)).add_done_callback(self._commanded)
        else:
            self._counters["commands_dropped"] += 1

    async def _command(self, session: Session, message: Message, to: Commands) -> None:
        """Have one command carried out, and send the reply."""
        try:
            reply = await to.handle(message)
            if reply is not None:
                await session.publish(reply.topic, reply.payload)
                self._counters["replies_sent"] += 1
        except PublishRefused as error:  # the sender comes again, and finds the reply kept
            self._last_error = error
            self._counters["replies_refused"] += 1

    def _commanded(self, _: asyncio.Task[None]) -> None:
        self._commanding -= 1

    def _judge(self, payload: bytes) -> str:
        """Free what an acknowledgement names, if it names what was sent; what became of it."""
        try:
            ack = decode_ack(payload)
        except UnknownVersion:
            return "unknown_version"
        except DecodeError:
            return "malformed"
        outbox = self._outboxes.get((ack.journal, ack.lane))
        if outbox is None:
            return "wrong_journal"
        return self._acknowledge(outbox, ack.first, ack.last).name.lower()

    def _acknowledge(self, outbox: Outbox, first: int, last: int) -> Verdict:
        verdict = outbox.acknowledge(first, last)
        if verdict is Verdict.TAKEN:
            self._counters["events_acknowledged"] += last - first + 1
            self._progress.set()
        return verdict

    async def _pump(self, session: Session, outbox: Outbox, pace: Pace, crew: _Crew) -> None:
        """Send what an outbox has, as soon as it may go."""
        urgent = outbox.lane is Lane.URGENT
        while True:
            size = pace.max_batch_bytes if urgent else pace.batch_bytes
            outgoing = await outbox.next(size, pace.max_batch_bytes)
            if outgoing is None:
                self._settled(outbox)
                await outbox.woken()
                continue
            payload = self._encode(outbox, outgoing)
            while not self._may_go(outbox, pace, len(payload)):
                outbox.wake.clear()
                await outbox.wake.wait()
            outbox.outstanding.sent(outgoing.parcel)
            if urgent:
                self._clear_the_way()
            else:
                pace.sent(len(payload))
            crew.start(self._send(session, outbox, outgoing, payload, pace))

    def _settled(self, outbox: Outbox) -> None:
        """A lane has nothing to send now: routine may go, and a drain may be over."""
        if outbox.lane is Lane.URGENT:
            self._wake(Lane.ROUTINE)
        self._progress.set()

    def _may_go(self, outbox: Outbox, pace: Pace, size: int) -> bool:
        if outbox.lane is Lane.URGENT:
            return outbox.outstanding.flying < URGENT_PLACES
        urgent = self._of(Lane.URGENT)
        waited_for = any(other.outstanding for other in urgent)
        clear = not waited_for or time.monotonic() >= self._cleared_at_s
        return clear and pace.admits(size) and not any(other.pressing for other in urgent)

    def _clear_the_way(self) -> None:
        """An urgent batch goes: routine ones wait for it a while."""
        self._cleared_at_s = time.monotonic() + CLEARANCE_S
        asyncio.get_running_loop().call_later(CLEARANCE_S, self._wake, Lane.ROUTINE)

    async def _send(
        self, session: Session, outbox: Outbox, outgoing: Outgoing, payload: bytes, pace: Pace
    ) -> None:
        """Publish one batch, and note what the broker said."""
        parcel, sent_at_s = outgoing.parcel, time.monotonic()
        self._count_sending(outgoing, payload)
        try:
            await session.publish(up_topic(self._gateway, outbox.lane), payload)
        except PublishRefused as error:
            outbox.refused(parcel)
            self._refused(error)
        else:
            outbox.landed(parcel)
            if self._settings.ack == "broker":
                self._acknowledge(outbox, parcel.first, parcel.last)
        if outbox.lane is Lane.ROUTINE:
            pace.landed(len(payload), sent_at_s, time.monotonic())
        for other in self._outboxes.values():
            other.wake.set()

    def _encode(self, outbox: Outbox, outgoing: Outgoing) -> bytes:
        first, events = outgoing.parcel.first, outgoing.events
        return encode_batch(Batch(self._gateway, outbox.journal, outbox.lane, first, events))

    def _count_sending(self, outgoing: Outgoing, payload: bytes) -> None:
        self._counters["batches_sent"] += 1
        self._counters["batches_resent"] += outgoing.parcel.tries > 1
        self._counters["events_sent"] += len(outgoing.events)
        self._counters["bytes_sent"] += len(payload)

    def _refused(self, error: PublishRefused) -> None:
        self._last_error = error
        self._counters["publishes_refused"] += 1

    def _on_durable(self, lane: Lane) -> None:
        """On a thread of the journal: wake the lane's tasks."""
        loop = self._loop
        if loop is None:
            return  # not running; the journal is asked anyway when it starts
        try:
            loop.call_soon_threadsafe(self._came, lane)
        except RuntimeError:  # the loop was closed between these lines
            return

    def _came(self, lane: Lane) -> None:
        self._wake(lane)
        if lane is Lane.URGENT:
            self._urgent_came.set()

    def _wake(self, lane: Lane) -> None:
        for outbox in self._of(lane):
            outbox.wake.set()

    def _of(self, lane: Lane) -> list[Outbox]:
        return [outbox for outbox in self._outboxes.values() if outbox.lane is lane]

    async def _pause(self, delay_s: float) -> None:
        """Wait before the next try; shorter while an urgent event waits, or when one comes."""
        self._urgent_came.clear()
        if not all(outbox.drained for outbox in self._of(Lane.URGENT)):
            delay_s = min(delay_s, RECONNECT_URGENT_CAP_S)
        await asyncio.sleep(min(delay_s, RECONNECT_LEAST_S))
        try:
            async with asyncio.timeout(max(0, delay_s - RECONNECT_LEAST_S)):
                await self._urgent_came.wait()
        except TimeoutError:
            return


def _routine_places(window: int) -> int:
    return max(1, min(ROUTINE_PLACES, window - URGENT_PLACES))


class _Crew:
    """Tasks that end together: with the first that fails, or when the crew is cancelled.

    Not a TaskGroup: when it fails while it is cancelled, the TaskGroup of Python 3.11 forgets the
    cancellation, and a forwarder that should stop would connect again.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Add a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def work(self) -> None:
        """Until a task fails; raises what it raised, when all have ended."""
        try:
            await self._failed
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)
