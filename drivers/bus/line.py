"""How a serial line is run, and how long characters and silences are on it.

`2400 8E1`, as the field writes it: baud rate, 8 data bits, parity (N, E, O), stop bits (1, 2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from gateway.settings import BusSettings

GAP_CHARACTERS = 3.5  # Modbus over serial line V1.02, 2.5.1.1; CJ/T 188 and M-Bus ask for no more
FIXED_GAP_ABOVE_BAUD = 19_200  # the same: above this rate the gap no longer shrinks ...
FIXED_GAP_S = 0.001_75  # ... below this, or interrupts could not keep up

_LINE = r"(300|600|1200|2400|4800|9600|14400|19200|28800|38400|57600|115200) 8([NEO])([12])"

# Of a `[[device]]` that does not speak as its bus does; nothing if it does.
LineText = Annotated[str, msgspec.Meta(pattern=rf"^(?:{_LINE})?\Z")]


class Line(msgspec.Struct, frozen=True):
    """One way to run a line."""

    baudrate: int
    parity: Literal["N", "E", "O"]
    stopbits: Literal[1, 2]

    @property
    def character_s(self) -> float:
        """How long one character is on the wire: start, 8 data, parity and stop bits."""
        return (1 + 8 + (self.parity != "N") + self.stopbits) / self.baudrate

    @property
    def gap_s(self) -> float:
        """How long the line must be silent between two frames."""
        if self.baudrate > FIXED_GAP_ABOVE_BAUD:
            return FIXED_GAP_S
        return GAP_CHARACTERS * self.character_s

    def __str__(self) -> str:
        return f"{self.baudrate} 8{self.parity}{self.stopbits}"


def line_of(settings: BusSettings) -> Line:
    """How a bus is run."""
    return Line(settings.baudrate, settings.parity, settings.stopbits)


def parse_line(text: str) -> Line:
    """`2400 8E1` to a Line; DecodeError if it is none."""
    match = re.fullmatch(_LINE, text)
    if not match:
        raise DecodeError(f"{text!r} is no line; write it like 2400 8E1")
    baudrate, parity, stopbits = match.groups()
    return msgspec.convert(
        {"baudrate": int(baudrate), "parity": parity, "stopbits": int(stopbits)}, Line
    )
