"""Value information: what a record's value is, with everything that changes its meaning. Pure.

    VIF    b7: a VIFE follows. FB and FD: the first VIFE is looked up in a table of its own
    7C     the unit is a text; its length and characters, the last one first, follow the VIF
    FC     the same, with VIFE before or after the text: makers differ. What is below 20 is the
           length, for as a VIFE it would be an error of the record
    VIFE   01-1F  what is wrong with the record          70-77  times 10^(n - 6)
           3B     counts only what goes forward          7D     times 1000
           3C     counts only what goes backward, as a positive number

Every other VIFE (per hour, limits, dates of a maximum, maker's own) makes another value of it,
which is kept and has no name. So are texts for units, VIF 7F (maker's) and VIF 7E (any).

Source: "The M-Bus: A Documentation", chapters 6 and 8.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import msgspec

from drivers.mbus.wire.dif import read_chain
from drivers.mbus.wire.quantities import FB, FD, PRIMARY, Quantity, quantity_of
from gateway.errors import DecodeError

Direction = Literal["", "forward", "reverse"]

BACKWARD_FLOW = 0x3C

_CODE = 0x7F
_PLAIN_TEXT = 0x7C
_FORWARD_FLOW = 0x3B
_TIMES_1000 = 0x7D
_FIRST_FACTOR, _LAST_FACTOR = 0x70, 0x77
_LAST_ERROR = 0x1F
# As the table of record errors names them; the standard has kept the rest for later use.
_ERRORS = {
    0x01: "too many DIFE",
    0x02: "storage number not implemented",
    0x03: "unit number not implemented",
    0x04: "tariff number not implemented",
    0x05: "function not implemented",
    0x06: "data class not implemented",
    0x07: "data size not implemented",
    0x0B: "too many VIFE",
    0x0C: "illegal VIF group",
    0x0D: "illegal VIF exponent",
    0x0E: "VIF and DIF do not fit",
    0x0F: "unimplemented action",
    0x15: "no data available",
    0x16: "data overflow",
    0x17: "data underflow",
    0x18: "data error",
    0x1C: "premature end of record",
}


class Vib(msgspec.Struct, frozen=True):
    """The value information of one record: the VIF, its extensions, the name of its unit."""

    vif: int
    extensions: bytes = b""
    text: str = ""


class Meaning(msgspec.Struct, frozen=True):
    """What a value is; `quantity` is None where that is not known."""

    quantity: Quantity | None
    direction: Direction = ""
    fault: str = ""  # what the meter says is wrong with the record


def decode_vib(data: bytes, at: int) -> tuple[Vib, int]:
    """The value information that begins here, and where it ends; DecodeError if it does not."""
    if at >= len(data):
        raise DecodeError("the data ends within a record's head")
    vif = data[at]
    if vif & _CODE != _PLAIN_TEXT:
        extensions, end = read_chain(data, at)
        return Vib(vif, extensions), end
    if vif == _PLAIN_TEXT:
        text, end = _read_text(data, at + 1)
        return Vib(vif, b"", text), end
    if data[at + 1 : at + 2] and data[at + 1] <= _LAST_ERROR:
        text, end = _read_text(data, at + 1)
        extensions, _ = read_chain(bytes([vif]) + data[end:], 0)  # as if the text were not between
        return Vib(vif, extensions, text), end + len(extensions)
    extensions, end = read_chain(data, at)
    text, end = _read_text(data, end)
    return Vib(vif, extensions, text), end


def meaning_of(vib: Vib) -> Meaning:
    """What a value with this value information is."""
    table, code, rest = PRIMARY, vib.vif & _CODE, vib.extensions
    if vib.vif in {FB, FD}:
        table, code, rest = vib.vif, rest[0] & _CODE, rest[1:]
    quantity = quantity_of(table, code)
    direction: Direction = ""
    scale = Fraction(1)
    for vife in (extension & _CODE for extension in rest):
        if vife <= _LAST_ERROR:
            if vife:
                fault = _ERRORS.get(vife, f"VIFE {vife:02x}")
                return Meaning(quantity, direction, f"the meter says: {fault}")
        elif vife in {_FORWARD_FLOW, BACKWARD_FLOW} and not direction:
            direction = "forward" if vife == _FORWARD_FLOW else "reverse"
        elif _FIRST_FACTOR <= vife <= _LAST_FACTOR:
            scale *= Fraction(10) ** (vife - _FIRST_FACTOR - 6)
        elif vife == _TIMES_1000:
            scale *= 1000
        else:
            return Meaning(None)
    if quantity is None or (quantity.kind != "number" and (direction or scale != 1)):
        return Meaning(None)
    return Meaning(msgspec.structs.replace(quantity, scale=quantity.scale * scale), direction)


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    if at >= len(data) or at + 1 + data[at] > len(data):
        raise DecodeError("the data ends within the text of a unit")
    end = at + 1 + data[at]
    return data[at + 1 : end][::-1].decode("latin-1"), end
