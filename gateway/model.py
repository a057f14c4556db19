"""The nouns of hearth: what happened (Event), what was measured (Measurement), how good its time.

An Event is immutable. A driver makes an Observation; the recorder adds device, labels and time and
makes it an Event; the journal gives it its place (lane, seq). `codec.py` says how all of it looks
in CBOR, `config/event.cddl` says it to machines.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

Scalar = bool | int | float | str


class Lane(IntEnum):
    """The two queues of the journal. A call never waits behind a reading."""

    URGENT = 0
    ROUTINE = 1


class Kind(IntEnum):
    """What an event tells. Numbers are on the wire for ever: add, never renumber."""

    CALL = 1  # a person calls for help
    MEASUREMENT = 2  # a device measured something
    GAP = 3  # events that were accepted and are lost: range, reason
    ANCHOR = 4  # the clock became known: this stamp ties boot time to true time
    DEVICE = 5  # a device came, went, or changed how it is
    FAULT = 6  # something is broken and somebody should look
    GATEWAY = 7  # the gateway itself started, stopped, or is alive
    CALL_STATE = 8  # what became of a call: accepted, closed, not delivered, ...
    ALARM = 9  # a detector raised an alarm, or it is over: smoke, gas, water
    REMINDER = 10  # a reminder rang; what it reminds of was done, or not
    COMMAND = 11  # a command from upstream was carried out, or refused


URGENT_KINDS = frozenset({Kind.CALL, Kind.CALL_STATE, Kind.ALARM})


class CallState(StrEnum):
    """How an open call stands, from least to most; the last three end it."""

    UNDELIVERED = "undelivered"  # nobody could be told in time, whether it is on flash or not
    STORED = "stored"  # on flash
    TEXTED = "texted"  # nobody could be told by network, a text message is on its way
    DELIVERED = "delivered"  # those who should hear it have it
    ESCALATED = "escalated"  # they have it, and nobody took it in time
    ACCEPTED = "accepted"  # a person took it
    CLOSED = "closed"
    CANCELLED = "cancelled"  # by the person who called
    EXPIRED = "expired"  # so long ago that nobody waits for an answer any more


CALL_ENDED = frozenset({CallState.CLOSED, CallState.CANCELLED, CallState.EXPIRED})


def lane_of(kind: Kind) -> Lane:
    """The lane that events of this kind travel in."""
    return Lane.URGENT if kind in URGENT_KINDS else Lane.ROUTINE


class TimeQuality(IntEnum):
    """How far `wall_ms` can be believed."""

    UNKNOWN = 0  # the clock was not set since power came: wall time may be years off
    ANCHORED = 1  # worked out afterwards from an anchor of the same boot
    SYNCHRONISED = 2  # the kernel said the clock was disciplined when it was read


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """When something happened. Order is by seq; this is for people and for statistics."""

    boot: bytes  # 8 B: which boot of the gateway `uptime_ms` counts from
    uptime_ms: int  # ms since that boot, sleep included (CLOCK_BOOTTIME); negative is before it
    wall_ms: int  # ms since 1970-01-01 UTC as the clock believed
    quality: TimeQuality


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """One SenML record (RFC 8428): a name within the device, a value, a SenML unit or none."""

    name: str
    value: Scalar
    unit: str = ""


class Observation(msgspec.Struct, frozen=True):
    """What a driver saw. `uptime_ms` is when, if the driver knows better than "now"."""

    kind: Kind
    measurements: tuple[Measurement, ...] = ()
    detail: dict[str, Scalar] = {}
    uptime_ms: int | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """An observation with its device, labels (room, resident, ...) and time."""

    kind: Kind
    device: str
    stamp: Stamp
    measurements: tuple[Measurement, ...] = ()
    labels: dict[str, str] = {}
    detail: dict[str, Scalar] = {}


class Gap(msgspec.Struct, frozen=True):
    """Seqs `first..last` of a lane were accepted and are lost."""

    lane: Lane
    first: int
    last: int
    reason: str

    @property
    def count(self) -> int:
        """How many events are lost."""
        return self.last - self.first + 1


class Batch(msgspec.Struct, frozen=True):
    """Neighbouring events of one lane on their way up; each still in its CBOR bytes."""

    gateway: str
    journal: bytes  # 16 B: uuid of the journal that gave the seqs
    lane: Lane
    first: int  # seq of events[0]; the others follow without a hole
    events: tuple[bytes, ...]

    @property
    def last(self) -> int:
        """Seq of the last event."""
        return self.first + len(self.events) - 1


SIGNATURE_BYTES = 64  # of Ed25519


class Signed(msgspec.Struct, frozen=True):
    """A body nobody has looked into yet, and who vouches for it; no signature is nobody."""

    body: bytes
    signature: bytes = b""


class Ack(msgspec.Struct, frozen=True):
    """The collector's word: events `first..last` of this lane are committed over there."""

    journal: bytes
    lane: Lane
    first: int
    last: int


# What an Offer can say: that batches may come packed (`codec.encode_batch`).
DEFLATE = "deflate"


class Offer(msgspec.Struct, frozen=True):
    """What a collector understands beyond the least; words that are not known mean nothing."""

    understands: frozenset[str]
