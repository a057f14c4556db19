"""Events, batches and acknowledgements to CBOR and back. `config/event.cddl` is the schema.

Maps have single-byte integer keys written in ascending order, which is at once cbor2's canonical
order and the deterministic encoding of RFC 8949 4.2.1; floats are always 64 bit wide. Decoding is
strict: what the schema does not name is refused, and everything refused is a DecodeError. No input
raises anything else. Encoding an event is as strict, by the same rules: one that the collector
could not decode would stand at the head of its lane for ever, and nothing would pass it.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import cbor2
import msgspec

from gateway.deflate import deflate, inflate
from gateway.errors import DecodeError, UnknownVersion
from gateway.model import (
    SIGNATURE_BYTES,
    Ack,
    Batch,
    Event,
    Gap,
    Kind,
    Lane,
    Measurement,
    Observation,
    Offer,
    Scalar,
    Signed,
    Stamp,
    TimeQuality,
)
from gateway.strict import (
    MAJOR_BYTES,
    MAX_DETAIL,
    MAX_TEXT,
    Reader,
    at_most,
    enum,
    expect,
    integer,
    keyed,
    load,
    map_of,
    raw,
    scalar,
    text,
)

WIRE_VERSION = 1

MAX_EVENT_BYTES = 4096  # far above any real event; far below an urgent segment
MAX_BATCH_BYTES = 256 * 1024  # what a collector is willing to decode at once
MAX_BATCH_EVENTS = 8192
MAX_MEASUREMENTS = 64
MAX_SEQ = 2**63 - 1  # fits SQLite's and PostgreSQL's signed 64-bit integers
_MS_LIMIT = 2**48  # 8,900 years in ms: beyond it a time is a decoding error

# Event keys.
_KIND, _DEVICE, _BOOT, _UPTIME, _WALL, _QUALITY, _MEASUREMENTS, _LABELS, _DETAIL = range(9)
_EVENT_KEYS = frozenset(range(9))
# SenML labels (RFC 8428, table 4).
_SENML_NAME, _SENML_UNIT, _SENML_VALUE, _SENML_STRING, _SENML_BOOL = 0, 1, 2, 3, 4
_SENML_VALUES = (_SENML_VALUE, _SENML_STRING, _SENML_BOOL)


_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
_Ms = Annotated[int, msgspec.Meta(ge=-_MS_LIMIT, le=_MS_LIMIT)]
_Scalar = bool | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | _Text
_Record = dict[Annotated[int, msgspec.Meta(ge=_SENML_NAME, le=_SENML_BOOL)], _Scalar]


class _Wire(msgspec.Struct, array_like=True, gc=False):
    """The values of an event by their keys. msgspec checks them five times faster than we can."""

    kind: Kind
    device: _Text
    boot: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    uptime: _Ms
    wall: _Ms
    quality: TimeQuality
    measurements: Annotated[list[_Record], msgspec.Meta(max_length=MAX_MEASUREMENTS)] | None
    labels: Annotated[dict[_Text, _Text], msgspec.Meta(max_length=MAX_DETAIL)] | None
    detail: Annotated[dict[_Text, _Scalar], msgspec.Meta(max_length=MAX_DETAIL)] | None


# --- events ------------------------------------------------------------------------------------


def encode_event(event: Event) -> bytes:
    """The CBOR of one event; DecodeError if `decode_event` would refuse it."""
    stamp = event.stamp
    fields: dict[int, Any] = {
        _KIND: int(expect(event.kind, Kind, "kind")),
        _DEVICE: text(event.device, "device"),
        _BOOT: raw(stamp.boot, 8, "boot"),
        _UPTIME: integer(stamp.uptime_ms, -_MS_LIMIT, _MS_LIMIT, "uptime"),
        _WALL: integer(stamp.wall_ms, -_MS_LIMIT, _MS_LIMIT, "wall time"),
        _QUALITY: int(expect(stamp.quality, TimeQuality, "time quality")),
    }
    if event.measurements:
        at_most(MAX_MEASUREMENTS, event.measurements, "measurements")
        fields[_MEASUREMENTS] = [_senml(m) for m in event.measurements]
    if event.labels:
        fields[_LABELS] = map_of(event.labels, text, "labels")
    if event.detail:
        fields[_DETAIL] = map_of(event.detail, scalar, "detail")
    try:
        data = cbor2.dumps(fields)
    except UnicodeEncodeError as error:  # half a surrogate pair, as in undecodable file names
        raise DecodeError(f"text that is not Unicode: {error}") from error
    return _checked_size(data)


def decode_event(data: bytes) -> Event:
    """One event from its CBOR; DecodeError if it is anything but a version-1 event."""
    return _event_of(load(_checked_size(data)))


def _event_of(item: Any) -> Event:
    fields = keyed(item, _EVENT_KEYS, "event")
    values = [*map(fields.get, range(len(_EVENT_KEYS)))]
    if None in fields.values():
        raise DecodeError("event with nothing under a key")
    try:
        wire = msgspec.convert(values, _Wire)
    except msgspec.ValidationError as error:
        raise DecodeError(f"event: {error}") from error
    for value in wire.detail.values() if wire.detail else ():
        _finite(value)
    return Event(
        kind=wire.kind,
        device=wire.device,
        stamp=Stamp(wire.boot, wire.uptime, wire.wall, wire.quality),
        measurements=tuple(map(_measurement, wire.measurements or ())),
        labels=wire.labels or {},
        detail=wire.detail or {},
    )


def _checked_size(data: bytes) -> bytes:
    if len(data) > MAX_EVENT_BYTES:
        raise DecodeError(f"an event of {len(data)} bytes; {MAX_EVENT_BYTES} is the most")
    return data


def _senml(measurement: Measurement) -> dict[int, Any]:
    record: dict[int, Any] = {_SENML_NAME: text(measurement.name, "SenML name")}
    if measurement.unit != "":
        record[_SENML_UNIT] = text(measurement.unit, "SenML unit")
    value = scalar(measurement.value, "SenML value")
    record[_value_label(value)] = value
    return record


def _value_label(value: Scalar) -> int:
    if isinstance(value, bool):
        return _SENML_BOOL
    return _SENML_STRING if isinstance(value, str) else _SENML_VALUE


def _measurement(record: dict[int, Scalar]) -> Measurement:
    """A SenML record, of which `_Wire` has seen that keys and values are of the right types."""
    name, unit = record.get(_SENML_NAME), record.get(_SENML_UNIT, "")
    if type(name) is not str or type(unit) is not str:
        raise DecodeError("SenML record without a name, or with a unit that is no text")
    values = len(record) - (2 if unit else 1)
    if values != 1:
        raise DecodeError(f"SenML record with {values} values")
    for label in _SENML_VALUES:
        if label in record:
            break
    value = record[label]
    _finite(value)
    if _value_label(value) != label:
        raise DecodeError(f"SenML value {value!r} under label {label}")
    return Measurement(name, value, unit)


def _finite(value: Scalar) -> None:
    if type(value) is float and not math.isfinite(value):
        raise DecodeError(f"{value} is no value")


# --- gaps: an ordinary event whose detail is the range -----------------------------------------


def observe_gap(gap: Gap) -> Observation:
    """The observation that tells of a gap."""
    return Observation(
        Kind.GAP,
        detail={
            "lane": gap.lane.name.lower(),
            "first": gap.first,
            "last": gap.last,
            "reason": gap.reason,
        },
    )


def gap_of(event: Event) -> Gap:
    """The gap an event tells of; DecodeError if its detail is not that of a gap."""
    detail = event.detail
    names = {lane.name.lower(): lane for lane in Lane}
    lane = names.get(text(detail.get("lane"), "gap lane"))
    if event.kind is not Kind.GAP or lane is None:
        raise DecodeError("not a gap event")
    first = integer(detail.get("first"), 1, MAX_SEQ, "gap first")
    last = integer(detail.get("last"), first, MAX_SEQ, "gap last")
    return Gap(lane, first, last, text(detail.get("reason"), "gap reason"))


# --- batches and acknowledgements --------------------------------------------------------------


def encode_batch(batch: Batch, *, packed: bool = False) -> bytes:
    """`[version, gateway, journal, lane, first seq, [event, ...]]`; events copied as they are.

    Packed, the last item is the array's bytes deflated, in a byte string: only for a collector that
    says it understands it.
    """
    head = [WIRE_VERSION, batch.gateway, batch.journal, int(batch.lane), batch.first]
    events = b"".join([_array_head(len(batch.events)), *batch.events])
    if packed:
        events = cbor2.dumps(deflate(events))
    return b"".join([b"\x86", *map(cbor2.dumps, head), events])


def decode_batch(data: bytes) -> tuple[Batch, tuple[Event, ...]]:
    """A batch and its decoded events.

    Raises:
        UnknownVersion: a batch, but of another version.
        DecodeError: anything else that is not a batch of valid events.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise DecodeError(f"a batch of {len(data)} bytes; {MAX_BATCH_BYTES} is the most")
    reader = Reader(data)
    length = reader.array("batch")
    _check_version(reader.next() if length else None, "batch")
    _check_length(length, 6, "batch")
    gateway = text(reader.next(), "gateway")
    journal = raw(reader.next(), 16, "journal")
    lane = enum(Lane, reader.next(), "lane")
    first = integer(reader.next(), 1, MAX_SEQ - MAX_BATCH_EVENTS, "first seq")
    if reader.major == MAJOR_BYTES:
        packed = reader.next()
        reader.end()
        data = inflate(packed, MAX_BATCH_BYTES)
        reader = Reader(data)
    bodies, events = _read_events(reader, data)
    reader.end()
    return Batch(gateway, journal, lane, first, bodies), events


def encode_ack(ack: Ack) -> bytes:
    """`[version, journal, lane, first seq, last seq]`."""
    return cbor2.dumps([WIRE_VERSION, ack.journal, int(ack.lane), ack.first, ack.last])


def decode_ack(data: bytes) -> Ack:
    """An acknowledgement; UnknownVersion or DecodeError if it is none."""
    items = _versioned(data, "acknowledgement", 5)
    first = integer(items[3], 1, MAX_SEQ, "first seq")
    return Ack(
        journal=raw(items[1], 16, "journal"),
        lane=enum(Lane, items[2], "lane"),
        first=first,
        last=integer(items[4], first, MAX_SEQ, "last seq"),
    )


def seal_ack(signed: Signed) -> bytes:
    """`[version, acknowledgement, signature]`; an acknowledgement nobody signed goes as it is."""
    if not signed.signature:
        return signed.body
    return cbor2.dumps([WIRE_VERSION, signed.body, signed.signature])


def open_ack(data: bytes) -> Signed:
    """The bytes of an acknowledgement, and who vouches for them, of which nothing is believed yet.

    Raises:
        UnknownVersion, DecodeError: neither an acknowledgement nor a signed one.
    """
    items: list[Any] = expect(load(data), list, "acknowledgement")
    if len(items) != 3:
        return Signed(data)
    _check_version(items[0], "acknowledgement")
    body = expect(items[1], bytes, "acknowledgement")
    return Signed(body, raw(items[2], SIGNATURE_BYTES, "signature"))


def encode_offer(offer: Offer) -> bytes:
    """`[version, [text, ...]]`."""
    return cbor2.dumps([WIRE_VERSION, sorted(offer.understands)])


def decode_offer(data: bytes) -> Offer:
    """What a collector says of itself; UnknownVersion or DecodeError if it is no offer."""
    items = _versioned(data, "offer", 2)
    words = expect(items[1], list, "offer")
    at_most(MAX_DETAIL, words, "words of an offer")
    return Offer(frozenset(text(word, "word of an offer") for word in words))


def _array_head(count: int) -> bytes:
    if count < 24:
        return bytes([0x80 | count])
    if count < 0x100:
        return bytes([0x98, count])
    return b"\x99" + count.to_bytes(2, "big")


def _read_events(reader: Reader, data: bytes) -> tuple[tuple[bytes, ...], tuple[Event, ...]]:
    """The events of a batch, each as it was sent and decoded."""
    count = reader.array("events")
    if not 1 <= count <= MAX_BATCH_EVENTS:
        raise DecodeError(f"{count} events in one batch")
    bodies, events, start = [], [], reader.at
    for _ in range(count):
        item, end = reader.next(), reader.at
        bodies.append(_checked_size(data[start:end]))
        events.append(_event_of(item))
        start = end
    return tuple(bodies), tuple(events)


def _versioned(data: bytes, what: str, length: int) -> list[Any]:
    items: list[Any] = expect(load(data), list, what)
    _check_version(items[0] if items else None, what)
    _check_length(len(items), length, what)
    return items


def _check_version(item: Any, what: str) -> None:
    version = integer(item, 0, 2**32, f"{what} version")
    if version != WIRE_VERSION:
        raise UnknownVersion(f"{what} of version {version}; this hearth speaks {WIRE_VERSION}")


def _check_length(found: int, length: int, what: str) -> None:
    if found != length:
        raise DecodeError(f"{what} of {found} items, not {length}")
