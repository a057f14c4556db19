"""Records: data information, value information, data. Pure; raises only DecodeError.

Where a record ends is known only from its head, so a head that cannot be followed makes all that
comes after it worthless; then nothing of the telegram is used. A value that is none, in a record
whose end is known, is withheld alone, and says why.
"""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction

import msgspec

from drivers.mbus.wire import values
from drivers.mbus.wire.dif import (
    FILLER,
    MAKER,
    MAKER_AND_MORE,
    Dib,
    Function,
    decode_dib,
    encode_dib,
)
from drivers.mbus.wire.quantities import Quantity
from drivers.mbus.wire.times import (
    DATE_BYTES,
    TIME_BYTES,
    TIME_WITH_SECONDS_BYTES,
    decode_date,
    decode_time,
)
from drivers.mbus.wire.vif import Direction, Meaning, Vib, decode_vib, meaning_of
from gateway.errors import DecodeError

Value = float | int | str | date | datetime

_MOST_EXACT = 1 << 53  # above it a float is not every integer, and CBOR and databases part ways


class Record(msgspec.Struct, frozen=True):
    """One value, and what it is a value of."""

    name: str  # of the quantity; "" where it is not known
    unit: str = ""
    value: Value | None = None  # None: not known, none, or withheld
    function: Function = "now"
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    direction: Direction = ""
    is_identity: bool = False  # tells who the meter is, and is no measurement
    fault: str = ""  # why the value is withheld


class Records(msgspec.Struct, frozen=True):
    """The records of one telegram."""

    records: tuple[Record, ...]
    has_more: bool = False  # another telegram follows
    maker_data: bytes = b""  # in the maker's own format


def decode_records(data: bytes) -> Records:
    """The records in the data after a telegram's head; DecodeError if it cannot be followed."""
    records: list[Record] = []
    at = 0
    while at < len(data):
        if data[at] in {MAKER, MAKER_AND_MORE}:
            return Records(tuple(records), data[at] == MAKER_AND_MORE, data[at + 1 :])
        if data[at] == FILLER:
            at += 1
            continue
        record, at = _decode_record(data, at)
        records.append(record)
    return Records(tuple(records))


def encode_record(dib: Dib, vib: bytes, data: bytes) -> bytes:
    """One record; `vib` and `data` as they are on the wire."""
    return encode_dib(dib) + vib + data


def _decode_record(data: bytes, at: int) -> tuple[Record, int]:
    dib, at = decode_dib(data, at)
    if dib.code == values.SPECIAL:
        raise DecodeError(f"a record of special function {data[at - 1]:02x}, which is reserved")
    vib, at = decode_vib(data, at)
    lvar = 0
    if dib.code == values.VARIABLE:
        if at >= len(data):
            raise DecodeError("the data ends before the length of a value")
        lvar, at = data[at], at + 1
        length = values.length_of(lvar)
    else:
        length = values.LENGTHS[dib.code]
    if at + length > len(data):
        raise DecodeError(f"a value of {length} bytes, and {len(data) - at} are there")
    return _record(dib, vib, lvar, data[at : at + length]), at + length


def _record(dib: Dib, vib: Vib, lvar: int, data: bytes) -> Record:
    meaning = meaning_of(vib)
    value: Value | None = None
    fault = meaning.fault
    if meaning.quantity and not fault and dib.code not in {values.NO_DATA, values.SELECTION}:
        try:
            value = _value(meaning.quantity, dib.code, lvar, data)
        except DecodeError as error:
            fault = error.what
    return _named(dib, meaning, value, fault)


def _named(dib: Dib, meaning: Meaning, value: Value | None, fault: str) -> Record:
    quantity = meaning.quantity or Quantity("")
    return Record(
        quantity.name,
        quantity.unit,
        value,
        dib.function,
        dib.storage,
        dib.tariff,
        dib.subunit,
        meaning.direction,
        quantity.kind == "identity",
        fault if quantity.name else "",
    )


def _value(quantity: Quantity, code: int, lvar: int, data: bytes) -> Value:
    """The value in a record's data; DecodeError if it is none."""
    if quantity.kind == "date":
        return decode_date(_of_length(data, code, DATE_BYTES))
    if quantity.kind == "time":
        return decode_time(_of_length(data, code, TIME_BYTES, TIME_WITH_SECONDS_BYTES))
    if quantity.kind == "identity" and code in values.BCD_CODES:
        return data[::-1].hex().upper()  # leading zeros count, and some have letters
    if code == values.VARIABLE:
        number = values.decode_variable(lvar, data)
    else:
        number = values.decode_number(code, data)
    if quantity.kind == "identity":
        return str(number)
    if isinstance(number, str):
        raise DecodeError(f"the text {number!r} instead of a number")
    if quantity.kind == "count" and isinstance(number, int) and abs(number) < _MOST_EXACT:
        return number
    return _float(Fraction(number) * quantity.scale)


def _of_length(data: bytes, code: int, *lengths: int) -> bytes:
    if len(data) not in lengths or code in {values.VARIABLE, values.REAL, *values.BCD_CODES}:
        raise DecodeError(f"a time of code {code:x}")
    return data


def _float(exact: Fraction) -> float:
    """Rounded once: 12345 steps of 1/1000 are 12.345 and not a neighbour of it."""
    try:
        return float(exact)
    except OverflowError as error:
        raise DecodeError("a number beyond all measure") from error
