"""From the journal to committed at the collector.

The journal is the outbox. The forwarder reads runs of events from it, sends each as one batch, and
frees it when the collector says that exactly this batch is committed (or, with `ack = "broker"`,
when the broker confirms it).

- What goes up is `sending.py`'s: each lane has its own task and its own places in the window. The
  urgent one goes first (`right_of_way.py`); few enough routine batches are on their way that it
  does not stand behind seconds of them (`pace.py`), and a link that does not confirm a call is
  given up (`patience.py`). Large routine batches go packed where the collector understands it
  (`packing.py`), and are held back when the day's traffic is spent (`allowance.py`).
- What comes down is `incoming.py`'s. An acknowledgement that fits nothing sent is refused, and
  counted by name (`tally.py`). Those that do not come are waited for with growing patience
  (`outbox.py`). A command is carried out in a task of its own, so neither it nor its reply holds up
  an event or an acknowledgement.
- What the flash refused is forwarded from memory, as a second backlog with a uuid of its own.
- A link that is lost is found again with growing delays; an urgent event tries at once. Everything
  outstanding is then sent again: what arrives twice is stored once.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import cbor2

from gateway.backoff import Backoff
from gateway.codec import MAX_BATCH_BYTES, WIRE_VERSION
from gateway.crew import Crew
from gateway.errors import PublishRefused, SettingsError, UplinkError, UplinkLost
from gateway.forwarding.incoming import Incoming
from gateway.forwarding.outbox import Outbox
from gateway.forwarding.pace import Pace
from gateway.forwarding.packing import Packing
from gateway.forwarding.right_of_way import URGENT_PLACES, RightOfWay
from gateway.forwarding.sending import BATCH_HEAD_BYTES, Sending
from gateway.forwarding.tally import Tally
from gateway.model import Lane
from gateway.uplink import MqttUplink, Traffic, Will, state_topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.errors import HearthError
    from gateway.forwarding.allowance import Allowance
    from gateway.forwarding.incoming import Commands
    from gateway.forwarding.outbox import Backlog, Outgoing
    from gateway.forwarding.steadiness import Steadiness
    from gateway.forwarding.trust import Trust
    from gateway.settings import UplinkSettings
    from gateway.uplink import Session, Uplink

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
# How often the connection's traffic is counted; a link of 100 KB/s spends 500 KB in this time.
COUNT_TRAFFIC_EVERY_S = 5.0


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
        trust: whose acknowledgements count; None if anybody's do.
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
        trust: Trust | None = None,
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._uplink = uplink or uplink_of(gateway, settings)
        self._outboxes = {
            (backlog.uuid, lane): Outbox(lane, backlog, settings.ack_timeout)
            for backlog in backlogs
            for lane in Lane
        }
        self._allowance = allowance
        self._steadiness = steadiness
        self._traffic = Traffic()  # of the session that is, as far as it was counted
        self._packing = Packing(wanted=settings.compress)
        self._tally = Tally()
        self._connected = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._progress = asyncio.Event()
        self._urgent_came = asyncio.Event()
        self._incoming = Incoming(
            gateway,
            settings,
            outboxes=self._outboxes,
            packing=self._packing,
            trust=trust,
            commands=commands,
            tally=self._tally,
            on_progress=self._progress.set,
        )
        self._sending = Sending(
            gateway,
            settings.url,
            way=RightOfWay(self._outboxes.values(), allowance, self._wake),
            packing=self._packing,
            allowance=allowance,
            tally=self._tally,
            on_confirmed=self._confirmed,
            on_settled=self._settled,
            on_room=self._wake_all,
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
        """How often what happened, by the names of the tally."""
        return dict(self._tally)

    @property
    def last_error(self) -> HearthError | None:
        """Why the last session failed, or the last publish was refused."""
        return self._tally.last_error

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
                self._tally["sessions"] += 1
                await self._hold(session)
        except (UplinkError, SettingsError) as error:
            self._tally.failed(error, "sessions_failed")
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
            crew.start(self._sending.pump(session, outbox, pace, crew))
        await crew.work()

    async def _tell_online(self, session: Session) -> None:
        try:
            await session.publish(state_topic(self._gateway), state_payload("online"), retain=True)
        except PublishRefused as error:  # told, and no reason to keep events back
            self._tally.failed(error, "publishes_refused")

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
        self._tally.passed(before, self._traffic)
        if self._allowance is not None:
            await self._allowance.spent(before, self._traffic)

    def _confirmed(self, outbox: Outbox, outgoing: Outgoing) -> None:
        """The broker has a batch; that is all that is asked for if it is trusted."""
        if self._settings.ack == "broker":
            self._incoming.acknowledge(outbox, outgoing.parcel.first, outgoing.parcel.last)

    def _settled(self, outbox: Outbox) -> None:
        """A lane has nothing to send now: routine may go, and a drain may be over."""
        if outbox.lane is Lane.URGENT:
            self._wake(Lane.ROUTINE)
        self._progress.set()

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

    def _wake_all(self) -> None:
        for outbox in self._outboxes.values():
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
