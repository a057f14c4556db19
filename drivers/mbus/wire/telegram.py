"""A telegram of data, whole: who it is from, its records, whether another follows. Pure.

    CI 72   variable structure       CI 73   fixed structure       CI 70   an error instead of data

Refused by name: 76 and 77, the same with the high byte first, of which no exchange is published and
which the standard advises against; 7A, 78 and the others, which do not say which meter they are
from, so that nobody could tell a changed meter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from drivers.mbus.wire.answer import (
    CI_FIXED,
    CI_FIXED_MODE_2,
    CI_VARIABLE,
    CI_VARIABLE_MODE_2,
)
from drivers.mbus.wire.fixed import decode_fixed
from drivers.mbus.wire.frame import Frame
from drivers.mbus.wire.header import HEADER_BYTES, Header, decode_header, encode_header
from drivers.mbus.wire.record import Record, decode_records
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

CI_ERROR = 0x70

_RSP_UD = 0x08
# "The M-Bus: A Documentation", chapter 6: general application errors.
_ERRORS = {
    0: "an error it does not name",
    1: "it does not know this CI",
    2: "the request was too long",
    3: "the request had too many records",
    4: "the request ended within a record",
    5: "more than 10 DIFE",
    6: "more than 10 VIFE",
    8: "it is too busy to be read",
    9: "it was read too often",
}


class Telegram(msgspec.Struct, frozen=True):
    """What a meter said."""

    header: Header
    records: tuple[Record, ...]
    has_more: bool = False
    maker_data: bytes = b""
    body: bytes = b""  # the records as they came, by which a telegram told twice is known


class Refusal(msgspec.Struct, frozen=True):
    """The meter answered, and its answer was no."""

    reason: str


def decode_telegram(frame: Frame) -> Telegram | Refusal:
    """What is in a telegram of data; DecodeError if it cannot be read, with the reason."""
    if frame.ci == CI_VARIABLE:
        header = decode_header(frame.data)
        body = frame.data[HEADER_BYTES:]
        found = decode_records(body)
        return Telegram(header, found.records, found.has_more, found.maker_data, body)
    if frame.ci == CI_FIXED:
        header, records = decode_fixed(frame.data)
        return Telegram(header, records, body=frame.data[6:])
    if frame.ci == CI_ERROR:
        code = frame.data[0] if frame.data else 0
        return Refusal(_ERRORS.get(code, f"application error {code}"))
    if frame.ci in {CI_VARIABLE_MODE_2, CI_FIXED_MODE_2}:
        raise DecodeError("a telegram in mode 2, high byte first, is not read")
    raise DecodeError(f"a telegram with CI {frame.ci or 0:02x} does not say who it is from")


def encode_telegram(
    address: int, header: Header, records: Iterable[bytes], *, tail: bytes = b"", signature: int = 0
) -> Frame:
    """A telegram of the variable structure.

    Args:
        address: the meter's own.
        header: who it is, and how.
        records: from `encode_record`.
        tail: 0F or 1F and what follows, or nothing.
        signature: other than 0 if the records are encrypted.
    """
    data = encode_header(header, signature) + b"".join(records) + tail
    return Frame(_RSP_UD, address, CI_VARIABLE, data)


def encode_application_error(address: int, code: int) -> Frame:
    """What a meter answers instead of data."""
    return Frame(_RSP_UD, address, CI_ERROR, bytes([code]))
