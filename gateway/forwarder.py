"""From the journal to committed at the collector.

The journal is the outbox. The forwarder reads runs of events from it, sends each as one batch, and
frees it when the collector says that exactly this batch is committed (or, with `ack = "broker"`,
when the broker confirms it).

- The urgent lane has its own task, its own places in the window, and goes first
  (`right_of_way.py`); few enough routine batches are on their way that an urgent one does not stand
  behind seconds of them (`pace.py`).
- What the flash refused is forwarded from memory, as a second backlog with a uuid of its own.
- A link that is lost is found again with growing delays; an urgent event tries at once. Everything
  outstanding is then sent again: what arrives twice is stored once.
- Acknowledgements that do not come are waited for with growing patience (`outbox.py`).
- An acknowledgement that fits nothing sent is refused, and counted by name.
- Large routine batches go packed where the collector understands it (`packing.py`), and are held
  back when the day's traffic is spent (`allowance.py`).
- What comes down on the same session is `incoming.py`'s. A command is carried out in a task of its
  own, so neither it nor its reply holds up an event or an acknowledgement.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import cbor2

from gateway.backoff import Backoff
from gateway.codec import MAX_BATCH_BYTES, WIRE_VERSION, encode_batch
from gateway.crew import Crew
from gateway.errors import PublishRefused, SettingsError, UplinkError, UplinkLost
from gateway.incoming import Incoming
from gateway.model import Batch, Lane
from gateway.outbox import Outbox, Outgoing
from gateway.pace import MIN_BATCH_BYTES, Flight, Pace
from gateway.packing import TIMES_SMALLER, Packing
from gateway.right_of_way import URGENT_PLACES, RightOfWay
from gateway.uplink import MqttUplink, Traffic, Will, state_topic, up_topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.allowance import Allowance
    from gateway.incoming import Commands
    from gateway.outbox import Backlog
    from gateway.settings import UplinkSettings
    from gateway.steadiness import Steadiness
    from gateway.uplink import Session, Uplink

# Every counter, so that health can show what never happened, too.
_COUNTED = (
    "sessions",
    "sessions_failed",
    "batches_sent",
    "batches_resent",
    "batches_packed",
    "events_sent",
    "bytes_sent",  # of batches; wire_bytes are everything, with the heads of packets
    "wire_bytes_sent",
    "wire_bytes_received",
    "publishes_refused",
    "events_acknowledged",
    "acks_taken",
    "acks_stale",  # the answer to another sending of the same batch
    "acks_never_sent",
    "acks_malformed",
    "acks_unknown_version",
    "acks_wrong_journal",
    "acks_wrong_topic",
    "offers_malformed",
    "offers_not_subscribed",
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
# How many routine batches may be on their way on a fast link. More drain no backlog faster, and a
# call shares the far side with them.
ROUTINE_PLACES = 6
# How long a call waits for its PUBACK before another connection is tried: three round trips of a
# satellite with a lost packet in each. Doubled each time it was not enough, so that a link on which
# nothing is quicker is not broken off for ever.
CALL_PATIENCE_FIRST_S, CALL_PATIENCE_CAP_S = 9.0, 120.0
# How often the connection's traffic is counted; a link of 100 KB/s spends 500 KB in this time.
COUNT_TRAFFIC_EVERY_S = 5.0
# The head of a batch around its events: version, gateway (up to 64 characters), journal, seq.
BATCH_HEAD_BYTES = 128
# The most bytes of events in a batch, however small they get on the way.
MAX_RAW_BYTES = MAX_BATCH_BYTES - BATCH_HEAD_BYTES


def state_payload(state: str) -> bytes:
    """What is retained under the state topic: `[version, "online" | "offline"]`."""
    return cbor2.dumps([WIRE_VERSION, state])


def uplink_of(gateway: str, settings: UplinkSettings) -> MqttUplink:
    """The uplink of a gateway: a client identifier of its own, offline as its last will."""
    will = Will(state_topic(gateway), state_payload("offline"))
    return MqttUplink(settings, client_id=f"hearth-{gateway}", will=will)


class Forwarder:
    """Sends what the journal holds, and frees what is stored over there.

    Args:
        gateway: id of this gateway.
        settings: the table `[uplink]`.
        backlogs: the journal, and what its flash refused.
        uplink: where sessions come from; by default `uplink_of(gateway, settings)`.
        commands: who carries out what comes down; None if no command is taken.
        allowance: what the link may cost a day; None if that is not counted.
        steadiness: who tells that sessions do not hold.
    """

    def __init__(
        self,
        gateway: str,
        settings: UplinkSettings,
        backlogs: Sequence[Backlog],
        uplink: Uplink | None = None,
        *,
        commands: Commands | None = None,
        allowance: Allowance | None = None,
        steadiness: Steadiness | None = None,
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._uplink = uplink or uplink_of(gateway, settings)
        self._outboxes = {
            (backlog.uuid, lane): Outbox(lane, backlog, settings.ack_timeout)
            for backlog in backlogs
            for lane in Lane
        }
        self._call_patience_s = CALL_PATIENCE_FIRST_S
        self._allowance = allowance
        self._steadiness = steadiness
        self._traffic = Traffic()  # of the session that is, as far as it was counted
        self._packing = Packing(wanted=settings.compress)
        self._counters = Counter(dict.fromkeys(_COUNTED, 0))
        self._connected = False
        self._last_error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._progress = asyncio.Event()
        self._urgent_came = asyncio.Event()
        self._way = RightOfWay(self._outboxes.values(), allowance, self._wake)
        self._incoming = Incoming(
            gateway,
            settings,
            outboxes=self._outboxes,
            packing=self._packing,
            commands=commands,
            counters=self._counters,
            on_error=self._failed,
            on_progress=self._progress.set,
        )
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
                self._packing.begin()
                self._traffic = Traffic()
                await self._incoming.subscribe(session)
                self._connected = True
                self._counters["sessions"] += 1
                await self._hold(session)
        except (UplinkError, SettingsError) as error:
            self._last_error = error
            self._counters["sessions_failed"] += 1
        finally:
            self._connected = False
            for outbox in self._outboxes.values():
                outbox.outstanding.requeue()

    async def _hold(self, session: Session) -> None:
        """Converse; note how long it held, and what it cost."""
        began_s = time.monotonic()
        try:
            await self._converse(session, began_s)
        except UplinkLost:
            if self._steadiness is not None:
                self._steadiness.ended(time.monotonic() - began_s, time.monotonic())
            raise
        finally:
            await self._count_traffic(session)

    async def _converse(self, session: Session, began_s: float) -> None:
        largest = min(self._settings.max_batch_bytes, MAX_BATCH_BYTES, session.max_payload)
        pace = Pace(largest - BATCH_HEAD_BYTES, _routine_places(session.window))
        crew = Crew()
        crew.start(self._tell_online(session))
        crew.start(self._incoming.receive(session, crew))
        crew.start(self._watch(session, began_s))
        for outbox in self._outboxes.values():
            crew.start(self._pump(session, outbox, pace, crew))
        await crew.work()

    async def _tell_online(self, session: Session) -> None:
        try:
            await session.publish(state_topic(self._gateway), state_payload("online"), retain=True)
        except PublishRefused as error:  # told, and no reason to keep events back
            self._refused(error)

    async def _watch(self, session: Session, began_s: float) -> None:
        """Count what the connection costs, and let readings go when a new day allows it."""
        while True:
            await self._count_traffic(session)
            if self._allowance is not None:
                self._wake(Lane.ROUTINE)
            if self._steadiness is not None:
                self._steadiness.holds(time.monotonic() - began_s)
            await asyncio.sleep(COUNT_TRAFFIC_EVERY_S)

    async def _count_traffic(self, session: Session) -> None:
        before, self._traffic = self._traffic, session.traffic
        self._counters["wire_bytes_sent"] += self._traffic.sent_bytes - before.sent_bytes
        received = self._traffic.received_bytes - before.received_bytes
        self._counters["wire_bytes_received"] += received
        if self._allowance is not None:
            await self._allowance.spent(before, self._traffic)

    async def _pump(self, session: Session, outbox: Outbox, pace: Pace, crew: Crew) -> None:
        """Send what an outbox has, as soon as it may go."""
        urgent = outbox.lane is Lane.URGENT
        while True:
            size = pace.max_batch_bytes if urgent else self._routine_batch_bytes(pace)
            outgoing = await outbox.next(size, max(size, pace.max_batch_bytes))
            if outgoing is None:
                self._settled(outbox)
                await outbox.woken()
                continue
            payload = self._encode(outbox, outgoing)
            if len(payload) > pace.max_batch_bytes + BATCH_HEAD_BYTES and len(outgoing.events) > 1:
                outbox.halve(outgoing.parcel)  # it did not get as small as batches mostly do
                continue
            asked_at_s = time.monotonic()
            while not self._way.may_go(outbox, pace, len(payload), asked_at_s):
                outbox.wake.clear()
                await outbox.wake.wait()
            outbox.outstanding.sent(outgoing.parcel)
            self._way.goes(outbox.lane)
            flight = None if urgent else pace.sent(len(payload))
            crew.start(self._send(session, outbox, outgoing, payload, flight))

    def _settled(self, outbox: Outbox) -> None:
        """A lane has nothing to send now: routine may go, and a drain may be over."""
        if outbox.lane is Lane.URGENT:
            self._wake(Lane.ROUTINE)
        self._progress.set()

    def _routine_batch_bytes(self, pace: Pace) -> int:
        """Bytes of events for a routine batch; few, as a sign of life, when the day is spent."""
        if self._allowance is not None and self._allowance.exhausted:
            return MIN_BATCH_BYTES
        packed = self._packing.agreed(time.monotonic())
        return min(MAX_RAW_BYTES, pace.batch_bytes * (TIMES_SMALLER if packed else 1))

    async def _send(
        self,
        session: Session,
        outbox: Outbox,
        outgoing: Outgoing,
        payload: bytes,
        flight: Flight | None,
    ) -> None:
        """Publish one batch, and note what the broker said."""
        parcel, sent_at_s = outgoing.parcel, time.monotonic()
        self._count_sending(outgoing, payload)
        try:
            await self._publish(session, outbox.lane, payload)
        except PublishRefused as error:
            outbox.refused(parcel)
            self._refused(error)
        else:
            outbox.landed(parcel)
            if self._settings.ack == "broker":
                self._incoming.acknowledge(outbox, parcel.first, parcel.last)
        if flight is not None:
            flight.landed(sent_at_s, time.monotonic())
        for other in self._outboxes.values():
            other.wake.set()

    async def _publish(self, session: Session, lane: Lane, payload: bytes) -> None:
        """Until PUBACK. A call does not wait for the keepalive to find that the link is dead."""
        topic = up_topic(self._gateway, lane)
        if lane is not Lane.URGENT:
            await session.publish(topic, payload)
            return
        patience_s = self._call_patience_s
        try:
            async with asyncio.timeout(patience_s):
                await session.publish(topic, payload)
        except TimeoutError:
            self._call_patience_s = min(2 * patience_s, CALL_PATIENCE_CAP_S)
            raise UplinkLost(
                f"the broker does not confirm a call within {patience_s:.0f} s",
                where=self._settings.url,
            ) from None
        self._call_patience_s = CALL_PATIENCE_FIRST_S

    def _encode(self, outbox: Outbox, outgoing: Outgoing) -> bytes:
        parcel, events = outgoing.parcel, outgoing.events
        size = sum(map(len, events))
        packed = self._packing.packs(parcel, outbox.lane, size, time.monotonic())
        batch = Batch(self._gateway, outbox.journal, outbox.lane, parcel.first, events)
        return encode_batch(batch, packed=packed)

    def _count_sending(self, outgoing: Outgoing, payload: bytes) -> None:
        self._counters["batches_sent"] += 1
        self._counters["batches_resent"] += outgoing.parcel.tries > 1
        self._counters["batches_packed"] += bool(outgoing.parcel.packed)
        self._counters["events_sent"] += len(outgoing.events)
        self._counters["bytes_sent"] += len(payload)

    def _failed(self, error: Exception) -> None:
        self._last_error = error

    def _refused(self, error: PublishRefused) -> None:
        self._failed(error)
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
