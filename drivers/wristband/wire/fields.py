"""The fields of a characteristic value, read one after the other, and the checks they share.

All fields are little-endian. SFLOAT and FLOAT are the IEEE 11073-20601 numbers (a signed decimal
exponent above a signed mantissa: 4 + 12 and 8 + 24 bits). Five mantissas with exponent 0 are no
numbers: NaN, "not at this resolution", both infinities and one reserved; they read as None.
"""

from __future__ import annotations

from gateway.errors import DecodeError

_SFLOAT_SPECIAL = frozenset({0x7FF, 0x800, 0x7FE, 0x802, 0x801})
_FLOAT_SPECIAL = frozenset({0x7FFFFF, 0x800000, 0x7FFFFE, 0x800002, 0x800001})


class Fields:
    """A value being read from its front. Every way it can end too early is a DecodeError."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def unsigned(self, size: int) -> int:
        """The next `size` bytes as an unsigned number."""
        if self.left < size:
            raise DecodeError(f"{self._what} of {len(self._data)} bytes ends within a field")
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "little")

    def signed(self, size: int) -> int:
        """The next `size` bytes as a number in two's complement."""
        return _signed(self.unsigned(size), 8 * size)

    def sfloat(self) -> float | None:
        """The next SFLOAT; None if it is no number."""
        return decimal(self.unsigned(2), mantissa_bits=12, special=_SFLOAT_SPECIAL)

    def float32(self) -> float | None:
        """The next FLOAT; None if it is no number."""
        return decimal(self.unsigned(4), mantissa_bits=24, special=_FLOAT_SPECIAL)

    def end(self) -> None:
        """The value must be over; DecodeError if it is not."""
        if self.left:
            raise DecodeError(f"{self._what} has {self.left} bytes too many")

    def check(self, value: float | None, low: float, high: float, name: str) -> float | None:
        """The value, if it is possible at all; DecodeError otherwise."""
        if value is not None and not low <= value <= high:
            raise DecodeError(f"{self._what}: {name} of {value:g} is outside {low:g}..{high:g}")
        return value


def decimal(raw: int, *, mantissa_bits: int, special: frozenset[int]) -> float | None:
    """An IEEE 11073 number; division keeps 366e-1 at 36.6 where multiplication would not."""
    mantissa = raw & ((1 << mantissa_bits) - 1)
    exponent = raw >> mantissa_bits
    if exponent == 0 and mantissa in special:
        return None
    mantissa = _signed(mantissa, mantissa_bits)
    exponent = _signed(exponent, 4 if mantissa_bits == 12 else 8)
    if exponent < 0:
        return mantissa / float(10**-exponent)
    return mantissa * float(10**exponent)


def _signed(raw: int, bits: int) -> int:
    return raw - (1 << bits) if raw >> (bits - 1) else raw
