"""Commands and their replies to CBOR and back; `docs/commands.md` is the specification.

    envelope   [version, body, signature]
    body       [version, gateway, id, name, issued, expires, who, arguments]
    reply      [version, id, outcome, reason, result]

What is signed is the body's bytes as they are, and nothing is ever encoded anew to be verified. The
decoders are as strict as those of `gateway/codec.py`: DecodeError, and nothing else, for whatever
the schema does not name; the encoders hold to the same rules. Version, gateway and id will stay the
first three of a body, so that a gateway can refuse by name what comes from the future.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any, NamedTuple

import cbor2
import msgspec

from gateway.errors import DecodeError, UnknownVersion
from gateway.model import SIGNATURE_BYTES, Scalar, Signed
from gateway.strict import Reader, at_most, enum, expect, integer, load, map_of, raw, scalar, text

COMMAND_VERSION = 1

Argument = Scalar | list[dict[str, Scalar]]

MAX_COMMAND_BYTES = 16 * 1024  # of the envelope: a home's reminders fit, a flood of them does not
MAX_REPLY_BYTES = 1024  # the ledger keeps a thousand of them in one small file
MAX_ROWS = 256  # maps in a list
MAX_ARGUMENT_TEXT = 1024  # characters: what can be said in some minutes
MAX_NAME = 64
MAX_REASON = 256  # characters
ID_BYTES = 16
_MS_LIMIT = 2**48  # as the times of events
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\Z")


class Command(msgspec.Struct, frozen=True):
    """An order. Times are ms since 1970-01-01 UTC by the sender's clock."""

    gateway: str  # the only one that may carry it out
    id: bytes  # 16 B at random; a repeated delivery has the same
    name: str  # such as call.accept
    issued_ms: int
    expires_ms: int  # from here on it is refused
    who: str  # the person or service that orders it
    arguments: dict[str, Argument] = {}


class Head(NamedTuple):
    """What every version of a body begins with, after the version."""

    gateway: str
    id: bytes


class Outcome(IntEnum):
    """What became of a command. Numbers are on the wire for ever: add, never renumber."""

    DONE = 0
    REFUSED = 1  # it was not begun, or its handler would not
    FAILED = 2  # it was tried, and did not work
    UNKNOWN = 3  # it was begun before power went; whether it was done is not known


class Reply(msgspec.Struct, frozen=True):
    """The answer to the command of this id."""

    id: bytes
    outcome: Outcome
    reason: str = ""
    result: dict[str, Scalar] = {}


# --- envelopes -----------------------------------------------------------------------------------


def encode_envelope(envelope: Signed) -> bytes:
    """`[version, body, signature]`; DecodeError if it is larger than a gateway takes."""
    signature = raw(envelope.signature, SIGNATURE_BYTES, "signature")
    data = cbor2.dumps([COMMAND_VERSION, expect(envelope.body, bytes, "body"), signature])
    return _within(MAX_COMMAND_BYTES, data, "command")


def decode_envelope(data: bytes) -> Signed:
    """A body and its signature, of which nothing is believed yet."""
    items = _versioned(_within(MAX_COMMAND_BYTES, data, "command"), "command", 3)
    return Signed(expect(items[1], bytes, "body"), raw(items[2], SIGNATURE_BYTES, "signature"))


# --- bodies --------------------------------------------------------------------------------------


def encode_command(command: Command) -> bytes:
    """The body to be signed; DecodeError if `decode_command` would refuse it."""
    return _dumps(
        [
            COMMAND_VERSION,
            text(command.gateway, "gateway"),
            raw(command.id, ID_BYTES, "id"),
            command_name(command.name),
            integer(command.issued_ms, 0, _MS_LIMIT, "issued"),
            integer(command.expires_ms, 0, _MS_LIMIT, "expires"),
            text(command.who, "who"),
            _ordered(map_of(command.arguments, argument, "arguments")),
        ]
    )


def decode_command(body: bytes) -> Command:
    """The command in a body; UnknownVersion or DecodeError if there is none."""
    items = _versioned(body, "command", 8)
    return Command(
        gateway=text(items[1], "gateway"),
        id=raw(items[2], ID_BYTES, "id"),
        name=command_name(items[3]),
        issued_ms=integer(items[4], 0, _MS_LIMIT, "issued"),
        expires_ms=integer(items[5], 0, _MS_LIMIT, "expires"),
        who=text(items[6], "who"),
        arguments=map_of(items[7], argument, "arguments"),
    )


def decode_head(body: bytes) -> Head:
    """Whom a body is for, and its id, whatever follows them."""
    reader = Reader(body)
    if reader.array("command") < 3:
        raise DecodeError("command without gateway and id")
    integer(reader.next(), 0, 2**32, "command version")
    return Head(text(reader.next(), "gateway"), raw(reader.next(), ID_BYTES, "id"))


def command_name(item: Any) -> str:
    """Words of small letters, digits and _, with dots between them."""
    name = text(item, "name")
    if len(name) > MAX_NAME or not _NAME.match(name):
        raise DecodeError(f"name is {name!r:.40}, not like call.accept")
    return name


def argument(item: Any, what: str) -> Argument:
    """A number, text or truth value, or a list of maps of them."""
    if type(item) is not list:
        return _argument_scalar(item, what)
    at_most(MAX_ROWS, item, what)
    return [_row(row, what) for row in item]


def _row(item: Any, what: str) -> dict[str, Scalar]:
    return map_of(item, _argument_scalar, what)


def _argument_scalar(item: Any, what: str) -> Scalar:
    if type(item) is str:  # longer than a text of an event: it may be there to be spoken
        if 1 <= len(item) <= MAX_ARGUMENT_TEXT:
            return item
        raise DecodeError(f"{what}: a text of {len(item)}, not 1..{MAX_ARGUMENT_TEXT} characters")
    return scalar(item, what)


def _ordered(arguments: dict[str, Argument]) -> dict[str, Any]:
    """Keys in the order of RFC 8949 4.2.1, here and in the rows."""
    rows = {
        key: [_sorted(row) for row in value] if isinstance(value, list) else value
        for key, value in arguments.items()
    }
    return _sorted(rows)


def _sorted(fields: dict[str, Any]) -> dict[str, Any]:
    def place(key: str) -> tuple[int, bytes]:
        data = key.encode("utf-8", "surrogatepass")  # refused when it is written
        return len(data), data

    return {key: fields[key] for key in sorted(fields, key=place)}


# --- replies -------------------------------------------------------------------------------------


def encode_reply(reply: Reply) -> bytes:
    """`[version, id, outcome, reason, result]`; DecodeError if it cannot be told."""
    items = [
        COMMAND_VERSION,
        raw(reply.id, ID_BYTES, "id"),
        int(expect(reply.outcome, Outcome, "outcome")),
        _reason(reply.reason),
        map_of(reply.result, scalar, "result"),
    ]
    return _within(MAX_REPLY_BYTES, _dumps(items), "reply")


def decode_reply(data: bytes) -> Reply:
    """A reply; UnknownVersion or DecodeError if it is none."""
    items = _versioned(_within(MAX_REPLY_BYTES, data, "reply"), "reply", 5)
    return Reply(
        id=raw(items[1], ID_BYTES, "id"),
        outcome=enum(Outcome, items[2], "outcome"),
        reason=_reason(items[3]),
        result=map_of(items[4], scalar, "result"),
    )


def _reason(item: Any) -> str:
    reason: str = expect(item, str, "reason")
    if len(reason) > MAX_REASON:
        raise DecodeError(f"a reason of {len(reason)} characters; {MAX_REASON} is the most")
    return reason


# --- both ----------------------------------------------------------------------------------------


def _dumps(items: list[Any]) -> bytes:
    try:
        return cbor2.dumps(items)
    except UnicodeEncodeError as error:  # half a surrogate pair
        raise DecodeError(f"text that is not Unicode: {error}") from error


def _within(most: int, data: bytes, what: str) -> bytes:
    if len(data) > most:
        raise DecodeError(f"a {what} of {len(data)} bytes; {most} is the most")
    return data


def _versioned(data: bytes, what: str, length: int) -> list[Any]:
    items: list[Any] = expect(load(data), list, what)
    version = integer(items[0] if items else None, 0, 2**32, f"{what} version")
    if version != COMMAND_VERSION:
        raise UnknownVersion(f"{what} of version {version}; this hearth speaks {COMMAND_VERSION}")
    if len(items) != length:
        raise DecodeError(f"{what} of {len(items)} items, not {length}")
    return items
