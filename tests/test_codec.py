"""Events, batches and acknowledgements: what goes in comes out, and nothing else gets through."""

from __future__ import annotations

import contextlib
import math
import struct
import tracemalloc
import zlib

import cbor2
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from wire_strategies import acks, batches, events, gaps, texts, wild_events

from gateway import codec
from gateway.codec import (
    decode_ack,
    decode_batch,
    decode_event,
    decode_offer,
    encode_ack,
    encode_batch,
    encode_event,
    encode_offer,
    gap_of,
    observe_gap,
)
from gateway.errors import DecodeError, UnknownVersion
from gateway.model import Ack, Batch, Event, Kind, Lane, Measurement, Offer, Stamp, TimeQuality

STAMP = Stamp(b"bootboot", 5, 6, TimeQuality.UNKNOWN)
EVENT = {0: 2, 1: "m", 2: b"bootboot", 3: 5, 4: 6, 5: 0}
JOURNAL = bytes(range(16))
DECODERS = (decode_event, decode_batch, decode_ack, decode_offer)


def encoded(event: Event) -> bytes:
    try:
        return encode_event(event)
    except DecodeError:  # valid, but larger than an event may be
        assume(False)
        raise


payloads = events.map(encoded)
messages = st.one_of(payloads, batches(payloads, 4).map(encode_batch), acks.map(encode_ack))


# --- there and back -----------------------------------------------------------------------------


@given(events)
def test_events_come_back_as_they_were(event):
    assert repr(decode_event(encoded(event))) == repr(event)  # 1 == True == 1.0, their reprs differ


@given(batches(payloads))
def test_batches_come_back_with_the_very_bytes_of_their_events(batch):
    decoded, inside = decode_batch(encode_batch(batch))
    assert decoded == batch
    assert inside == tuple(decode_event(payload) for payload in batch.events)


@given(batches(payloads))
def test_packed_batches_come_back_alike(batch):
    assert decode_batch(encode_batch(batch, packed=True)) == decode_batch(encode_batch(batch))


@given(st.frozensets(texts, max_size=32))
def test_offers_come_back(words):
    assert decode_offer(encode_offer(Offer(words))) == Offer(words)


@given(acks)
def test_acks_come_back(ack):
    assert decode_ack(encode_ack(ack)) == ack


@given(gaps, texts)
def test_gaps_come_back_through_an_event(gap, device):
    seen = observe_gap(gap)
    event = Event(seen.kind, device, STAMP, detail=seen.detail)
    assert gap_of(decode_event(encode_event(event))) == gap


@pytest.mark.parametrize("count", [1, 23, 24, 255, 256, 1000, codec.MAX_BATCH_EVENTS])
def test_batches_of_every_head(count):
    payload = encode_event(Event(Kind.CALL, "b", STAMP))
    batch = Batch("g", JOURNAL, Lane.URGENT, 7, (payload,) * count)
    decoded, inside = decode_batch(encode_batch(batch))
    assert decoded == batch
    assert decoded.last == 7 + count - 1
    assert len(inside) == count


FOREIGN = {
    "a float of 16 bits": "a7 0002 01616d 0248626f6f74626f6f74 0305 0406 0500 08a16161f93e00",
    "a float of 32 bits": "a7 0002 01616d 0248626f6f74626f6f74 0305 0406 0500 08a16161fa3fc00000",
    "a long head": "a6 0002 0178016d 0248626f6f74626f6f74 031b0000000000000005 0406 0500",
    "another order": "a6 0500 0406 0305 0248626f6f74626f6f74 01616d 0002",
}


@pytest.mark.parametrize("head", ["81", "9801", "990001", "9a00000001"])
@pytest.mark.parametrize("name", FOREIGN)
def test_events_of_another_writer_keep_their_bytes(name, head):
    """The collector tells events apart by their bytes, so it must not write them anew."""
    body = bytes.fromhex(FOREIGN[name])
    start = cbor2.dumps([1, "g", JOURNAL, 0, 1])[1:]
    batch, (event,) = decode_batch(b"\x86" + start + bytes.fromhex(head) + body)
    assert batch.events == (body,)
    assert event == decode_event(body)


# --- how it looks in bytes ----------------------------------------------------------------------


def test_an_event_put_together_by_hand():
    event = Event(
        Kind.MEASUREMENT,
        "m",
        Stamp(bytes(range(8)), 1000, -1, TimeQuality.SYNCHRONISED),
        (Measurement("v", 0.5, "m3"), Measurement("ok", True), Measurement("s", "x")),
        {"room": "k"},
        {"n": -7},
    )
    assert encode_event(event) == bytes.fromhex(
        "a9"
        "0002"  # kind
        "01616d"  # device
        "02480001020304050607"  # boot
        "031903e8"  # uptime
        "0420"  # wall time
        "0502"  # quality
        "0683"
        "a3006176" "01626d33" "02fb3fe0000000000000"
        "a200626f6b" "04f5"
        "a2006173" "036178"
        "07a164726f6f6d616b"
        "08a1616e26"
    )  # fmt: skip


def integer_maps(item):
    if isinstance(item, dict):
        if any(isinstance(key, int) for key in item):
            yield list(item)
        for value in item.values():
            yield from integer_maps(value)
    elif isinstance(item, list):
        for value in item:
            yield from integer_maps(value)


@given(payloads)
def test_integer_keys_take_one_byte_and_ascend(payload):
    for keys in integer_maps(cbor2.loads(payload)):
        assert keys == sorted(keys)
        assert set(keys) <= set(range(24))


def as_canonical(item):
    """The same with text keys in canonical order, and floats that need all of their 64 bits."""
    if isinstance(item, dict):
        pairs = ((key, as_canonical(value)) for key, value in item.items())
        return dict(sorted(pairs, key=lambda pair: cbor2.dumps(pair[0])))
    if isinstance(item, float):
        return item if fits_only_64_bits(item) else 0.1
    return item


def fits_only_64_bits(number: float) -> bool:
    try:
        return struct.unpack("f", struct.pack("f", number))[0] != number
    except OverflowError:
        return True


@given(events)
def test_canonical_but_for_the_width_of_floats_and_the_order_of_text_keys(event):
    steady = Event(
        event.kind,
        event.device,
        event.stamp,
        tuple(Measurement(m.name, as_canonical(m.value), m.unit) for m in event.measurements),
        as_canonical(event.labels),
        as_canonical(event.detail),
    )
    payload = encoded(steady)
    assert payload == cbor2.dumps(cbor2.loads(payload), canonical=True)


# --- encoding is as strict as decoding ----------------------------------------------------------


@settings(max_examples=400)
@given(wild_events())
def test_what_is_encoded_can_be_decoded(event):
    """Or it would stand at the head of its lane for ever, refused by the collector."""
    try:
        payload = encode_event(event)
    except DecodeError:
        return
    assert repr(decode_event(payload)) == repr(event)


@settings(max_examples=200)
@given(st.one_of(messages, st.binary(max_size=64)))
def test_what_is_decoded_can_be_encoded(data):
    try:
        event = decode_event(data)
    except DecodeError:
        return
    assert repr(decode_event(encode_event(event))) == repr(event)


def just_event(**changes) -> Event:
    return Event(**{"kind": Kind.CALL, "device": "b", "stamp": STAMP, **changes})


def stamped(**changes) -> Event:
    fields = {"boot": b"bootboot", "uptime_ms": 5, "wall_ms": 6, "quality": TimeQuality.UNKNOWN}
    return just_event(stamp=Stamp(**{**fields, **changes}))


UNSPEAKABLE = {
    "nameless device": just_event(device=""),
    "long device": just_event(device="x" * 257),
    "kind as number": just_event(kind=2),
    "kind of the future": just_event(kind=99),
    "half a surrogate pair": just_event(device="\udc80"),
    "short boot id": stamped(boot=b"boot"),
    "far before the boot": stamped(uptime_ms=-(2**48) - 1),
    "far future": stamped(uptime_ms=2**48 + 1),
    "wall time far off": stamped(wall_ms=-(2**48) - 1),
    "quality as number": stamped(quality=1),
    "too many measurements": just_event(measurements=(Measurement("a", 1),) * 65),
    "nameless measurement": just_event(measurements=(Measurement("", 1),)),
    "long unit": just_event(measurements=(Measurement("a", 1, "x" * 257),)),
    "empty text": just_event(measurements=(Measurement("a", ""),)),
    "long text": just_event(measurements=(Measurement("a", "x" * 257),)),
    "not a number": just_event(measurements=(Measurement("a", math.nan),)),
    "infinite": just_event(measurements=(Measurement("a", math.inf),)),
    "65 bits": just_event(measurements=(Measurement("a", 2**63),)),
    "bytes": just_event(measurements=(Measurement("a", b"x"),)),
    "nothing": just_event(measurements=(Measurement("a", None),)),
    "too many labels": just_event(labels={str(i): "x" for i in range(33)}),
    "empty label": just_event(labels={"room": ""}),
    "number as label": just_event(labels={"room": 5}),
    "number as key": just_event(detail={5: "x"}),
    "too many details": just_event(detail={str(i): 1 for i in range(33)}),
    "list as detail": just_event(detail={"a": [1]}),
    "larger than an event may be": just_event(
        detail={str(i): "界" * 100 for i in range(14)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSPEAKABLE)
def test_events_that_cannot_be_said(name):
    with pytest.raises(DecodeError):
        encode_event(UNSPEAKABLE[name])


def test_an_event_of_just_the_most_bytes():
    detail = {f"{i:02}": "x" * 256 for i in range(15)}
    room = codec.MAX_EVENT_BYTES - len(encode_event(just_event(detail=detail)))
    for fill in range(room - 10, room + 1):
        event = just_event(detail={**detail, "z": "x" * fill})
        try:
            payload = encode_event(event)
        except DecodeError:
            assert fill > room - 7
            break
        assert len(payload) <= codec.MAX_EVENT_BYTES
        assert decode_event(payload) == event
    else:
        pytest.fail("no event was too large")


# --- hostile bytes ------------------------------------------------------------------------------


def refused_or_decoded(data: bytes) -> None:
    """Nothing but DecodeError may come out of any decoder."""
    for decode in DECODERS:
        try:
            decode(data)
        except DecodeError:
            continue


@settings(max_examples=300)
@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff")
@example(b"\xf7")
@example(b"\xf8\xff")
@example(b"\x81" * 3000)
@example(b"\xa1" * 3000)
@example(b"\xc1" * 3000)
def test_random_bytes(data):
    refused_or_decoded(data)


@settings(max_examples=300)
@given(messages, st.data())
def test_mutated_messages(message, data):
    mutated = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        match data.draw(st.sampled_from(["flip", "put", "cut", "insert"])):
            case "flip":
                mutated[at] ^= 1 << data.draw(st.integers(0, 7))
            case "put":
                mutated[at] = data.draw(st.integers(0, 255))
            case "cut" if len(mutated) > 1:
                del mutated[at]
            case _:
                mutated[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    refused_or_decoded(bytes(mutated))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats() | st.text(max_size=5)
    | st.binary(max_size=17) | st.sampled_from([cbor2.undefined, cbor2.CBORSimpleValue(99)]),
    lambda inner: st.lists(inner, max_size=6)
    | st.dictionaries(st.integers(0, 9) | st.text(max_size=3) | st.booleans(), inner, max_size=9),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200)
@given(anything)
def test_well_formed_cbor_of_another_shape(item):
    refused_or_decoded(cbor2.dumps(item))
    refused_or_decoded(cbor2.dumps([1, "g", JOURNAL, 0, 1, [EVENT, item]]))
    refused_or_decoded(cbor2.dumps({**EVENT, 6: [{0: "a", 2: item}], 8: {"a": item}}))


@given(messages, st.data())
def test_cut_short(message, data):
    cut = message[: data.draw(st.integers(0, len(message) - 1))]
    for decode in DECODERS:
        with pytest.raises(DecodeError):
            decode(cut)


@pytest.mark.parametrize("extra", [1, 7, 100, 2000, 70_000])
@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (decode_event, cbor2.dumps(EVENT)),
        (decode_batch, cbor2.dumps([1, "g", JOURNAL, 0, 1, [EVENT]])),
        (decode_ack, cbor2.dumps([1, JOURNAL, 0, 1, 1])),
    ],
)
def test_something_behind_the_end(decode, data, extra):
    decode(data)
    with pytest.raises(DecodeError):
        decode(data + bytes(extra))


def event_with(**raw: str) -> bytes:
    """An event with the hex of some values replaced: `_4="f97e00"` is the wall time."""
    parts = {key: cbor2.dumps(value) for key, value in EVENT.items()}
    parts.update({int(key[1:]): bytes.fromhex(value) for key, value in raw.items()})
    return bytes([0xA0 | len(parts)]) + b"".join(
        cbor2.dumps(key) + value for key, value in sorted(parts.items())
    )


HOSTILE = {
    "unknown key": event_with(_9="01"),
    "missing key": cbor2.dumps({key: EVENT[key] for key in range(5)}),
    "not a map": b"\x80",
    "empty map": b"\xa0",
    "text key": cbor2.dumps({**EVENT, "a": 1}),
    "true as key 1": cbor2.dumps({0: 2, True: "m", 2: b"bootboot", 3: 5, 4: 6, 5: 0}),
    "1.0 as key 1": cbor2.dumps({0: 2, 1.0: "m", 2: b"bootboot", 3: 5, 4: 6, 5: 0}),
    "false as SenML name": event_with(_6="81a2f4616102 01"),
    "same key twice": bytes.fromhex("a7") + cbor2.dumps(EVENT)[1:] + bytes.fromhex("01616e"),
    "key 1 and key true": bytes.fromhex("a7") + cbor2.dumps(EVENT)[1:] + bytes.fromhex("f5616e"),
    "true as kind": event_with(_0="f5"),
    "kind of the future": event_with(_0="1863"),
    "float as uptime": event_with(_3="fb4014000000000000"),
    "uptime far before the boot": event_with(_3="3b0001000000000000"),
    "wall time beyond": event_with(_4="1b0001000000000001"),
    "not-a-number": event_with(_8="a16161f97e00"),
    "infinite": event_with(_8="a16161f97c00"),
    "infinite in 64 bits": event_with(_8="a16161fbfff0000000000000"),
    "64-bit unsigned": event_with(_8="a161611bffffffffffffffff"),
    "bignum": event_with(_8="a16161c249010000000000000000"),
    "bignum of 5": event_with(_8="a16161c24105"),
    "bignum as uptime": event_with(_3="c24105"),
    "shareable 5": event_with(_8="a16161d81c05"),
    "string reference": event_with(_8="d90100a1616105"),
    "huge bignum": event_with(_8="a16161c25903e8" + "ff" * 1000),
    "decimal with a huge exponent": event_with(_8="a16161c4821a7fffffff01"),
    "regular expression": event_with(_8="a16161d8236428612b292b"),
    "date": event_with(_8="a16161c11a514b67b0"),
    "shared reference": event_with(_8="a16161d81d00"),
    "unknown tag": event_with(_8="a16161d9ffff00"),
    "self-described": bytes.fromhex("d9d9f7") + cbor2.dumps(EVENT),
    "indefinite map": b"\xbf" + cbor2.dumps(EVENT)[1:] + b"\xff",
    "indefinite text": event_with(_1="7f616dff"),
    "indefinite bytes": event_with(_2="5f44626f6f7444626f6f74ff"),
    "undefined": event_with(_8="a16161f7"),
    "null": event_with(_8="a16161f6"),
    "simple value": event_with(_8="a16161f8ff"),
    "broken UTF-8": event_with(_1="61ff"),
    "surrogate in UTF-8": event_with(_1="63eda080"),
    "SenML with two values": event_with(_6="81a300616102010361 62"),
    "SenML without a value": event_with(_6="81a1006161"),
    "SenML without a name": event_with(_6="81a10201"),
    "SenML text under v": event_with(_6="81a2006161026161"),
    "SenML number under vs": event_with(_6="81a20061610301"),
    "SenML bool under v": event_with(_6="81a200616102f5"),
    "nested detail": event_with(_8="a16161a1616101"),
    "a text of 2 GiB": event_with(_1="7b0000000080000000"),
    "an array of 2^63": event_with(_6="9b7fffffffffffffff"),
    "a map of 2^63": event_with(_7="bb7fffffffffffffff"),
    "nested for ever": event_with(_6="81" * 2000),
    "oversize": cbor2.dumps({**EVENT, 8: {str(i): "x" * 200 for i in range(30)}}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_events(name):
    with pytest.raises(DecodeError):
        decode_event(HOSTILE[name])
    with pytest.raises(DecodeError):
        decode_batch(b"\x86" + cbor2.dumps([1, "g", JOURNAL, 0, 1])[1:] + b"\x81" + HOSTILE[name])


def batch_with(**changes) -> bytes:
    fields = {"version": 1, "gateway": "g", "journal": JOURNAL, "lane": 0, "first": 1}
    return cbor2.dumps([*{**fields, "events": [EVENT], **changes}.values()])


@pytest.mark.parametrize(
    "changes",
    [
        {"version": True},
        {"version": -1},
        {"version": "1"},
        {"gateway": ""},
        {"gateway": "x" * 257},
        {"journal": b"short"},
        {"lane": 2},
        {"lane": False},
        {"first": 0},
        {"first": codec.MAX_SEQ},
        {"first": 2**63},
        {"first": 1.0},
        {"events": []},
        {"events": {}},
        {"events": [1]},
        {"events": [EVENT] * (codec.MAX_BATCH_EVENTS + 1)},
        {"extra": 1},
    ],
    ids=repr,
)
def test_batches_that_are_none(changes):
    decode_batch(batch_with())
    with pytest.raises(DecodeError) as caught:
        decode_batch(batch_with(**changes))
    assert not isinstance(caught.value, UnknownVersion)


def test_a_batch_larger_than_any():
    event = {**EVENT, 8: {str(i): "x" * 250 for i in range(14)}}
    data = batch_with(events=[event] * 80)
    assert len(data) > codec.MAX_BATCH_BYTES
    with pytest.raises(DecodeError, match="262144 is the most"):
        decode_batch(data)


@pytest.mark.parametrize("version", [0, 2, 255, 2**32])
def test_other_versions_are_told_from_rubbish(version):
    with pytest.raises(UnknownVersion, match=f"version {version}; this hearth speaks 1"):
        decode_batch(batch_with(version=version))
    with pytest.raises(UnknownVersion):
        decode_batch(cbor2.dumps([version, {"quite": "different"}]))
    with pytest.raises(UnknownVersion):
        decode_ack(cbor2.dumps([version, JOURNAL, 0, 1, 1]))


@pytest.mark.parametrize(
    "items",
    [
        [1, JOURNAL, 0, 2, 1],
        [1, JOURNAL, 0, 0, 1],
        [1, JOURNAL, 0, 1, 2**63],
        [1, JOURNAL, 9, 1, 1],
        [1, b"x", 0, 1, 1],
        [1, JOURNAL, 0, 1],
        [1, JOURNAL, 0, 1, 1, 1],
        [],
        {},
        None,
    ],
    ids=repr,
)
def test_acks_that_are_none(items):
    with pytest.raises(DecodeError):
        decode_ack(cbor2.dumps(items))


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"lane": "fast", "first": 1, "last": 2, "reason": "x"},
        {"lane": 0, "first": 1, "last": 2, "reason": "x"},
        {"lane": "urgent", "first": 3, "last": 2, "reason": "x"},
        {"lane": "urgent", "first": 0, "last": 2, "reason": "x"},
        {"lane": "urgent", "first": True, "last": 2, "reason": "x"},
        {"lane": "urgent", "first": 1, "last": 2},
    ],
    ids=repr,
)
def test_gaps_that_are_none(detail):
    with pytest.raises(DecodeError):
        gap_of(Event(Kind.GAP, "journal", STAMP, detail=detail))


def test_only_gap_events_tell_of_gaps():
    detail = {"lane": "urgent", "first": 1, "last": 2, "reason": "x"}
    assert gap_of(Event(Kind.GAP, "journal", STAMP, detail=detail)).count == 2
    with pytest.raises(DecodeError, match="not a gap event"):
        gap_of(Event(Kind.FAULT, "journal", STAMP, detail=detail))


def test_an_ack_names_what_it_frees():
    ack = decode_ack(bytes.fromhex("8501 50000102030405060708090a0b0c0d0e0f 01 05 1864"))
    assert ack == Ack(JOURNAL, Lane.ROUTINE, 5, 100)


# --- packed batches -----------------------------------------------------------------------------

PACKED_HEAD = b"\x86" + cbor2.dumps([1, "g", JOURNAL, 1, 1])[1:]


def packed_as(data: bytes) -> bytes:
    return PACKED_HEAD + cbor2.dumps(data)


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = packed_as(zlib.compress(bytes(500 << 20), 9))
    assert len(bomb) > codec.MAX_BATCH_BYTES  # half a GB, and too large even packed
    small = packed_as(zlib.compress(bytes(200 << 20), 9))
    assert len(small) < codec.MAX_BATCH_BYTES
    tracemalloc.start()
    try:
        for data in (bomb, small):
            with pytest.raises(DecodeError, match="bytes"):
                decode_batch(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * codec.MAX_BATCH_BYTES
    finally:
        tracemalloc.stop()


def test_the_largest_that_unpacks_is_a_whole_batch():
    body = encode_event(Event(Kind.CALL, "b", STAMP))
    count = 8000
    events = b"\x99" + count.to_bytes(2, "big") + body * count
    assert len(events) <= codec.MAX_BATCH_BYTES
    assert len(decode_batch(packed_as(zlib.compress(events)))[1]) == count
    padded = events + bytes(codec.MAX_BATCH_BYTES + 1 - len(events))
    with pytest.raises(DecodeError, match="when unpacked"):
        decode_batch(packed_as(zlib.compress(padded)))


@pytest.mark.parametrize(
    "bent",
    [
        b"",
        b"x",
        zlib.compress(b"\x80"),
        zlib.compress(b"\x81" + cbor2.dumps(EVENT))[:-1],
        zlib.compress(b"\x81" + cbor2.dumps(EVENT)) + b"x",
        zlib.compress(b"\x81" + cbor2.dumps(EVENT) + b"x"),
        zlib.compress(cbor2.dumps(zlib.compress(b"\x81" + cbor2.dumps(EVENT)))),
        zlib.compress(b"\x81" * 100_000),
    ],
    ids=["empty", "no zlib", "no event", "cut", "tail", "tail inside", "packed twice", "nested"],
)
def test_what_is_not_one_packed_array_is_refused(bent):
    with pytest.raises(DecodeError):
        decode_batch(packed_as(bent))


def test_nothing_follows_what_is_packed():
    good = packed_as(zlib.compress(b"\x81" + cbor2.dumps(EVENT)))
    assert len(decode_batch(good)[1]) == 1
    with pytest.raises(DecodeError, match="after the end"):
        decode_batch(good + b"\x00")


@given(st.binary(max_size=200), st.integers(0, 199), st.integers(0, 7))
def test_bent_packed_batches_raise_nothing_else(data, at, bit):
    packed = bytearray(packed_as(zlib.compress(b"\x81" + cbor2.dumps(EVENT) + data)))
    packed[at % len(packed)] ^= 1 << bit
    with contextlib.suppress(DecodeError):
        decode_batch(bytes(packed))
