"""Bytes of registers and bits to numbers and back: types, and the orders makers lay bytes out in.

Pure; raises only DecodeError. Orders are written as the field writes them, for a 32-bit value whose
bytes from the highest down are A B C D:

    abcd   as Modbus has it, high word and high byte first
    dcba   all bytes reversed
    cdab   low word first, bytes within a word as Modbus has them
    badc   high word first, bytes within a word swapped
"""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from fractions import Fraction

Type = Literal["bit", "u16", "s16", "u32", "s32", "f32", "u64", "bcd"]
Order = Literal["abcd", "dcba", "cdab", "badc"]

# Registers of each type; bcd has two (eight digits) unless the map says otherwise. A bit that has
# an address of its own counts as one, and is one byte here, 0 or 1.
WIDTHS: dict[Type, int] = {
    "bit": 1,
    "u16": 1,
    "s16": 1,
    "u32": 2,
    "s32": 2,
    "f32": 2,
    "u64": 4,
    "bcd": 2,
}


def decode_value(data: bytes, kind: Type, order: Order = "abcd") -> int | float:
    """The number in these bytes.

    Raises:
        DecodeError: not a number: NaN, infinity, a BCD digit above 9, or too few bytes.
    """
    if kind == "bit":
        return _decode_bit(data)
    if not data or len(data) % 2 or (kind != "bcd" and len(data) != 2 * WIDTHS[kind]):
        raise DecodeError(f"{len(data)} bytes for a value of type {kind}")
    ordered = _reorder(data, order)
    if kind == "f32":
        return _decode_f32(ordered)
    if kind == "bcd":
        return _decode_bcd(ordered)
    return int.from_bytes(ordered, "big", signed=kind.startswith("s"))


def encode_value(value: float, kind: Type, order: Order = "abcd", width: int = 0) -> bytes:
    """The bytes of a number; `width` in registers, for bcd.

    Raises:
        DecodeError: the number does not fit.
    """
    if kind == "bit":
        return _encode_bit(value)
    size = 2 * (width or WIDTHS[kind])
    try:
        if kind == "f32":
            ordered = struct.pack(">f", value)
        elif kind == "bcd":
            ordered = bytes.fromhex(f"{round(value):0{2 * size}d}")
        else:
            ordered = round(value).to_bytes(size, "big", signed=kind.startswith("s"))
    except (OverflowError, ValueError, struct.error) as error:
        raise DecodeError(f"{value!r} is no {kind}") from error
    if len(ordered) != size:
        raise DecodeError(f"{value!r} does not fit {kind}")
    return _reorder(ordered, order)


def raw_value(data: bytes, order: Order = "abcd") -> int:
    """The bytes as one number without a sign, as makers write what means "no reading"."""
    return int.from_bytes(_reorder(data, order), "big")


def scaled(value: float, scale: Fraction) -> float | int:
    """`value * scale`, rounded once: 12345 by 1/1000 is 12.345 and not a neighbour of it."""
    if isinstance(value, int):
        whole, rest = divmod(value * scale.numerator, scale.denominator)
        return value * scale.numerator / scale.denominator if rest else whole
    # The decimal number that the float is written as: 12.34, and not the float nearest to it.
    numerator, denominator = Decimal(repr(value)).as_integer_ratio()
    return numerator * scale.numerator / (denominator * scale.denominator)


def _reorder(data: bytes, order: Order) -> bytes:
    """From the given order to `abcd`, or back: each order is its own inverse."""
    if order == "dcba":
        return data[::-1]
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order == "cdab":
        return b"".join(reversed(words))
    if order == "badc":
        return b"".join(word[::-1] for word in words)
    return data


def _decode_bit(data: bytes) -> int:
    if data not in {b"\x00", b"\x01"}:
        raise DecodeError(f"{data.hex(' ')} is no bit")
    return data[0]


def _encode_bit(value: float) -> bytes:
    if value not in {0, 1}:
        raise DecodeError(f"{value!r} is no bit")
    return bytes((int(value),))


def _decode_f32(data: bytes) -> float:
    (value,) = struct.unpack(">f", data)
    if not math.isfinite(value):
        raise DecodeError(f"{value} is no measurement")
    return _shortest(value, data)


def _shortest(value: float, data: bytes) -> float:
    """The fewest decimal digits that still mean this float32: 12.34, not 12.34000015258789."""
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if struct.pack(">f", short) == data:
            return short
    return float(f"{value:.9g}")  # nine digits always do


def _decode_bcd(data: bytes) -> int:
    digits = data.hex()
    if not digits.isdecimal():
        raise DecodeError(f"{digits} is not BCD")
    return int(digits)
