"""One value of a register map: where it is, and what its bits and bytes mean, both ways."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Annotated, Literal

import msgspec

from drivers.modbus import wire
from drivers.modbus.values import (
    WIDTHS,
    Order,
    Type,
    decode_value,
    encode_value,
    raw_value,
    scaled,
)
from gateway.errors import DecodeError
from gateway.model import Scalar  # noqa: TC001 - msgspec reads the annotations

SenmlName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9:./_-]{0,63}\Z")]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Danger = Literal["smoke", "heat", "gas", "water", "detector"]
Raw = Annotated[int, msgspec.Meta(ge=0)]

_LARGEST_INTEGER = 2**63 - 1  # of an event's values


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[register]]`: one value, in one bit or in one or several neighbouring registers."""

    name: SenmlName
    address: Annotated[int, msgspec.Meta(ge=0, le=wire.LARGEST_ADDRESS)]
    type: Type
    function: wire.ReadFunction | None = None  # the profile's, unless it has one of its own
    order: Order = "abcd"
    scale: int | float | str = 1
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""
    min: float | None = None
    max: float | None = None
    bit: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None
    mask: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF)] = 0xFFFF
    states: dict[str, Word] = {}
    digits: Annotated[int, msgspec.Meta(ge=1, le=16)] | None = None
    invalid: tuple[Raw, ...] = ()
    invert: bool = False
    alarm: bool = False  # a fault of its name while it is true
    detects: Danger | None = None  # an alarm to people while it is true
    writable: bool = False

    @property
    def width(self) -> int:
        """How many registers the value takes; 1 for a bit that has an address of its own."""
        return -(-self.digits // 4) if self.digits else WIDTHS[self.type]

    @property
    def end(self) -> int:
        """The address after the last register."""
        return self.address + self.width

    @property
    def area(self) -> wire.ReadFunction:
        """The function that reads it; a profile has filled in its own where there was none."""
        return self.function or wire.READ_HOLDING

    @property
    def is_bit(self) -> bool:
        """Whether it is a truth value, of whatever register."""
        return self.type == "bit" or self.bit is not None

    @property
    def factor(self) -> Fraction:
        """The scale; ValueError or ZeroDivisionError if it is no number."""
        return _fraction(self.scale)

    @property
    def words(self) -> dict[int, str]:
        """What the states mean; ValueError if a key is no integer."""
        return {int(key, 0): word for key, word in self.states.items()}

    def read(self, data: bytes) -> Scalar:
        """The value in these bytes.

        Args:
            data: two bytes a register, or one that is 0 or 1 for a bit of its own address.

        Raises:
            DecodeError: the device means "no reading" by it, or it is absurd.
        """
        if self.invalid and (raw := raw_value(data, self.order)) in self.invalid:
            raise DecodeError(f"{raw:#x} means no reading")
        number = decode_value(data, self.type, self.order)
        if self.is_bit:
            return bool(int(number) >> (self.bit or 0) & 1) != self.invert
        if self.states:
            return self._word(int(number) & self.mask)
        if self.digits:
            return f"{number:0{self.digits}d}"
        return self._checked(scaled(number, self.factor))

    def encode(self, value: Scalar) -> bytes:
        """The bytes that `read` makes this value of.

        A float register keeps as much of a number as it can; everything else is exact or refused.

        Raises:
            DecodeError: no bytes mean this value, or it is beyond min and max.
        """
        data = encode_value(self._number(value), self.type, self.order, self.width)
        if self.invalid and (raw := raw_value(data, self.order)) in self.invalid:
            raise DecodeError(f"{raw:#x} would mean no reading")
        return data

    def _number(self, value: Scalar) -> int | float:
        if self.is_bit:
            if not isinstance(value, bool):
                raise DecodeError(f"{value!r} is neither true nor false")
            return int(value != self.invert)
        if self.states:
            return self._state(value)
        if self.digits:
            return self._digits(value)
        return self._unscaled(value)

    def _state(self, value: Scalar) -> int:
        for number, word in self.words.items():
            if word == value:
                return number
        raise DecodeError(f"{value!r} is none of {', '.join(self.states.values())}")

    def _digits(self, value: Scalar) -> int:
        text = value if isinstance(value, str) else ""
        if len(text) != self.digits or not (text.isascii() and text.isdecimal()):
            raise DecodeError(f"{value!r} is no text of {self.digits} digits")
        return int(text)

    def _unscaled(self, value: Scalar) -> int | float:
        if isinstance(value, bool | str) or not math.isfinite(value):
            raise DecodeError(f"{value!r} is no number")
        raw = Fraction(repr(self._checked(value))) / self.factor
        if self.type == "f32":
            return float(raw)
        if raw.denominator != 1:
            raise DecodeError(f"{value} is no multiple of {self.scale}")
        return int(raw)

    def _word(self, number: int) -> str:
        word = self.words.get(number)
        if word is None:
            raise DecodeError(f"{number:#06x} is no state the map knows")
        return word

    def _checked(self, number: float) -> float | int:
        low = -_LARGEST_INTEGER if self.min is None else self.min
        high = _LARGEST_INTEGER if self.max is None else self.max
        if not low <= number <= high:
            raise DecodeError(f"{number:g} {self.unit} is not within {low:g} and {high:g}")
        return number


@cache
def _fraction(scale: float | str) -> Fraction:
    return Fraction(str(scale))
