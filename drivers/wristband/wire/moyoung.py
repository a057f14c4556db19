"""Moyoung bands (the app Da Fit): packets in fragments on FEE2 and FEE3, the day's steps on FEE1.

    packet   FE EA, length u16 big-endian with a mark in its first byte (10, or 20 + high bits:
             "V2"), type u8, payload. The length is that of the whole packet
    31  (49) set time: u32 big-endian, local time counted as if it were GMT+8; then 08
    61  (97) find the band: it vibrates
    6B (107) SpO2: 00 start; answered with the value, %
    6D (109) heart rate: 00 start; answered with the value
    FEE1     steps u24, metres u24, kcal u24, little-endian, of today

A value of 0 or FF is none. The exposed heart rate service (180D) says nothing; the battery service
works. Packet types are in hexadecimal, and in decimal as the source has them.

Source: Gadgetbridge's MoyoungConstants, MoyoungPacketIn and MoyoungDeviceSupport (krzys_h). A
comment in the first has distance before steps; the code that is in use (handleStepsHistory) reads
steps first, and so does this.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.fitness import J_PER_KCAL
from drivers.wristband.wire.reading import Reading
from drivers.wristband.wire.uuids import uuid_of
from gateway.errors import DecodeError
from gateway.model import Measurement

SERVICE = uuid_of(0xFEEA)
STEPS, WRITE, NOTIFY = uuid_of(0xFEE1), uuid_of(0xFEE2), uuid_of(0xFEE3)

SET_TIME, FIND, SPO2, HEART_RATE = 49, 97, 107, 109

_MAGIC = b"\xfe\xea"
_HEADER = 5
_V1, _V2 = 0x10, 0x20
# Bytes; no packet that is asked for has more than 256, so a longer one is a broken length.
_LONGEST = 1024
_BEIJING = timezone(timedelta(hours=8))
_NONE = frozenset({0, 0xFF})


def encode_packet(kind: int, payload: bytes = b"", *, v2: bool = False) -> bytes:
    """A whole packet; with a payload of at most 15 bytes it fits one write of any band."""
    length = _HEADER + len(payload)
    mark = _V2 + (length >> 8) if v2 else _V1
    return _MAGIC + bytes([mark, length & 0xFF, kind]) + payload


def encode_time(now: datetime, *, v2: bool = False) -> bytes:
    """Set the clock to a local time."""
    seconds = int(now.replace(tzinfo=_BEIJING).timestamp())
    return encode_packet(SET_TIME, seconds.to_bytes(4, "big") + b"\x08", v2=v2)


class MoyoungDecoder:
    """Fragments to packets to readings."""

    def __init__(self) -> None:
        self.v2 = False  # whether the last packet was of the second version
        self._pending = b""

    def decode(self, fragment: bytes) -> Reading:
        """One fragment; what a packet tells comes with its last."""
        pending = self._pending + fragment
        self._pending = b""
        length = self._length(pending)
        if len(pending) < length:
            self._pending = pending
            return Reading()
        if len(pending) > length:
            if len(pending) > len(fragment) and fragment.startswith(_MAGIC):
                return self.decode(fragment)  # the rest of the one before never came
            raise DecodeError(f"a packet of {length} bytes has {len(pending) - length} too many")
        return _read(pending[4], pending[_HEADER:])

    def _length(self, packet: bytes) -> int:
        if not packet.startswith(_MAGIC) or len(packet) < 4:
            raise DecodeError("no packet begins like this")
        mark, low = packet[2:4]
        if mark != _V1 and mark < _V2:
            raise DecodeError(f"a packet marked {mark:#04x}")
        self.v2 = mark != _V1
        length = (mark - _V2 << 8 | low) if self.v2 else low
        if not _HEADER <= length <= _LONGEST:
            raise DecodeError(f"a packet of {length} bytes")
        return length


def decode_steps(data: bytes) -> Reading:
    """What FEE1 says of today so far."""
    fields = Fields(data, "steps")
    steps, metres, energy = (fields.unsigned(3) for _ in range(3))
    fields.end()
    return Reading(
        (
            Measurement("steps", steps, "count"),
            Measurement("distance", metres, "m"),
            Measurement("energy", energy * J_PER_KCAL, "J"),
        )
    )


def _read(kind: int, payload: bytes) -> Reading:
    if kind not in {HEART_RATE, SPO2}:
        return Reading()  # it did as told, or tells of its buttons and screens
    if len(payload) != 1:
        raise DecodeError(f"a measured value of {len(payload)} bytes")
    value = payload[0]
    if value in _NONE:
        return Reading()
    if kind == HEART_RATE:
        return Reading((Measurement("heart_rate", value, "beat/min"),))
    if value > 100:
        raise DecodeError(f"SpO2 of {value} is outside 0..100")
    return Reading((Measurement("spo2", value, "%"),))
