"""Data information: what sort of value a record has, and of which counter. Pure.

    DIF     b0-3 code of the data (see `values.py`), b4-5 function, b6 storage b0, b7 a DIFE follows
    DIFE    b0-3 four more bits of storage, b4-5 two of tariff, b6 one of the subunit, b7 another
            follows; up to ten, each above the one before

Storage 0 is the value now, others what was kept on a day the meter tells in a record of the same
storage. Special, with code F, and without DIFE:

    0F      what follows is the maker's
    1F      the same, and there is another telegram
    2F      nothing, a filler
    3F-6F   reserved;  7F  a request for all data, which a meter does not send

Source: "The M-Bus: A Documentation", chapter 6.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from gateway.errors import DecodeError

Function = Literal["now", "max", "min", "error"]
FUNCTIONS: tuple[Function, ...] = get_args(Function)

MAKER, MAKER_AND_MORE, FILLER = 0x0F, 0x1F, 0x2F
MOST_EXTENSIONS = 10

_EXTENDED = 0x80


class Dib(msgspec.Struct, frozen=True):
    """The data information of one record."""

    code: int
    function: Function = "now"
    storage: int = 0
    tariff: int = 0
    subunit: int = 0


def decode_dib(data: bytes, at: int) -> tuple[Dib, int]:
    """The data information that begins here, and where it ends; DecodeError if it does not."""
    dif = data[at]
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    extensions, end = read_chain(data, at)
    for index, extension in enumerate(extensions):
        storage |= (extension & 0xF) << 4 * index + 1
        tariff |= (extension >> 4 & 3) << 2 * index
        subunit |= (extension >> 6 & 1) << index
    return Dib(dif & 0xF, FUNCTIONS[dif >> 4 & 3], storage, tariff, subunit), end


def encode_dib(dib: Dib) -> bytes:
    """Data information as bytes."""
    data = [dib.code | FUNCTIONS.index(dib.function) << 4 | (dib.storage & 1) << 6]
    storage, tariff, subunit = dib.storage >> 1, dib.tariff, dib.subunit
    while storage or tariff or subunit:
        data[-1] |= _EXTENDED
        data.append(storage & 0xF | (tariff & 3) << 4 | (subunit & 1) << 6)
        storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
    return bytes(data)


def read_chain(data: bytes, at: int) -> tuple[bytes, int]:
    """The extensions of the byte that is here, and where they end.

    Raises:
        DecodeError: there are more than ten, or the data ends before they do.
    """
    end = at + 1
    while data[end - 1] & _EXTENDED:
        if end >= len(data):
            raise DecodeError("the data ends within a record's head")
        if end - at > MOST_EXTENSIONS:
            raise DecodeError(f"more than {MOST_EXTENSIONS} extensions in a row")
        end += 1
    return data[at + 1 : end], end
