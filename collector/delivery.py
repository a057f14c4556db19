"""What comes in, after it was judged: a Delivery to store, or a Refusal to keep with its reason."""

from __future__ import annotations

from enum import Enum
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway.model import Event, Lane, Measurement, Scalar

DIGEST_BYTES = 16  # 128 bits: no two events of a fleet share one by chance


class Reason(Enum):
    """Why something was not stored as events. The values are in the store: add, never rename."""

    OVERSIZED = "oversized"  # larger than any batch may be
    MALFORMED = "malformed"  # not a batch of valid events
    UNKNOWN_VERSION = "unknown_version"  # a batch from the future
    WRONG_TOPIC = "wrong_topic"  # not a topic that batches go up
    WRONG_GATEWAY = "wrong_gateway"  # the batch names another gateway than its topic
    WRONG_LANE = "wrong_lane"  # the batch names another lane than its topic
    MALFORMED_GAP = "malformed_gap"  # a gap event that does not say what is lost; it is stored, too
    CONFLICT = "conflict"  # another event is stored under the same journal, lane and seq


def digest_of(data: bytes) -> bytes:
    """What tells these bytes from others."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


class Row(msgspec.Struct, frozen=True, gc=False):
    """One event with its place in its lane; `row_of` makes it."""

    seq: int
    event: Event
    cbor: bytes
    digest: bytes
    body: str


def row_of(seq: int, event: Event, cbor: bytes) -> Row:
    """All that is worked out of an event before the transaction that stores it."""
    return Row(seq, event, cbor, digest_of(cbor), body_of(event))


class Delivery(msgspec.Struct, frozen=True):
    """One batch, decoded: rows `first..last` without a hole."""

    topic: str
    gateway: str
    journal: bytes
    lane: Lane
    rows: tuple[Row, ...]

    @property
    def first(self) -> int:
        """Seq of the first row."""
        return self.rows[0].seq

    @property
    def last(self) -> int:
        """Seq of the last row."""
        return self.rows[-1].seq


class Refusal(msgspec.Struct, frozen=True):
    """Bytes that were not stored as events, why, and more exactly why."""

    topic: str
    payload: bytes
    reason: Reason
    detail: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of a delivery."""

    kept: bool  # False: nothing of it was stored, and it must not be acknowledged
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0


def body_of(event: Event) -> str:
    """What an event tells, as JSON: measurements with SenML's labels, labels, detail."""
    records = [_senml(measurement) for measurement in event.measurements]
    return _encode(_Body(records, event.labels, event.detail)).decode()


class _Body(msgspec.Struct, omit_defaults=True, gc=False):
    """What is empty is left out."""

    measurements: list[dict[str, Scalar]] = []
    labels: dict[str, str] = {}
    detail: dict[str, Scalar] = {}


_encode = msgspec.json.Encoder().encode


def _senml(measurement: Measurement) -> dict[str, Scalar]:
    label, unit = _value_label(measurement), measurement.unit
    if unit:
        return {"n": measurement.name, "u": unit, label: measurement.value}
    return {"n": measurement.name, label: measurement.value}


def _value_label(measurement: Measurement) -> str:
    """RFC 8428, table 1: vb, vs and v."""
    if isinstance(measurement.value, bool):
        return "vb"
    return "vs" if isinstance(measurement.value, str) else "v"
