"""The fixed structure, CI 73: two counters, of older and simpler meters. Pure.

    number        4 bytes BCD, low byte first
    access        1
    status        1: b2-4 as in the variable structure
    units         2: the low 6 bits of each say what a counter counts; the high ones are the medium
    counters      2 of 4 bytes BCD, low byte first

    unit    02-0A Wh * 10^n      14-1C W * 10^n        26-2E mL * 10^n
            0B-13 kJ * 10^n      1D-25 kJ/h * 10^n     2F-37 mL/h * 10^n     38 0.001 Cel
            3E    as the other counter, but kept on a set day

Two bits of the status say that the counters are binary, or were kept on a set day; "The M-Bus: A
Documentation" has them as b0 and b1, libmbus as b7 and b6. Where one of the four is set, the
counters are withheld rather than misread. Units without a number of their own (times as digits,
shares of heat) are not read. The medium is not either: without maker and version beside it, it
makes no identification.

Source: "The M-Bus: A Documentation", chapter 6, with a worked example, and the table of units in
libmbus (`mbus-protocol.c`), whose code exchanges 0D and 0E of its own table.
"""

from __future__ import annotations

from fractions import Fraction

from drivers.mbus.wire.header import Header, Status
from drivers.mbus.wire.identification import Identification, decode_identification
from drivers.mbus.wire.quantities import Quantity
from drivers.mbus.wire.record import Record
from drivers.mbus.wire.values import decode_bcd
from gateway.errors import DecodeError

FIXED_BYTES = 16

_UNIT = 0x3F
_SAME_BUT_KEPT = 0x3E
_STATUS_BITS, _DISPUTED_BITS = 0x1C, 0xC3
_RUN = 9
_RUNS = (
    (0x02, Quantity("energy", "number", "J", Fraction(3600))),
    (0x0B, Quantity("energy", "number", "J", Fraction(1000))),
    (0x14, Quantity("power", "number", "W")),
    (0x1D, Quantity("power", "number", "W", Fraction(1000, 3600))),
    (0x26, Quantity("volume", "number", "m3", Fraction(1, 10**6))),
    (0x2F, Quantity("flow", "number", "m3/s", Fraction(1, 3600 * 10**6))),
)
_MILLIKELVIN = 0x38


def decode_fixed(data: bytes) -> tuple[Header, tuple[Record, ...]]:
    """Who the meter is, and its counters; DecodeError if they are not there."""
    if len(data) < FIXED_BYTES:
        raise DecodeError(f"a fixed structure of {len(data)} bytes; {FIXED_BYTES} are needed")
    meter, status = Identification(decode_identification(data).number), data[5]
    units = [data[6] & _UNIT, data[7] & _UNIT]
    kept = [False, False]
    for index, other in ((0, 1), (1, 0)):
        if units[index] == _SAME_BUT_KEPT:
            units[index], kept[index] = units[other], True
    disputed = f"status {status:02x}" if status & _DISPUTED_BITS else ""
    records = tuple(
        _record(unit, counter, int(was_kept), disputed)
        for unit, counter, was_kept in zip(units, (data[8:12], data[12:16]), kept, strict=True)
    )
    return Header(meter, data[4], Status(status & _STATUS_BITS)), records


def _record(unit: int, counter: bytes, storage: int, fault: str) -> Record:
    quantity = _quantity(unit)
    if quantity is None:
        return Record("")
    value = None
    if not fault:
        try:
            value = float(decode_bcd(counter) * quantity.scale)
        except DecodeError as error:
            fault = error.what
    return Record(quantity.name, quantity.unit, value, storage=storage, fault=fault)


def _quantity(unit: int) -> Quantity | None:
    for first, base in _RUNS:
        if first <= unit < first + _RUN:
            scale = base.scale * 10 ** (unit - first)
            return Quantity(base.name, base.kind, base.unit, scale)
    if unit == _MILLIKELVIN:
        return Quantity("temperature", "number", "Cel", Fraction(1, 1000))
    return None
