"""Fitness machines: treadmill 0x2ACD, bike 0x2AD2, cross trainer 0x2ACE (Fitness Machine 1.0, 4.4).

    flags   u16, cross trainer u24; bit 0 is inverted: 0, and the speed is there
    fields  one after the other in the order of their bits, each only if its bit is set

All ones (of a signed field: the largest number) is "not available". A heart rate of 0 is none. A
machine that has more to tell than one notification holds sends several, all but the last with bit
0 set; each is read by itself.

Two fields come in two widths. The service's specification 1.0 has a pace of one byte and a
resistance level of two; the GATT Specification Supplement has two and one. The flags fix the length
of a value in either, so the length tells which it is. Bits that are reserved are in use all the
same (a walking pad counts steps behind bit 13, github.com/hughesjs/FitnessMachine): what follows
the last known field is then not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.reading import Reading
from gateway.errors import DecodeError
from gateway.model import Measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

J_PER_KCAL = 4184


class _Field(NamedTuple):
    bit: int
    size: int  # bytes, by the service's specification
    name: str = ""  # "" is read and not told: it follows from others, or is a setting
    unit: str = ""
    times: float = 1.0
    over: float = 1.0
    signed: bool = False
    later_size: int = 0  # bytes by the GATT Specification Supplement, if they differ

    def bytes_in(self, form: int) -> int:
        """How long it is in the first form or the later one."""
        return (self.later_size or self.size) if form else self.size


def _speeds() -> list[_Field]:
    return [
        _Field(0, 2, "speed", "m/s", over=360),  # 1/100 km/h
        _Field(1, 2, "speed_average", "m/s", over=360),
    ]


def _powers(bit: int) -> list[_Field]:
    return [
        _Field(bit, 2, "resistance", signed=True, later_size=1),
        _Field(bit + 1, 2, "power", "W", signed=True),
        _Field(bit + 2, 2, "power_average", "W", signed=True),
    ]


def _effort(bit: int) -> list[_Field]:
    """What every machine ends with."""
    return [
        _Field(bit, 2, "energy", "J", times=J_PER_KCAL),
        _Field(bit, 2),  # kcal an hour
        _Field(bit, 1),  # kcal a minute
        _Field(bit + 1, 1, "heart_rate", "beat/min"),
        _Field(bit + 2, 1, "metabolic_equivalent", over=10),
        _Field(bit + 3, 2, "elapsed", "s"),
        _Field(bit + 4, 2, "remaining", "s"),
    ]


def _slope(bit: int) -> list[_Field]:
    return [_Field(bit, 2, "incline", "%", over=10, signed=True), _Field(bit, 2, signed=True)]


def _climb(bit: int, over: float) -> list[_Field]:
    return [
        _Field(bit, 2, "elevation_gain", "m", over=over),
        _Field(bit, 2, "elevation_loss", "m", over=over),
    ]


_TREADMILL = [
    *_speeds(),
    _Field(2, 3, "distance", "m"),
    *_slope(3),
    *_climb(4, over=10),
    _Field(5, 1, later_size=2),  # pace: the speed said otherwise
    _Field(6, 1, later_size=2),
    *_effort(7),
    _Field(12, 2, "force", "N", signed=True),
    _Field(12, 2, "power", "W", signed=True),
]
_BIKE = [
    *_speeds(),
    _Field(2, 2, "cadence", "1/min", over=2),
    _Field(3, 2, "cadence_average", "1/min", over=2),
    _Field(4, 3, "distance", "m"),
    *_powers(5),
    *_effort(8),
]
_CROSS_TRAINER = [
    *_speeds(),
    _Field(2, 3, "distance", "m"),
    _Field(3, 2, "cadence", "1/min"),
    _Field(3, 2, "cadence_average", "1/min"),
    _Field(4, 2, "strides", "count", over=10),
    *_climb(5, over=1),
    *_slope(6),
    *_powers(7),
    *_effort(10),
]
_BACKWARD = 1 << 15  # of a cross trainer: a statement, no field


def decode_treadmill(data: bytes) -> Reading:
    """What a treadmill says."""
    return _decode(Fields(data, "treadmill"), 2, _TREADMILL)


def decode_bike(data: bytes) -> Reading:
    """What an indoor bike says."""
    return _decode(Fields(data, "bike"), 2, _BIKE)


def decode_cross_trainer(data: bytes) -> Reading:
    """What a cross trainer says."""
    return _decode(Fields(data, "cross trainer"), 3, _CROSS_TRAINER, statements=_BACKWARD)


def _decode(
    fields: Fields, flag_bytes: int, known: Sequence[_Field], statements: int = 0
) -> Reading:
    flags = fields.unsigned(flag_bytes) ^ 1
    present = [field for field in known if flags >> field.bit & 1]
    reserved = flags & ~statements & ~sum({1 << field.bit for field in known})
    form = _form(fields, present, more=bool(reserved))
    told = [_read(fields, field, form) for field in present]
    return Reading(tuple(measurement for measurement in told if measurement))


def _form(fields: Fields, present: Sequence[_Field], *, more: bool) -> int:
    """Which form has this length: 0 the service's, 1 the supplement's."""
    for form in (0, 1):
        length = sum(field.bytes_in(form) for field in present)
        if length == fields.left or (more and length < fields.left):
            return form
    raise DecodeError(f"{fields.left} bytes of fields do not fit the flags")


def _read(fields: Fields, field: _Field, form: int) -> Measurement | None:
    size = field.bytes_in(form)
    signed = field.signed and size == field.size
    raw = fields.signed(size) if signed else fields.unsigned(size)
    unavailable = (1 << 8 * size - signed) - 1
    if not field.name or raw == unavailable or (field.name == "heart_rate" and raw == 0):
        return None
    value = raw if field.times == field.over else round(raw * field.times / field.over, 4)
    return Measurement(field.name, value, field.unit)
