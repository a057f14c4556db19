"""What comes down on a session: acknowledgements, what the collector understands, commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.codec import decode_ack, decode_offer, open_ack
from gateway.errors import DecodeError, PublishRefused, UnknownVersion, UplinkLost
from gateway.forwarding.outstanding import Verdict
from gateway.model import Lane
from gateway.uplink import ack_topic, down_topic, offer_topic

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from gateway.crew import Crew
    from gateway.forwarding.outbox import Outbox
    from gateway.forwarding.packing import Packing
    from gateway.forwarding.tally import Tally
    from gateway.forwarding.trust import Trust
    from gateway.model import Ack, Signed
    from gateway.settings import UplinkSettings
    from gateway.uplink import Message, Session

# Commands in hand at once; a home has a few a day. Who gets no reply sends again.
MAX_COMMANDS = 16


class Commands(Protocol):
    """Who carries out what comes down."""

    async def handle(self, message: Message) -> Message | None:
        """The reply, when there is one; None if there is none to give."""
        ...


class Incoming:
    """Takes what comes down, and counts what it was.

    Args:
        gateway: id of this gateway.
        settings: the table `[uplink]`.
        outboxes: whose batches are acknowledged, by journal and lane.
        packing: who learns what the collector understands.
        trust: whose acknowledgements count; None if anybody's do.
        commands: who carries out commands; None if none are taken.
        tally: of the forwarder.
        on_progress: called when something was freed.
    """

    def __init__(
        self,
        gateway: str,
        settings: UplinkSettings,
        *,
        outboxes: Mapping[tuple[bytes, Lane], Outbox],
        packing: Packing,
        trust: Trust | None,
        commands: Commands | None,
        tally: Tally,
        on_progress: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._outboxes = outboxes
        self._packing = packing
        self._trust = trust
        self._commands = commands
        self._commanding = 0
        self._tally = tally
        self._on_progress = on_progress

    async def subscribe(self, session: Session) -> None:
        """Ask the broker for all of it; UplinkLost if acknowledgements are refused."""
        if self._settings.ack == "collector":
            await session.subscribe(ack_topic(self._gateway))
            await self._ask_for(session, offer_topic(), "offers_not_subscribed")
        if self._commands is not None:
            topic = down_topic(self._gateway, "+")
            await self._ask_for(session, topic, "commands_not_subscribed")

    async def _ask_for(self, session: Session, topic: str, counter: str) -> None:
        """Subscribe to what events can do without: a broker that forbids it keeps none back."""
        try:
            await session.subscribe(topic)
        except UplinkLost as error:  # if it is the link that is lost, what comes next says so
            self._tally.failed(error, counter)

    async def receive(self, session: Session, crew: Crew) -> None:
        """Take what comes, until the link is lost."""
        down = down_topic(self._gateway, "")
        async for message in session.messages():
            if self._commands is not None and message.topic.startswith(down):
                self._hand_on(session, message, self._commands, crew)
            elif message.topic == ack_topic(self._gateway):
                self._tally[f"acks_{self.judge(message.payload)}"] += 1
            elif message.topic == offer_topic():
                self._learn(message.payload)
            else:
                self._tally["acks_wrong_topic"] += 1

    def judge(self, payload: bytes) -> str:
        """Free what an acknowledgement names, if it names what was sent; what became of it."""
        try:
            signed = open_ack(payload)
            ack = decode_ack(signed.body)
        except UnknownVersion:
            return "unknown_version"
        except DecodeError:
            return "malformed"
        outbox = self._outboxes.get((ack.journal, ack.lane))
        if outbox is None:
            return "wrong_journal"
        if self._is_forged(signed, outbox, ack):
            return "untrusted"
        return self.acknowledge(outbox, ack.first, ack.last).name.lower()

    def _is_forged(self, signed: Signed, outbox: Outbox, ack: Ack) -> bool:
        """Only what would free something is worth the work of a signature."""
        if self._trust is None or outbox.outstanding.find(ack.first, ack.last) is None:
            return False
        return not self._trust.believes(signed)

    def acknowledge(self, outbox: Outbox, first: int, last: int) -> Verdict:
        """`first..last` is stored over there."""
        parcel = outbox.outstanding.find(first, last)
        verdict = outbox.acknowledge(first, last)
        if verdict is Verdict.TAKEN:
            if parcel is not None:
                self._packing.acknowledged(parcel)
            self._tally["events_acknowledged"] += last - first + 1
            self._on_progress()
        return verdict

    def _learn(self, payload: bytes) -> None:
        """A collector came, or was there before us: calls that reached nobody go again at once."""
        try:
            self._packing.offered(decode_offer(payload))
        except (UnknownVersion, DecodeError):
            self._tally["offers_malformed"] += 1
            return
        for (_, lane), outbox in self._outboxes.items():
            if lane is Lane.URGENT:
                outbox.ask_again()

    def _hand_on(self, session: Session, message: Message, to: Commands, crew: Crew) -> None:
        if self._commanding < MAX_COMMANDS:
            self._commanding += 1
            crew.start(self._command(session, message, to)).add_done_callback(self._commanded)
        else:
            self._tally["commands_dropped"] += 1

    async def _command(self, session: Session, message: Message, to: Commands) -> None:
        """Have one command carried out, and send the reply."""
        try:
            reply = await to.handle(message)
            if reply is not None:
                await session.publish(reply.topic, reply.payload)
                self._tally["replies_sent"] += 1
        except PublishRefused as error:  # the sender comes again, and finds the reply kept
            self._tally.failed(error, "replies_refused")

    def _commanded(self, _: asyncio.Task[None]) -> None:
        self._commanding -= 1
