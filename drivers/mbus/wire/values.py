"""Numbers and texts as the meter writes them, low byte first. Pure; raises only DecodeError.

    code  bytes
    0     0      no data
    1-4   1-4    integer, two's complement
    6     6      integer
    7     8      integer
    5     4      real, IEEE 754
    9-C   1-4    BCD of 2, 4, 6, 8 digits
    E     6      BCD of 12 digits
    8     0      selection for readout; carries no data
    D     LVAR   its first byte says how many follow, and what they are:
                 00-BF  as many characters of ISO 8859-1, the last one first
                 C0-CF  BCD, 2 digits for each of the low 4 bits; D0-DF the same, negative
                 E0-EF  an integer of as many bytes as the low 4 bits say
                 F0-F6  an integer of 16, 20, 24, 28, 32, 48 or 64 bytes

F as the highest digit of BCD is a minus. Any other digit above 9 is what a display shows where
there is no number, and is none. The least integer, 80 00 .., is taken for "no value": no counter
gets there.

Source: "The M-Bus: A Documentation", chapters 6 and 8. For F0 and above its table says reals of up
to 10 bytes; a published telegram has F0 with 16, as later editions of EN 13757-3 have it.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction

from gateway.errors import DecodeError

Number = int | Fraction

NO_DATA, REAL, SELECTION, VARIABLE, SPECIAL = 0x0, 0x5, 0x8, 0xD, 0xF
LENGTHS = {
    0x0: 0, 0x1: 1, 0x2: 2, 0x3: 3, 0x4: 4, 0x5: 4, 0x6: 6, 0x7: 8, 0x8: 0, 0x9: 1, 0xA: 2, 0xB: 3,
    0xC: 4, 0xE: 6,
}  # fmt: skip
BCD_CODES = frozenset({0x9, 0xA, 0xB, 0xC, 0xE})
_LONG_INTEGERS = {0xF0: 16, 0xF1: 20, 0xF2: 24, 0xF3: 28, 0xF4: 32, 0xF5: 48, 0xF6: 64}
_TEXT_BELOW, _BCD, _NEGATIVE_BCD, _INTEGER = 0xC0, 0xC, 0xD, 0xE
_MINUS = "f"


def length_of(lvar: int) -> int:
    """How many bytes follow an LVAR; DecodeError if the standard does not say."""
    if lvar < _TEXT_BELOW:
        return lvar
    if lvar >> 4 == _INTEGER + 1:
        if lvar not in _LONG_INTEGERS:
            raise DecodeError(f"data of variable length {lvar:02x}, which is reserved")
        return _LONG_INTEGERS[lvar]
    return lvar & 0xF


def decode_number(code: int, data: bytes) -> Number:
    """The number in data of a code that has a fixed length; DecodeError if it is none."""
    if code in BCD_CODES:
        return decode_bcd(data)
    if code == REAL:
        return _decode_real(data)
    return _decode_integer(data)


def decode_variable(lvar: int, data: bytes) -> Number | str:
    """The number or text in data of variable length; DecodeError if it is none."""
    if lvar < _TEXT_BELOW:
        return _decode_text(data)
    if lvar >> 4 == _BCD:
        return _decode_digits(data)
    if lvar >> 4 == _NEGATIVE_BCD:
        return -_decode_digits(data)
    return _decode_integer(data)


def decode_bcd(data: bytes) -> int:
    """BCD, negative if its highest digit is F; DecodeError if another digit is above 9."""
    digits = data[::-1].hex()
    if digits[:1] == _MINUS:
        return -_decode_digits(data[:-1] + bytes([data[-1] & 0xF]))
    return _decode_digits(data)


def encode_number(code: int, value: float) -> bytes:
    """A number as data of a code that has a fixed length; DecodeError if it does not fit."""
    size = LENGTHS[code]
    try:
        if code == REAL:
            return struct.pack("<f", value)
        if code not in BCD_CODES:
            return int(value).to_bytes(size, "little", signed=True)
        digits = f"{int(value):0{2 * size}d}".replace("-", _MINUS)
        return bytes.fromhex(digits)[::-1]
    except (OverflowError, ValueError, struct.error) as error:
        raise DecodeError(f"{value!r} does not fit {size} bytes of code {code:x}") from error


def encode_text(text: str) -> bytes:
    """A text as data of variable length, with its LVAR."""
    return bytes([len(text)]) + text.encode("latin-1")[::-1]


def _decode_digits(data: bytes) -> int:
    digits = data[::-1].hex()
    if not digits.isdecimal():
        raise DecodeError(f"{digits or 'nothing'} is no BCD")
    return int(digits)


def _decode_integer(data: bytes) -> int:
    if not data:
        raise DecodeError("a number of no bytes")
    value = int.from_bytes(data, "little", signed=True)
    if value == -(1 << 8 * len(data) - 1):
        raise DecodeError(f"{data[::-1].hex()} means that there is no value")
    return value


def _decode_real(data: bytes) -> Fraction:
    (value,) = struct.unpack("<f", data)
    if not math.isfinite(value):
        raise DecodeError(f"{value} is no measurement")
    for digits in range(6, 9):  # the fewest that still mean this real: 12.34, not 12.3400001
        short = f"{value:.{digits}g}"
        if struct.pack("<f", float(short)) == data:
            return Fraction(short)
    return Fraction(f"{value:.9g}")  # nine digits always do


def _decode_text(data: bytes) -> str:
    text = data[::-1].decode("latin-1").strip("\0 ")
    if not text.isprintable():
        raise DecodeError(f"{data.hex()} is no text")
    return text
