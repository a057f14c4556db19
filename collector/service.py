"""The collector: subscribes, stores, and acknowledges what is committed.

Each lane has a pipeline of its own, with its own connection: so a call does not stand behind
readings in the broker's queue either. Judging and storing are done on threads beside each other:
one is the interpreter's work, the other the database's. Storing is cut into short turns, one at a
time, and none begins while a call is in hand: a call waits for one of them at most.

    receive a group -> judge -> commit -> acknowledge, each while the one before does its next step

The broker gets its PUBACK for a message when the message is received here, and no more than its
window of them wait: a collector that cannot keep up, or whose disk is full, slows its broker down
and does not grow. What is lost on the way, gateways send again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from collector.ingest import Ingest, Intake, judge
from gateway.backoff import Backoff
from gateway.codec import encode_offer
from gateway.errors import PublishRefused, SettingsError, StoreError, UplinkError
from gateway.model import DEFLATE, Lane, Offer
from gateway.uplink import MqttUplink, offer_topic, up_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from collector.store import Store
    from gateway.settings import UplinkSettings
    from gateway.signing.signature import PrivateKey
    from gateway.uplink import Message, Session, Uplink

# Always there, so that who shows them need not ask; with those of Ingest.
_TOTALS = (
    "sessions",
    "sessions_failed",
    "dropped",
    "store_errors",
    "acks",
    "acks_refused",
    "offers_refused",
)
# What this collector understands beyond the least.
OFFER = Offer(frozenset({DEFLATE}))

# The most messages received at once; the broker's window is not much larger.
GROUP = 64
# A turn of routine work ends after so many events: a few milliseconds, which a call waits for.
TURN_EVENTS = 150
# Calls that come without end must not stop the readings; a call in hand takes a few milliseconds.
CLEARANCE_S = 0.05
# There are few collectors, and a call may wait in every gateway: no long pauses here.
RECONNECT_FIRST_S, RECONNECT_CAP_S = 0.2, 2.0
# A full disk is not freed sooner by asking more often; a locked file may be.
STORE_RETRY_FIRST_S, STORE_RETRY_CAP_S = 0.1, 10.0


class Collector:
    """Stores what gateways send.

    Args:
        settings: the broker, as in `[uplink]`; `ack` and `max_batch` mean nothing here.
        store: where events go; it is not closed here.
        share: name of a shared subscription (MQTT 5), so that several collectors split the work.
        key: signs acknowledgements, for gateways that want that.
        uplink: makes the uplink of each lane; by default the broker of `settings`.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        store: Store,
        *,
        share: str = "",
        key: PrivateKey | None = None,
        uplink: Callable[[Lane], Uplink] | None = None,
    ) -> None:
        make = uplink or (lambda _: MqttUplink(settings))
        self._uplinks = {lane: make(lane) for lane in Lane}
        self._prefix = f"$share/{share}/" if share else ""
        self._ingest = Ingest(store, key)
        self._turn = asyncio.Lock()  # fair: who waits is next, and a call is the only other one
        self._no_calls = asyncio.Event()  # no call is on its way from here to the store
        self._no_calls.set()
        self._counters = Counter(dict.fromkeys(_TOTALS, 0))
        self._connected: set[Lane] = set()
        self._last_error: Exception | None = None

    @property
    def connected(self) -> bool:
        """Whether every lane is subscribed."""
        return len(self._connected) == len(Lane)

    @property
    def counters(self) -> Mapping[str, int]:
        """How often what happened: those of Ingest, and those of _TOTALS."""
        return {**self._ingest.counters, **self._counters}

    @property
    def last_error(self) -> Exception | None:
        """Why a session failed, the store refused or an acknowledgement was refused last."""
        return self._last_error

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for lane in Lane:
                tasks.create_task(self._serve(lane))

    async def _serve(self, lane: Lane) -> None:
        """One lane, session after session."""
        backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_CAP_S)
        while True:
            try:
                async with self._uplinks[lane].session() as session:
                    await session.subscribe(self._prefix + up_topic("+", lane))
                    await self._offer(session)
                    backoff.reset()
                    self._counters["sessions"] += 1
                    self._connected.add(lane)
                    collect = self._collect_calls if lane is Lane.URGENT else self._collect_readings
                    await collect(session)
            except (UplinkError, SettingsError) as error:
                self._last_error = error
                self._counters["sessions_failed"] += 1
            finally:
                self._connected.discard(lane)
            await asyncio.sleep(backoff.next_s())

    async def _offer(self, session: Session) -> None:
        """Say what is understood here, and that somebody is here: calls then come again at once.

        A broker that forbids it costs compression and a moment, nothing else.
        """
        try:
            await session.publish(offer_topic(), encode_offer(OFFER), retain=True)
        except PublishRefused as error:
            self._last_error = error
            self._counters["offers_refused"] += 1

    async def _collect_calls(self, session: Session) -> None:
        """The urgent lane of one session; what comes at once is stored at once."""
        loop, answering = asyncio.get_running_loop(), _Answering(self._answer)
        try:
            async for messages in self._receive(session):
                self._no_calls.clear()
                try:
                    answers = await self._keep(await asyncio.to_thread(judge, messages))
                finally:
                    loop.call_soon(self._no_calls.set)  # when the answers are on their way
                await answering.next(session, answers)
        finally:
            await answering.end()

    async def _collect_readings(self, session: Session) -> None:
        """The routine lane of one session. While a turn is stored, the next one is judged."""
        storing, answering = None, _Answering(self._answer)
        try:
            async for messages in self._receive(session):
                async for intake in self._turns(messages):
                    if storing is not None:
                        await storing
                    storing = asyncio.create_task(self._store(session, intake, answering))
        finally:
            await _end(storing)
            await answering.end()

    async def _receive(self, session: Session) -> AsyncIterator[list[Message]]:
        """Group after group, until the link is lost."""
        dropped = 0
        while True:
            messages = await session.receive(GROUP)
            self._counters["dropped"] += session.dropped - dropped
            dropped = session.dropped
            yield messages

    async def _turns(self, messages: Sequence[Message]) -> AsyncIterator[Intake]:
        """Judge a group on a thread, message by message, and cut it into turns of the store."""
        waiting = Intake()
        for message in messages:
            await self._let_calls_pass()
            intake = await asyncio.to_thread(judge, [message])
            if waiting.events and waiting.events + intake.events > TURN_EVENTS:
                yield waiting
                waiting = Intake()
            waiting = waiting.joined(intake)
        yield waiting

    async def _store(self, session: Session, intake: Intake, answering: _Answering) -> None:
        """Commit one turn; its answers go out while the next one is stored."""
        await self._let_calls_pass()
        await answering.next(session, await self._keep(intake))

    async def _let_calls_pass(self) -> None:
        """Begin no routine work while a call is in hand; not for ever, if they come without end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLEARANCE_S):
                await self._no_calls.wait()

    async def _keep(self, intake: Intake) -> tuple[Message, ...]:
        """Store on a thread when it is our turn; tried again until the store takes it."""
        backoff = Backoff(STORE_RETRY_FIRST_S, STORE_RETRY_CAP_S)
        while True:
            try:
                async with self._turn:
                    return await asyncio.to_thread(self._ingest.keep, intake)
            except StoreError as error:
                self._last_error = error
                self._counters["store_errors"] += 1
            await asyncio.sleep(backoff.next_s())

    async def _answer(self, session: Session, answers: Sequence[Message]) -> None:
        await asyncio.gather(*(self._acknowledge(session, answer) for answer in answers))

    async def _acknowledge(self, session: Session, answer: Message) -> None:
        try:
            await session.publish(answer.topic, answer.payload)
        except PublishRefused as error:
            self._last_error = error
            self._counters["acks_refused"] += 1
        else:
            self._counters["acks"] += 1


class _Answering:
    """Answers go out beside what comes next, one group after the other."""

    def __init__(
        self, answer: Callable[[Session, Sequence[Message]], Coroutine[None, None, None]]
    ) -> None:
        self._answer = answer
        self._task: asyncio.Task[None] | None = None

    async def next(self, session: Session, answers: Sequence[Message]) -> None:
        """When those before have gone."""
        if self._task is not None:
            await self._task
        self._task = asyncio.create_task(self._answer(session, answers))

    async def end(self) -> None:
        """The session is over."""
        await _end(self._task)


async def _end(task: asyncio.Task[None] | None) -> None:
    """Let a task of a session that is over go."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # the link that failed it has failed the session, too
