"""Who a meter is: its secondary address, whole or as a mask. Pure.

    12345678.KAM.01.07      number as printed, maker, version, medium
    12345678                the number; maker, version and medium may be any
    1234567F                a mask: F in place of a digit stands for every digit there

On the wire 8 bytes: the number as BCD, low byte first; the maker, 5 bits a letter, A = 1, low byte
first; version; medium. FFFF and FF in place of the last three stand for every value.
Source: "The M-Bus: A Documentation", chapters 6 (maker) and 7 (wildcards). Makers' letters are
registered with the FLAG association. What is no three letters is written as 4 hexadecimal digits,
and a number with hexadecimal digits, which some meters have, as it is.
"""

from __future__ import annotations

import re

import msgspec

from gateway.errors import DecodeError

BYTES = 8
ANY_DIGIT = "F"
NUMBER_DIGITS = 8
IDENTIFICATION = (
    r"[0-9A-Ea-e]{8}"
    r"(?:\.(?:[A-Z]{3}|(?![Ff]{4})[0-9A-Fa-f]{4})(?:\.(?![Ff]{2})[0-9A-Fa-f]{2}){0,2})?"
)

_ANY_MAKER = 0xFFFF
_ANY_BYTE = 0xFF
_LETTER_BITS = 5
_BEFORE_A = ord("A") - 1


class Identification(msgspec.Struct, frozen=True):
    """A meter, or with F in its number or parts left out every meter that fits."""

    number: str  # 8 hexadecimal digits, high digit first
    maker: str = ""
    version: int | None = None
    medium: int | None = None

    def __str__(self) -> str:
        parts = [self.number, self.maker]
        parts += ["" if it is None else f"{it:02X}" for it in (self.version, self.medium)]
        return ".".join(parts).rstrip(".")

    def means(self, other: Identification) -> bool:
        """Whether this, as a mask, fits a meter; what either leaves out is not compared."""
        digits = zip(self.number, other.number, strict=True)
        mine = (self.maker, self.version, self.medium)
        theirs = (other.maker, other.version, other.medium)
        return all(asked in {ANY_DIGIT, actual} for asked, actual in digits) and all(
            asked == actual
            for asked, actual in zip(mine, theirs, strict=True)
            if asked not in {"", None} and actual not in {"", None}
        )

    @property
    def is_whole(self) -> bool:
        """Whether no other meter can have the same."""
        return bool(self.maker) and None not in {self.version, self.medium}


EVERY_METER = Identification(ANY_DIGIT * NUMBER_DIGITS)


def parse_identification(text: str) -> Identification:
    """`12345678.KAM.01.07`, or the first of its parts; DecodeError if it is none."""
    if not re.fullmatch(IDENTIFICATION, text):
        raise DecodeError(f"{text!r} is no secondary address; write it like 12345678.KAM.01.07")
    number, maker, version, medium = [*text.upper().split("."), "", "", ""][:4]
    return Identification(number, maker, _byte(version), _byte(medium))


def decode_identification(data: bytes) -> Identification:
    """The first 8 bytes as a meter or a mask; DecodeError if there are fewer."""
    if len(data) < BYTES:
        raise DecodeError(f"{len(data)} bytes for an identification of {BYTES}")
    number = data[3::-1].hex().upper()
    version, medium = (None if it == _ANY_BYTE else it for it in data[6:BYTES])
    return Identification(number, _maker(int.from_bytes(data[4:6], "little")), version, medium)


def encode_identification(it: Identification) -> bytes:
    """A meter or a mask as 8 bytes."""
    number = bytes.fromhex(it.number)[::-1]
    maker = _maker_code(it.maker) if it.maker else _ANY_MAKER
    rest = [_ANY_BYTE if part is None else part for part in (it.version, it.medium)]
    return number + maker.to_bytes(2, "little") + bytes(rest)


def narrower(mask: Identification) -> list[Identification]:
    """The masks that divide this one by its last open digit; none if no digit is open.

    The ten digits only: a number with a hexadecimal digit there is not found by mask.
    """
    at = mask.number.rfind(ANY_DIGIT)
    if at < 0:
        return []
    head, tail = mask.number[:at], mask.number[at + 1 :]
    return [msgspec.structs.replace(mask, number=f"{head}{digit}{tail}") for digit in "0123456789"]


def _byte(text: str) -> int | None:
    return int(text, 16) if text else None


def _maker(code: int) -> str:
    if code == _ANY_MAKER:
        return ""
    letters = "".join(chr(_BEFORE_A + (code >> shift & 0x1F)) for shift in (10, 5, 0))
    return letters if code < 1 << 15 and letters.isalpha() else f"{code:04X}"


def _maker_code(maker: str) -> int:
    if len(maker) != 3:
        return int(maker, 16)
    code = 0
    for letter in maker:
        code = code << _LETTER_BITS | ord(letter) - _BEFORE_A
    return code
