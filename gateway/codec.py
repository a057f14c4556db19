"""Events, batches and acknowledgements to CBOR and back. `config/event.cddl` is the schema.

Maps have single-byte integer keys written in ascending order, which is at once cbor2's canonical
order and the deterministic encoding of RFC 8949 4.2.1. Decoding is strict: what the schema does not
name is refused, and everything refused is a DecodeError. No input raises anything else.
"""

from __future__ import annotations

import math
from enum import IntEnum
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import cbor2

from gateway.errors import DecodeError, UnknownVersion
from gateway.model import (
    Ack,
    Batch,
    Event,
    Gap,
    Kind,
    Lane,
    Measurement,
    Observation,
    Scalar,
    Stamp,
    TimeQuality,
)

if TYPE_CHECKING:
    from collections.abc import Callable

E = TypeVar("E", bound=IntEnum)

WIRE_VERSION = 1

MAX_EVENT_BYTES = 4096  # far above any real event; far below an urgent segment
MAX_BATCH_BYTES = 256 * 1024  # what a collector is willing to decode at once
MAX_BATCH_EVENTS = 8192
MAX_MEASUREMENTS = 64
MAX_TEXT = 256  # characters of any name, label or unit
MAX_DETAIL = 32  # entries of a label or detail map
MAX_SEQ = 2**63 - 1  # fits SQLite's and PostgreSQL's signed 64-bit integers
_MAX_DEPTH = 6  # an event in a batch is 4 deep
_MS_LIMIT = 2**48  # 8,900 years in ms: beyond it a time is a decoding error
_INT_LIMIT = 2**63

# Event keys.
_KIND, _DEVICE, _BOOT, _UPTIME, _WALL, _QUALITY, _MEASUREMENTS, _LABELS, _DETAIL = range(9)
# SenML labels (RFC 8428, table 4).
_SENML_NAME, _SENML_UNIT, _SENML_VALUE, _SENML_STRING, _SENML_BOOL = 0, 1, 2, 3, 4


# --- events ------------------------------------------------------------------------------------


def encode_event(event: Event) -> bytes:
    """The CBOR of one event; DecodeError if the event is larger than MAX_EVENT_BYTES."""
    stamp = event.stamp
    fields: dict[int, Any] = {
        _KIND: int(event.kind),
        _DEVICE: event.device,
        _BOOT: stamp.boot,
        _UPTIME: stamp.uptime_ms,
        _WALL: stamp.wall_ms,
        _QUALITY: int(stamp.quality),
    }
    if event.measurements:
        fields[_MEASUREMENTS] = [_senml(m) for m in event.measurements]
    if event.labels:
        fields[_LABELS] = event.labels
    if event.detail:
        fields[_DETAIL] = event.detail
    data = cbor2.dumps(fields)
    if len(data) > MAX_EVENT_BYTES:
        raise DecodeError(f"an event of {len(data)} bytes; {MAX_EVENT_BYTES} is the most")
    return data


def decode_event(data: bytes) -> Event:
    """One event from its CBOR; DecodeError if it is anything but a version-1 event."""
    if len(data) > MAX_EVENT_BYTES:
        raise DecodeError(f"an event of {len(data)} bytes; {MAX_EVENT_BYTES} is the most")
    fields = _expect(_load(data), dict, "event")
    if not fields.keys() <= set(range(9)):
        raise DecodeError(f"event has unknown keys {sorted(map(repr, fields.keys()))}")
    return Event(
        kind=_enum(Kind, fields.get(_KIND), "kind"),
        device=_text(fields.get(_DEVICE), "device"),
        stamp=Stamp(
            boot=_bytes(fields.get(_BOOT), 8, "boot"),
            uptime_ms=_int(fields.get(_UPTIME), 0, _MS_LIMIT, "uptime"),
            wall_ms=_int(fields.get(_WALL), -_MS_LIMIT, _MS_LIMIT, "wall time"),
            quality=_enum(TimeQuality, fields.get(_QUALITY), "time quality"),
        ),
        measurements=_measurements(fields.get(_MEASUREMENTS, [])),
        labels=_map_of(fields.get(_LABELS, {}), _text, "labels"),
        detail=_map_of(fields.get(_DETAIL, {}), _scalar, "detail"),
    )


def _senml(measurement: Measurement) -> dict[int, Any]:
    record: dict[int, Any] = {_SENML_NAME: measurement.name}
    if measurement.unit:
        record[_SENML_UNIT] = measurement.unit
    record[_value_label(measurement.value)] = measurement.value
    return record


def _value_label(value: Scalar) -> int:
    if isinstance(value, bool):
        return _SENML_BOOL
    return _SENML_STRING if isinstance(value, str) else _SENML_VALUE


def _measurements(items: Any) -> tuple[Measurement, ...]:
    if len(_expect(items, list, "measurements")) > MAX_MEASUREMENTS:
        raise DecodeError(f"{len(items)} measurements in one event")
    return tuple(_measurement(_expect(item, dict, "SenML record")) for item in items)


def _measurement(record: dict[Any, Any]) -> Measurement:
    labels = record.keys() - {_SENML_NAME, _SENML_UNIT}
    if len(labels) != 1 or not labels <= {_SENML_VALUE, _SENML_STRING, _SENML_BOOL}:
        raise DecodeError(f"SenML record with labels {sorted(map(repr, record.keys()))}")
    label = labels.pop()
    value = _scalar(record[label], "SenML value")
    if _value_label(value) != label:
        raise DecodeError(f"SenML value {value!r} under label {label}")
    unit = _text(record[_SENML_UNIT], "SenML unit") if _SENML_UNIT in record else ""
    return Measurement(_text(record.get(_SENML_NAME), "SenML name"), value, unit)


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
    lane = names.get(_text(detail.get("lane"), "gap lane"))
    if event.kind is not Kind.GAP or lane is None:
        raise DecodeError("not a gap event")
    first = _int(detail.get("first"), 1, MAX_SEQ, "gap first")
    last = _int(detail.get("last"), first, MAX_SEQ, "gap last")
    return Gap(lane, first, last, _text(detail.get("reason"), "gap reason"))


# --- batches and acknowledgements --------------------------------------------------------------


def encode_batch(batch: Batch) -> bytes:
    """`[version, gateway, journal, lane, first seq, [event, ...]]`; events copied as they are."""
    head = [WIRE_VERSION, batch.gateway, batch.journal, int(batch.lane), batch.first]
    return b"".join(
        [b"\x86", *map(cbor2.dumps, head), _array_head(len(batch.events)), *batch.events]
    )


def decode_batch(data: bytes) -> tuple[Batch, tuple[Event, ...]]:
    """A batch and its decoded events.

    Raises:
        UnknownVersion: a batch, but of another version.
        DecodeError: anything else that is not a batch of valid events.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise DecodeError(f"a batch of {len(data)} bytes; {MAX_BATCH_BYTES} is the most")
    items = _versioned(data, "batch", 6)
    raw_events = _expect(items[5], list, "events")
    if not 1 <= len(raw_events) <= MAX_BATCH_EVENTS:
        raise DecodeError(f"{len(raw_events)} events in one batch")
    bodies = tuple(cbor2.dumps(item) for item in raw_events)
    batch = Batch(
        gateway=_text(items[1], "gateway"),
        journal=_bytes(items[2], 16, "journal"),
        lane=_enum(Lane, items[3], "lane"),
        first=_int(items[4], 1, MAX_SEQ - len(bodies), "first seq"),
        events=bodies,
    )
    return batch, tuple(decode_event(body) for body in bodies)


def encode_ack(ack: Ack) -> bytes:
    """`[version, journal, lane, first seq, last seq]`."""
    return cbor2.dumps([WIRE_VERSION, ack.journal, int(ack.lane), ack.first, ack.last])


def decode_ack(data: bytes) -> Ack:
    """An acknowledgement; UnknownVersion or DecodeError if it is none."""
    items = _versioned(data, "acknowledgement", 5)
    first = _int(items[3], 1, MAX_SEQ, "first seq")
    return Ack(
        journal=_bytes(items[1], 16, "journal"),
        lane=_enum(Lane, items[2], "lane"),
        first=first,
        last=_int(items[4], first, MAX_SEQ, "last seq"),
    )


def _array_head(count: int) -> bytes:
    if count < 24:
        return bytes([0x80 | count])
    if count < 0x100:
        return bytes([0x98, count])
    return b"\x99" + count.to_bytes(2, "big")


def _versioned(data: bytes, what: str, length: int) -> list[Any]:
    items: list[Any] = _expect(_load(data), list, what)
    version = _int(items[0] if items else None, 0, 2**32, f"{what} version")
    if version != WIRE_VERSION:
        raise UnknownVersion(f"{what} of version {version}; this hearth speaks {WIRE_VERSION}")
    if len(items) != length:
        raise DecodeError(f"{what} of {len(items)} items, not {length}")
    return items


# --- strict reading ----------------------------------------------------------------------------


def _refuse_tag(*_: Any) -> Any:
    raise DecodeError("CBOR tags are not part of the format")


# Tags that cbor2 would decode by itself, some of them at the cost of much time or memory
# (bignums, decimals with huge exponents, regular expressions, shared references).
_KNOWN_TAGS: dict[int, Callable[..., Any]] = dict.fromkeys(
    (
        0,
        1,
        2,
        3,
        4,
        5,
        25,
        28,
        29,
        30,
        35,
        36,
        37,
        43,
        52,
        54,
        100,
        256,
        258,
        260,
        261,
        1004,
        55799,
    ),
    _refuse_tag,
)


def _load(data: bytes) -> Any:
    stream = BytesIO(data)
    try:
        decoder = cbor2.CBORDecoder(
            stream,
            tag_hook=_refuse_tag,
            semantic_decoders=_KNOWN_TAGS,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        item = decoder.decode()
    except DecodeError:
        raise
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise DecodeError(f"not CBOR of this format: {error}") from error
    if stream.tell() != len(data):
        raise DecodeError(f"{len(data) - stream.tell()} bytes after the end")
    return item


def _expect(item: Any, kind: type, what: str) -> Any:
    if type(item) is not kind:
        raise DecodeError(f"{what} is {type(item).__name__}, not {kind.__name__}")
    return item


def _int(item: Any, low: int, high: int, what: str) -> int:
    if type(item) is not int or not low <= item <= high:
        raise DecodeError(f"{what} is {item!r:.40}, not an integer of {low}..{high}")
    return item


def _text(item: Any, what: str) -> str:
    if type(item) is not str or not 1 <= len(item) <= MAX_TEXT:
        raise DecodeError(f"{what} is {item!r:.40}, not a text of 1..{MAX_TEXT} characters")
    return item


def _bytes(item: Any, length: int, what: str) -> bytes:
    if type(item) is not bytes or len(item) != length:
        raise DecodeError(f"{what} is {item!r:.40}, not {length} bytes")
    return item


def _enum(kinds: type[E], item: Any, what: str) -> E:
    try:
        if type(item) is int:
            return kinds(item)
    except ValueError:
        pass
    raise DecodeError(f"{what} is {item!r:.40}, not one of {[int(k) for k in kinds]}")


def _scalar(item: Any, what: str) -> Scalar:
    if type(item) is str:
        return _text(item, what)
    if type(item) is int:
        return _int(item, -_INT_LIMIT, _INT_LIMIT - 1, what)
    if type(item) is float and math.isfinite(item):
        return item
    if type(item) is bool:
        return item
    raise DecodeError(f"{what} is {item!r:.40}, not a number, text or truth value")


def _map_of(items: Any, value_of: Callable[[Any, str], Any], what: str) -> dict[str, Any]:
    if len(_expect(items, dict, what)) > MAX_DETAIL:
        raise DecodeError(f"{what} has {len(items)} entries; {MAX_DETAIL} is the most")
    return {_text(key, f"{what} key"): value_of(value, what) for key, value in items.items()}
