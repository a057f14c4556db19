"""The wire format, held from two sides: golden files, and the schema judged by an independent tool.

`fixtures/wire-v1/*.json` describes objects, the `.cbor` beside each is how version 1 writes them,
for ever. A new file is described in JSON first, and then its bytes are made by

    python -c "from tests.test_wire_schema import write_golden; write_golden('event-new')"

run in the repository with `tests` on PYTHONPATH. Existing bytes are never made anew: if this
hearth would write them otherwise, it does not speak version 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from wire_strategies import acks, batches, commands, events, gaps, replies, texts

from gateway.codec import (
    decode_ack,
    decode_batch,
    decode_event,
    decode_offer,
    encode_ack,
    encode_batch,
    encode_event,
    encode_offer,
    observe_gap,
    open_ack,
    seal_ack,
)
from gateway.commands.wire import (
    Command,
    Outcome,
    Reply,
    decode_command,
    decode_envelope,
    decode_reply,
    encode_command,
    encode_envelope,
    encode_reply,
)
from gateway.errors import DecodeError
from gateway.model import Ack, Batch, Event, Kind, Lane, Measurement, Offer, Stamp, TimeQuality
from gateway.signing.signature import ACKNOWLEDGEMENT, COMMAND, PrivateKey

GOLDEN = Path(__file__).parent / "fixtures" / "wire-v1"
SCHEMA = Path(__file__).parent.parent / "config" / "event.cddl"
KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))  # signs golden commands
Wired = Event | Batch | Ack | Offer | Command | Reply
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
# What packs is free in how it does, so of packed batches only the reading is held.
WRITTEN = [name for name in NAMES if not name.startswith("packed")]


# --- golden files -------------------------------------------------------------------------------


def described(name: str) -> Wired:
    """The object that a JSON file describes."""
    fields = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    makers = {
        "event": event_of, "batch": batch_of, "packed": batch_of, "ack": ack_of, "signed": ack_of,
        "offer": offer_of, "command": command_of, "reply": reply_of,
    }  # fmt: skip
    return makers[name.partition("-")[0]](fields)


def event_of(fields: dict[str, Any]) -> Event:
    stamp = fields["stamp"]
    return Event(
        kind=Kind[fields["kind"]],
        device=fields["device"],
        stamp=Stamp(
            bytes.fromhex(stamp["boot"]),
            stamp["uptime_ms"],
            stamp["wall_ms"],
            TimeQuality[stamp["quality"]],
        ),
        measurements=tuple(Measurement(**record) for record in fields.get("measurements", [])),
        labels=fields.get("labels", {}),
        detail=fields.get("detail", {}),
    )


def batch_of(fields: dict[str, Any]) -> Batch:
    return Batch(
        gateway=fields["gateway"],
        journal=bytes.fromhex(fields["journal"]),
        lane=Lane[fields["lane"]],
        first=fields["first"],
        events=tuple((GOLDEN / f"{name}.cbor").read_bytes() for name in fields["events"]),
    )


def ack_of(fields: dict[str, Any]) -> Ack:
    journal, lane = bytes.fromhex(fields["journal"]), Lane[fields["lane"]]
    return Ack(journal, lane, fields["first"], fields["last"])


def offer_of(fields: dict[str, Any]) -> Offer:
    return Offer(frozenset(fields["understands"]))


def command_of(fields: dict[str, Any]) -> Command:
    return Command(**{**fields, "id": bytes.fromhex(fields["id"])})


def reply_of(fields: dict[str, Any]) -> Reply:
    fields = {**fields, "id": bytes.fromhex(fields["id"]), "outcome": Outcome[fields["outcome"]]}
    return Reply(**fields)


def written(item: Wired) -> bytes:
    if isinstance(item, Command):
        return encode_envelope(KEY.sign(COMMAND, encode_command(item)))
    writers = {
        Event: encode_event, Batch: encode_batch, Ack: encode_ack, Offer: encode_offer,
        Reply: encode_reply,
    }  # fmt: skip
    return writers[type(item)](item)


def read(name: str, data: bytes) -> Wired:
    readers = {
        "event": decode_event,
        "batch": lambda data: decode_batch(data)[0],
        "packed": lambda data: decode_batch(data)[0],
        "ack": decode_ack,
        "signed": lambda data: decode_ack(open_ack(data).body),
        "offer": decode_offer,
        "command": lambda data: decode_command(decode_envelope(data).body),
        "reply": decode_reply,
    }
    return readers[name.partition("-")[0]](data)


def write_golden(name: str) -> None:
    """Make the bytes of a new golden file; FileExistsError if it has them already."""
    with (GOLDEN / f"{name}.cbor").open("xb") as file:
        file.write(golden(name))


def golden(name: str) -> bytes:
    """The bytes of what a JSON file describes."""
    data = written(described(name))
    return seal_ack(KEY.sign(ACKNOWLEDGEMENT, data)) if name.startswith("signed") else data


def test_there_are_golden_files():
    assert {name.partition("-")[0] for name in NAMES} == {
        "event", "batch", "packed", "ack", "signed", "offer", "command", "reply",
    }  # fmt: skip
    assert sorted(path.stem for path in GOLDEN.glob("*.cbor")) == NAMES


@pytest.mark.parametrize("name", WRITTEN)
def test_golden_bytes_are_written(name):
    assert golden(name).hex() == (GOLDEN / f"{name}.cbor").read_bytes().hex()


@pytest.mark.parametrize("name", NAMES)
def test_golden_bytes_are_read(name):
    assert repr(read(name, (GOLDEN / f"{name}.cbor").read_bytes())) == repr(described(name))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("command")])
def test_golden_commands_are_signed(name):
    envelope = decode_envelope((GOLDEN / f"{name}.cbor").read_bytes())
    assert KEY.public.verifies(COMMAND, envelope)


def test_golden_acknowledgements_are_signed():
    signed = open_ack((GOLDEN / "signed-ack-urgent.cbor").read_bytes())
    assert KEY.public.verifies(ACKNOWLEDGEMENT, signed)
    assert not KEY.public.verifies(COMMAND, signed)


# --- the schema ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judge():
    """`judge(type, bytes)`: what the independent verifier has against these bytes."""
    verifier = pytest.importorskip("cddl_verifier", reason="cddl-verifier is not installed")
    assert not verifier.schema_diagnostics(SCHEMA)
    validator = verifier.Validator(SCHEMA)
    return lambda root, data: validator.validate(data, root_type=root).errors


@pytest.mark.parametrize("name", NAMES)
def test_golden_files_follow_the_schema(judge, name):
    data = (GOLDEN / f"{name}.cbor").read_bytes()
    kind = name.partition("-")[0]
    assert not judge({"packed": "batch", "signed": "signed-ack"}.get(kind, kind), data)
    assert not judge(None, data)  # whichever of them it is


def encoded(event: Event) -> bytes:
    try:
        return encode_event(event)
    except DecodeError:
        assume(False)
        raise


# Gap events have a detail of their own; what merely claims to be one is not of this schema.
payloads = events.filter(lambda event: event.kind is not Kind.GAP).map(encoded)


@given(payloads)
def test_events_follow_the_schema(judge, payload):
    assert not judge("event", payload)


@given(gaps, texts)
def test_gaps_follow_the_schema(judge, gap, device):
    stamp = Stamp(b"bootboot", 5, 6, TimeQuality.UNKNOWN)
    seen = observe_gap(gap)
    payload = encode_event(Event(seen.kind, device, stamp, detail=seen.detail))
    assert not judge("event", payload)
    assert not judge("gap-event", payload)


@given(batches(payloads, 4))
def test_batches_follow_the_schema(judge, batch):
    assert not judge("batch", encode_batch(batch))


@given(acks)
def test_acks_follow_the_schema(judge, ack):
    assert not judge("ack", encode_ack(ack))
    assert not judge("signed-ack", seal_ack(KEY.sign(ACKNOWLEDGEMENT, encode_ack(ack))))


@given(commands)
def test_commands_follow_the_schema(judge, command):
    assert not judge("command-body", encode_command(command))
    assert not judge("command", written(command))


@given(replies)
def test_replies_follow_the_schema(judge, reply):
    try:
        data = encode_reply(reply)
    except DecodeError:  # too large, which CDDL cannot say
        assume(False)
    assert not judge("reply", data)


EVENT = {0: 2, 1: "m", 2: b"bootboot", 3: 5, 4: 6, 5: 0}
GAP = {**EVENT, 0: 3, 8: {"lane": "urgent", "first": 1, "last": 2, "reason": "quota"}}
JOURNAL = bytes(16)
BODY = [1, "g", bytes(16), "call.accept", 5, 6, "desk-1", {"a": 1, "b": [{"c": "x"}]}]
SIGNATURE = bytes(64)

# What the schema must refuse; the decoder does, too, so that the two say the same.
FOREIGN_EVENTS = {
    "unknown key": {**EVENT, 9: 1},
    "text key": {**EVENT, "a": 1},
    "no device": {key: value for key, value in EVENT.items() if key != 1},
    "kind of the future": {**EVENT, 0: 99},
    "quality of the future": {**EVENT, 5: 3},
    "device as number": {**EVENT, 1: 5},
    "empty device": {**EVENT, 1: ""},
    "long device": {**EVENT, 1: "x" * 1025},
    "short boot id": {**EVENT, 2: b"boot"},
    "uptime far before the boot": {**EVENT, 3: -(2**48) - 1},
    "uptime as float": {**EVENT, 3: 5.0},
    "wall time far off": {**EVENT, 4: 2**48 + 1},
    "65 measurements": {**EVENT, 6: [{0: "a", 2: 1}] * 65},
    "SenML with two values": {**EVENT, 6: [{0: "a", 2: 1, 3: "x"}]},
    "SenML without a value": {**EVENT, 6: [{0: "a"}]},
    "SenML without a name": {**EVENT, 6: [{2: 1}]},
    "SenML with a time": {**EVENT, 6: [{0: "a", 2: 1, 6: 5}]},
    "SenML text under v": {**EVENT, 6: [{0: "a", 2: "x"}]},
    "SenML bool under v": {**EVENT, 6: [{0: "a", 2: True}]},
    "SenML number under vs": {**EVENT, 6: [{0: "a", 3: 1}]},
    "not-a-number": {**EVENT, 6: [{0: "a", 2: float("nan")}]},
    "infinite": {**EVENT, 8: {"a": float("inf")}},
    "65 bits": {**EVENT, 8: {"a": 2**63}},
    "33 labels": {**EVENT, 7: {str(i): "x" for i in range(33)}},
    "label as number": {**EVENT, 7: {"room": 5}},
    "key as number": {**EVENT, 8: {5: "x"}},
    "nested detail": {**EVENT, 8: {"a": {"b": 1}}},
    "bytes as detail": {**EVENT, 8: {"a": b"x"}},
    "null as detail": {**EVENT, 8: {"a": None}},
    "tagged": cbor2.CBORTag(55799, EVENT),
    "a list": [EVENT],
}


@pytest.mark.parametrize("name", FOREIGN_EVENTS)
def test_schema_and_decoder_refuse_the_same_events(judge, name):
    data = cbor2.dumps(FOREIGN_EVENTS[name])
    assert judge("event", data)
    with pytest.raises(DecodeError):
        decode_event(data)


@pytest.mark.parametrize("missing", ["lane", "first", "last", "reason"])
def test_schema_refuses_gaps_that_do_not_say_what_is_lost(judge, missing):
    assert not judge("event", cbor2.dumps(GAP))
    detail = {key: value for key, value in GAP[8].items() if key != missing}
    assert judge("event", cbor2.dumps({**GAP, 8: detail}))
    assert judge("event", cbor2.dumps({**GAP, 8: {**GAP[8], "more": 1}}))
    assert judge("event", cbor2.dumps({key: value for key, value in GAP.items() if key != 8}))


FOREIGN_MESSAGES = {
    "batch of version 2": ("batch", [2, "g", JOURNAL, 0, 1, [EVENT]]),
    "batch without events": ("batch", [1, "g", JOURNAL, 0, 1, []]),
    "batch of something else": ("batch", [1, "g", JOURNAL, 0, 1, [5]]),
    "batch of 7": ("batch", [1, "g", JOURNAL, 0, 1, [EVENT], 0]),
    "batch of 5": ("batch", [1, "g", JOURNAL, 0, 1]),
    "batch of lane 2": ("batch", [1, "g", JOURNAL, 2, 1, [EVENT]]),
    "batch of seq 0": ("batch", [1, "g", JOURNAL, 0, 0, [EVENT]]),
    "batch with a short uuid": ("batch", [1, "g", b"j", 0, 1, [EVENT]]),
    "batch without a gateway": ("batch", [1, "", JOURNAL, 0, 1, [EVENT]]),
    "ack of version 2": ("ack", [2, JOURNAL, 0, 1, 1]),
    "ack of seq 0": ("ack", [1, JOURNAL, 0, 0, 1]),
    "ack of 65 bits": ("ack", [1, JOURNAL, 0, 1, 2**63]),
    "ack of lane 2": ("ack", [1, JOURNAL, 2, 1, 1]),
    "ack of 6": ("ack", [1, JOURNAL, 0, 1, 1, 1]),
    "command of version 2": ("command", [2, cbor2.dumps(BODY), SIGNATURE]),
    "command with a short signature": ("command", [1, cbor2.dumps(BODY), bytes(63)]),
    "command of 4": ("command", [1, cbor2.dumps(BODY), SIGNATURE, 0]),
    "command without a wrapping": ("command", [1, BODY, SIGNATURE]),
    "command of junk": ("command", [1, b"\xff", SIGNATURE]),
    "reply of version 2": ("reply", [2, JOURNAL, 0, "", {}]),
    "reply with a short id": ("reply", [1, b"j", 0, "", {}]),
    "reply with an outcome of the future": ("reply", [1, JOURNAL, 4, "", {}]),
    "reply without a reason": ("reply", [1, JOURNAL, 1, None, {}]),
    "reply with a nested result": ("reply", [1, JOURNAL, 0, "", {"a": [1]}]),
    "reply of 4": ("reply", [1, JOURNAL, 0, ""]),
}

# In place of BODY's own item.
FOREIGN_BODIES = {
    "version 2": (0, 2),
    "no gateway": (1, ""),
    "a short id": (2, b"id"),
    "a name in capitals": (3, "Call"),
    "a name with an empty word": (3, "call."),
    "a name of a topic": (3, "call/accept"),
    "issued as float": (4, 5.0),
    "issued before 1970": (4, -1),
    "expires far off": (5, 2**48 + 1),
    "nobody": (6, ""),
    "arguments as a list": (7, []),
    "33 arguments": (7, {str(n): n for n in range(33)}),
    "257 rows": (7, {"a": [{}] * 257}),
    "33 in a row": (7, {"a": [{str(n): n for n in range(33)}]}),
    "a list of numbers": (7, {"a": [1]}),
    "a map": (7, {"a": {"b": 1}}),
    "a list in a row": (7, {"a": [{"b": [1]}]}),
    "bytes": (7, {"a": b"x"}),
    "null": (7, {"a": None}),
    "infinite": (7, {"a": float("inf")}),
    "key as number": (7, {5: "x"}),
    "a tag": (7, {"a": cbor2.CBORTag(55799, 1)}),
}


@pytest.mark.parametrize("name", FOREIGN_BODIES)
def test_schema_and_decoder_refuse_the_same_bodies(judge, name):
    place, item = FOREIGN_BODIES[name]
    data = cbor2.dumps([*BODY[:place], item, *BODY[place + 1 :]])
    assert not judge("command-body", cbor2.dumps(BODY))
    assert judge("command-body", data)
    assert judge("command", cbor2.dumps([1, data, SIGNATURE]))
    with pytest.raises(DecodeError):
        decode_command(data)


@pytest.mark.parametrize("name", FOREIGN_MESSAGES)
def test_schema_and_decoder_refuse_the_same_messages(judge, name):
    root, items = FOREIGN_MESSAGES[name]
    data = cbor2.dumps(items)
    assert judge(root, data)
    with pytest.raises(DecodeError):
        read(root, data)
