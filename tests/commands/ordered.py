"""A key, a clock and orders for the tests of commands, and a dispatcher that knows some."""

import asyncio
from pathlib import Path

from brokers import BOOT, GATEWAY
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.commands.dispatcher import Dispatcher
from gateway.commands.wire import (
    Command,
    Outcome,
    Reply,
    decode_reply,
    encode_command,
    encode_envelope,
)
from gateway.errors import CommandRefused, DeviceSilent
from gateway.model import Observation, Stamp, TimeQuality
from gateway.signing.signature import COMMAND, PrivateKey
from gateway.uplink import Message, down_topic, reply_topic

KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
NOW = 1_800_000_000_000
HOUR = 3600 * 1000
DAY = 24 * HOUR


class SetClock:
    """Says what a test sets."""

    def __init__(self, now_ms: int = NOW, quality: TimeQuality = TimeQuality.SYNCHRONISED) -> None:
        self.now_ms = now_ms
        self.quality = quality

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        return Stamp(BOOT, uptime_ms or 0, self.now_ms, self.quality)


def command_of(n: int = 1, name: str = "call.accept", **changes) -> Command:
    fields = {
        "gateway": GATEWAY,
        "id": n.to_bytes(16, "big"),
        "name": name,
        "issued_ms": NOW,
        "expires_ms": NOW + HOUR,
        "who": "desk-1",
        "arguments": {"call": "17"},
        **changes,
    }
    return Command(**fields)


def signed(command: Command, key: PrivateKey = KEY) -> bytes:
    return encode_envelope(key.sign(COMMAND, encode_command(command)))


def message_of(command: Command, key: PrivateKey = KEY) -> Message:
    return Message(down_topic(command.gateway, command.name), signed(command, key))


class Desk:
    """A dispatcher over a folder, with handlers that write down what they did."""

    def __init__(self, folder: Path, clock: SetClock | None = None, keys=(KEY,)) -> None:
        self.clock = clock or SetClock()
        self.events: list[Observation] = []
        self.done: list[tuple[str, str, dict]] = []
        self.open_calls = {"17"}
        self.hold = asyncio.Event()  # what `slow` waits for
        self.begun = asyncio.Event()
        self.path = folder / "notes" / "commands.json"
        self.dispatcher = Dispatcher(
            GATEWAY, [key.public for key in keys], self.path, self.clock, self.events.append
        )
        register = self.dispatcher.register
        is_open = lambda arguments: arguments.get("call") in self.open_calls  # noqa: E731
        register("call.accept", self._note("call.accept"), fresh=is_open)
        register("notice.add", self._note("notice.add"))
        register("weather.set", self._note("weather.set"), repeatable=True, replaces=True)
        register("slow", self._slow)
        register("refuses", self._refuses)
        register("fails", self._fails)
        register("breaks", self._breaks)
        register("large", self._large)

    async def say(self, message: Message) -> Reply | None:
        answer = await self.dispatcher.handle(message)
        if answer is None:
            return None
        assert answer.topic == reply_topic(message.topic)
        return decode_reply(answer.payload)

    async def order(self, *args, **changes) -> Reply | None:
        return await self.say(message_of(command_of(*args, **changes)))

    def told(self) -> list[dict]:
        return [event.detail for event in self.events]

    def _note(self, name: str):
        async def handler(who, arguments):
            self.done.append((name, who, dict(arguments)))
            return {"count": len(self.done)}

        return handler

    async def _slow(self, who, arguments):
        self.begun.set()
        await self.hold.wait()
        self.done.append(("slow", who, dict(arguments)))
        return {}

    async def _refuses(self, who, arguments):
        raise CommandRefused("no such call")

    async def _fails(self, who, arguments):
        raise DeviceSilent("no answer", where="band-1")

    async def _breaks(self, who, arguments):
        return {"x": arguments["missing"]}

    async def _large(self, who, arguments):
        return {str(n): "x" * 200 for n in range(20)}


def refused(n: int, reason: str) -> Reply:
    return Reply(n.to_bytes(16, "big"), Outcome.REFUSED, reason)
