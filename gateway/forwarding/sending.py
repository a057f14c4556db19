"""What goes up on a session: the batches of each outbox, as soon as they may go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.codec import MAX_BATCH_BYTES, encode_batch
from gateway.errors import PublishRefused
from gateway.forwarding.pace import MIN_BATCH_BYTES
from gateway.forwarding.packing import TIMES_SMALLER
from gateway.forwarding.patience import Patience
from gateway.model import Batch, Lane
from gateway.uplink import up_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.crew import Crew
    from gateway.forwarding.allowance import Allowance
    from gateway.forwarding.outbox import Outbox, Outgoing
    from gateway.forwarding.pace import Flight, Pace
    from gateway.forwarding.packing import Packing
    from gateway.forwarding.right_of_way import RightOfWay
    from gateway.forwarding.tally import Tally
    from gateway.uplink import Session

# The head of a batch around its events: version, gateway (up to 64 characters), journal, seq.
BATCH_HEAD_BYTES = 128
# The most bytes of events in a batch, however small they get on the way.
MAX_RAW_BYTES = MAX_BATCH_BYTES - BATCH_HEAD_BYTES


class Sending:
    """Sends batches, and notes what the broker said of each.

    Args:
        gateway: id of this gateway.
        broker: its URL, for errors.
        way: who goes first.
        packing: which batches go packed.
        allowance: what the link may cost a day; None if that is not counted.
        tally: of the forwarder.
        on_confirmed: takes each batch that the broker confirmed.
        on_settled: takes an outbox that has nothing to send now.
        on_room: called when there may be room for another batch.
    """

    def __init__(
        self,
        gateway: str,
        broker: str,
        *,
        way: RightOfWay,
        packing: Packing,
        allowance: Allowance | None,
        tally: Tally,
        on_confirmed: Callable[[Outbox, Outgoing], None],
        on_settled: Callable[[Outbox], None],
        on_room: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._way = way
        self._packing = packing
        self._allowance = allowance
        self._tally = tally
        self._on_confirmed = on_confirmed
        self._on_settled = on_settled
        self._on_room = on_room
        self._patience = Patience(broker)

    async def pump(self, session: Session, outbox: Outbox, pace: Pace, crew: Crew) -> None:
        """Send what an outbox has, until cancelled; each batch is a task of the crew."""
        urgent = outbox.lane is Lane.URGENT
        while True:
            size = pace.max_batch_bytes if urgent else self._routine_batch_bytes(pace)
            outgoing = await outbox.next(size, max(size, pace.max_batch_bytes))
            if outgoing is None:
                self._on_settled(outbox)
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

    def _routine_batch_bytes(self, pace: Pace) -> int:
        """Bytes of events for a routine batch; few, as a sign of life, when the day is spent."""
        if self._allowance is not None and self._allowance.exhausted:
            return MIN_BATCH_BYTES
        packed = self._packing.agreed(time.monotonic())
        return min(MAX_RAW_BYTES, pace.batch_bytes * (TIMES_SMALLER if packed else 1))

    def _encode(self, outbox: Outbox, outgoing: Outgoing) -> bytes:
        parcel, events = outgoing.parcel, outgoing.events
        size = sum(map(len, events))
        packed = self._packing.packs(parcel, outbox.lane, size, time.monotonic())
        batch = Batch(self._gateway, outbox.journal, outbox.lane, parcel.first, events)
        return encode_batch(batch, packed=packed)

    async def _send(
        self,
        session: Session,
        outbox: Outbox,
        outgoing: Outgoing,
        payload: bytes,
        flight: Flight | None,
    ) -> None:
        """Publish one batch, and note what the broker said."""
        sent_at_s = time.monotonic()
        self._tally.sent(outgoing, payload)
        try:
            await self._publish(session, outbox.lane, payload)
        except PublishRefused as error:
            outbox.refused(outgoing.parcel)
            self._tally.failed(error, "publishes_refused")
        else:
            outbox.landed(outgoing.parcel)
            self._on_confirmed(outbox, outgoing)
        if flight is not None:
            flight.landed(sent_at_s, time.monotonic())
        self._on_room()

    async def _publish(self, session: Session, lane: Lane, payload: bytes) -> None:
        topic = up_topic(self._gateway, lane)
        if lane is Lane.URGENT:
            await self._patience.publish(session, topic, payload)
        else:
            await session.publish(topic, payload)
