"""From a message on `down/<name>` to its reply: every command is carried out once, or refused.

What is not signed by one of the gateway's keys is counted and not answered: whoever can send
without a key shall not make a gateway talk. What is signed is answered, also when it is refused,
and becomes an event. In this order:

    too large, no envelope, no key of ours         counted
    not a command of this version                  refused, if it says for whom and its id
    for another gateway, on another topic,
    nobody here knows it                           refused
    noted with an outcome                          the same reply again
    noted as begun, without an outcome             unknown; done again where that does no harm
    expired, overtaken, from the future, for long  refused
    clock unknown                                  refused, unless its arguments are fresh
    noted on flash, carried out, outcome noted     done, refused by its handler, or failed

Handlers run beside each other and beside everything else, in tasks of the dispatcher's own: a link
that is lost does not interrupt one, and the sender's next try meets it or finds its reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.commands.ledger import MAX_SKEW_MS, Ledger
from gateway.commands.wire import (
    MAX_COMMAND_BYTES,
    Argument,
    Command,
    Outcome,
    Reply,
    decode_command,
    decode_envelope,
    decode_head,
    encode_reply,
)
from gateway.errors import (
    CommandRefused,
    DecodeError,
    HearthError,
    JournalError,
    JournalWriteFailed,
    UnknownVersion,
)
from gateway.model import Kind, Observation, Scalar, Signed, TimeQuality
from gateway.signing.signature import COMMAND
from gateway.strict import sayable
from gateway.uplink import Message, down_topic, reply_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gateway.clock import Clock
    from gateway.signing.signature import PublicKey

# The slowest thing asked for is to find and connect a band that is just out of reach: 20 s.
HANDLER_TIMEOUT_S = 25.0
# An order that waits longer than a week in a broker is not what anybody wants any more, and the
# ledger must remember every id for as long.
MAX_LIFETIME_MS = 7 * 24 * 3600 * 1000
# Refusals that were told as events: who repeats an old command for ever fills no journal.
MAX_TOLD = 1000
_DIGEST_BYTES = 16

log = logging.getLogger("hearth.commands")


class Reason(StrEnum):
    """Why a command was refused by the gateway itself, as the reply says it."""

    MALFORMED = "malformed"
    UNKNOWN_VERSION = "unknown version"
    WRONG_GATEWAY = "wrong gateway"
    WRONG_TOPIC = "wrong topic"
    UNKNOWN_COMMAND = "unknown command"
    USED_TWICE = "id used twice"
    LIFETIME = "lifetime"  # ends before it begins, or more than a week later
    EXPIRED = "expired"
    OVERTAKEN = "overtaken"  # a later one of its name has replaced what it would set
    FUTURE = "issued in the future"
    CLOCK_UNKNOWN = "clock unknown"
    LEDGER_FULL = "ledger full"
    LEDGER_LOST = "ledger lost"
    FLASH = "flash"  # it could not be noted, so it could not be kept from being done twice


# Always there, so that who shows them need not ask.
_COUNTED = (
    "ignored_oversized",
    "ignored_malformed",
    "ignored_unknown_version",
    "ignored_bad_signature",
    "repeated",
    "done",
    "refused",
    "failed",
    "unknown",
    "not_noted",  # carried out, and the flash refused the note
    "events_lost",
)


class Handler(Protocol):
    """Carries out commands of one name."""

    async def __call__(self, who: str, arguments: Mapping[str, Argument], /) -> dict[str, Scalar]:
        """What is to be answered; CommandRefused, or another HearthError if it failed."""
        ...


class _Registered(NamedTuple):
    handler: Handler
    repeatable: bool
    replaces: bool
    fresh: Callable[[Mapping[str, Argument]], bool]


class Dispatcher:
    """Judges commands, and has them carried out.

    Args:
        gateway: id of this gateway.
        keys: whose commands are taken.
        ledger: path of the file that remembers them.
        clock: what time it is, and how good that is.
        emit: where the events go that tell of commands; a JournalError of it is counted.
    """

    def __init__(
        self,
        gateway: str,
        keys: Sequence[PublicKey],
        ledger: Path,
        clock: Clock,
        emit: Callable[[Observation], object],
    ) -> None:
        self._gateway = gateway
        self._keys = tuple(keys)
        self._ledger = Ledger(ledger)
        self._clock = clock
        self._emit = emit
        self._known: dict[str, _Registered] = {}
        self._running: dict[str, asyncio.Task[Reply]] = {}
        self._told: dict[tuple[bytes, str], None] = {}
        self._counters = Counter(dict.fromkeys(_COUNTED, 0))

    @property
    def counters(self) -> Mapping[str, int]:
        """How often what happened: those of _COUNTED, and refused_ with each Reason met."""
        return dict(self._counters)

    def register(
        self,
        name: str,
        handler: Handler,
        *,
        repeatable: bool = False,
        replaces: bool = False,
        fresh: Callable[[Mapping[str, Argument]], bool] = lambda _: False,
    ) -> None:
        """Take commands of this name.

        Args:
            name: such as `call.accept`.
            handler: is given who orders it and the arguments, and returns what is to be answered;
                raises CommandRefused or any other HearthError if it will not or cannot.
            repeatable: whether doing it twice is as good as once. Then it is done again when power
                went before its outcome was noted, and also where the flash takes no notes.
            replaces: whether it replaces what an earlier one of its name set. Then one that was
                issued before the latest is refused, however it was held up.
            fresh: whether arguments name something that is itself as fresh as a nonce, such as a
                call that is open now. Then it is taken while the clock is unknown.
        """
        self._known[name] = _Registered(handler, repeatable, replaces, fresh)

    async def handle(self, message: Message) -> Message | None:
        """The reply to a message, when there is one; None if it is not to be answered.

        Who is cancelled while waiting here does not cancel the command.
        """
        reply = await self._answer(message)
        if reply is None:
            return None
        return Message(reply_topic(message.topic), encode_reply(reply))

    async def close(self) -> None:
        """End what is being carried out; whether it was done will not be known."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- judging ---

    async def _answer(self, message: Message) -> Reply | None:
        envelope = self._open(message.payload)
        if envelope is None:
            return None
        try:
            command = decode_command(envelope.body)
        except DecodeError as error:
            return self._undecodable(envelope.body, error)
        if reason := self._misplaced(message.topic, command):
            return self._refuse(command, reason)
        return await self._once(command, _digest(envelope.body))

    def _open(self, payload: bytes) -> Signed | None:
        """What one of our keys has signed; anything else is counted."""
        try:
            envelope = decode_envelope(payload)
        except DecodeError as error:
            unknown = isinstance(error, UnknownVersion)
            oversized = len(payload) > MAX_COMMAND_BYTES
            what = "unknown_version" if unknown else "oversized" if oversized else "malformed"
            self._counters[f"ignored_{what}"] += 1
            return None
        if any(key.verifies(COMMAND, envelope) for key in self._keys):
            return envelope
        self._counters["ignored_bad_signature"] += 1
        return None

    def _undecodable(self, body: bytes, error: DecodeError) -> Reply | None:
        """Signed by one of ours, and not of this version: answered if it says to whom."""
        try:
            head = decode_head(body)
        except DecodeError:
            self._counters["ignored_malformed"] += 1
            return None
        reason = Reason.UNKNOWN_VERSION if isinstance(error, UnknownVersion) else Reason.MALFORMED
        if head.gateway != self._gateway:
            reason = Reason.WRONG_GATEWAY
        self._counters[f"refused_{reason.name.lower()}"] += 1
        reply = Reply(head.id, Outcome.REFUSED, _sayable(f"{reason}: {error}"))
        self._tell_once(reply, {})
        return reply

    def _misplaced(self, topic: str, command: Command) -> Reason | None:
        if command.gateway != self._gateway:
            return Reason.WRONG_GATEWAY
        if topic != down_topic(self._gateway, command.name):
            return Reason.WRONG_TOPIC
        return None if command.name in self._known else Reason.UNKNOWN_COMMAND

    def _untimely(self, command: Command, now_ms: int | None) -> Reason | None:
        """What its times say against a command; `now_ms` is None if the clock is unknown."""
        if not 0 < command.expires_ms - command.issued_ms <= MAX_LIFETIME_MS:
            return Reason.LIFETIME
        if self._ledger.forgot(command.expires_ms):
            return Reason.EXPIRED
        if self._ledger.overtaken(command):
            return Reason.OVERTAKEN
        fresh = self._fresh(command)
        if now_ms is None:
            return None if fresh else Reason.CLOCK_UNKNOWN
        doubted = self._ledger.doubts(command.issued_ms, now_ms) and not fresh
        return _out_of_time(command, now_ms) or (Reason.LEDGER_LOST if doubted else None)

    def _fresh(self, command: Command) -> bool:
        """Whether its arguments need no clock; an error in that question is no daemon's end."""
        try:
            return self._known[command.name].fresh(command.arguments)
        except Exception:
            log.exception("whether %s is fresh cannot be told", command.name)
            return False

    def _now_ms(self) -> int | None:
        stamp = self._clock.stamp()
        return None if stamp.quality is TimeQuality.UNKNOWN else stamp.wall_ms

    def _refuse(self, command: Command, reason: Reason) -> Reply:
        """Refused without a note: judged anew when it comes again."""
        self._counters[f"refused_{reason.name.lower()}"] += 1
        reply = Reply(command.id, Outcome.REFUSED, str(reason))
        self._tell_once(reply, {"name": command.name, "who": command.who})
        return reply

    # --- carrying out ---

    async def _once(self, command: Command, digest: str) -> Reply:
        """What becomes of a command, however often it is delivered meanwhile."""
        task = self._running.get(digest)
        if task is None:
            task = asyncio.create_task(self._settle(command, digest))
            self._running[digest] = task
            task.add_done_callback(lambda _: self._running.pop(digest))
        else:
            self._counters["repeated"] += 1
        return await asyncio.shield(task)

    async def _settle(self, command: Command, digest: str) -> Reply:
        if earlier := self._earlier(command, digest):
            return earlier
        now_ms, known = self._now_ms(), self._known[command.name]
        if reason := self._untimely(command, now_ms):
            return self._refuse(command, reason)
        try:
            await self._ledger.begin(command, digest, now_ms, replaces=known.replaces)
        except CommandRefused:
            return self._refuse(command, Reason.LEDGER_FULL)
        except JournalWriteFailed:
            if not known.repeatable:
                return self._refuse(command, Reason.FLASH)
        return await self._carry_out(command, digest)

    def _earlier(self, command: Command, digest: str) -> Reply | None:
        """What the ledger says to a command, if that settles it."""
        entry = self._ledger.find(command.id)
        if entry is None:
            return None
        if entry.digest != digest:
            return self._refuse(command, Reason.USED_TWICE)
        if reply := entry.reply(command.id):
            self._counters["repeated"] += 1
            return reply
        return None if self._known[command.name].repeatable else self._unknown(command)

    def _unknown(self, command: Command) -> Reply:
        """It was begun before a restart, and nobody knows how far it came."""
        self._counters["unknown"] += 1
        reply = Reply(command.id, Outcome.UNKNOWN, "unknown whether done")
        self._tell_once(reply, {"name": command.name, "who": command.who})
        return reply

    async def _carry_out(self, command: Command, digest: str) -> Reply:
        reply = _tellable(await self._execute(command))
        self._counters[reply.outcome.name.lower()] += 1
        try:
            await self._ledger.end(command, digest, reply)
        except JournalWriteFailed:
            self._counters["not_noted"] += 1
        self._tell(reply, {"name": command.name, "who": command.who})
        return reply

    async def _execute(self, command: Command) -> Reply:
        """Have it done. An error of a handler is one command's, and not the daemon's end."""
        handler = self._known[command.name].handler
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT_S):
                result = await handler(command.who, command.arguments)
        except CommandRefused as refused:
            return Reply(command.id, Outcome.REFUSED, _sayable(str(refused)))
        except TimeoutError:
            why = f"not done within {HANDLER_TIMEOUT_S:.0f} s"
            return Reply(command.id, Outcome.FAILED, why)
        except HearthError as error:
            return Reply(command.id, Outcome.FAILED, _sayable(str(error)))
        except Exception as error:
            log.exception("%s ended with an error", command.name)
            return Reply(command.id, Outcome.FAILED, f"an error in hearth: {type(error).__name__}")
        return Reply(command.id, Outcome.DONE, result=result)

    # --- telling ---

    def _tell_once(self, reply: Reply, detail: Mapping[str, Scalar]) -> None:
        key = reply.id, reply.reason
        if key not in self._told:
            self._told[key] = None
            if len(self._told) > MAX_TOLD:
                del self._told[next(iter(self._told))]
            self._tell(reply, detail)

    def _tell(self, reply: Reply, detail: Mapping[str, Scalar]) -> None:
        told = {"command": reply.id.hex(), **detail, "outcome": reply.outcome.name.lower()}
        if reply.reason:
            told["reason"] = reply.reason
        try:
            self._emit(Observation(Kind.COMMAND, detail=told))
        except JournalError as error:
            log.warning("%s could not be told: %s", reply.id.hex(), error)
            self._counters["events_lost"] += 1


def _out_of_time(command: Command, now_ms: int) -> Reason | None:
    if command.expires_ms <= now_ms:
        return Reason.EXPIRED
    return Reason.FUTURE if command.issued_ms > now_ms + MAX_SKEW_MS else None


def _tellable(reply: Reply) -> Reply:
    """The reply, or one without a result that no reply can carry."""
    try:
        encode_reply(reply)
    except DecodeError as error:
        return Reply(reply.id, reply.outcome, _sayable(f"its result cannot be told: {error}"))
    return reply


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()


def _sayable(reason: str) -> str:
    return str(sayable(reason))
