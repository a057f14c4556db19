"""How long characters and silences are on a serial line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.settings import BusSettings

GAP_CHARACTERS = 3.5  # Modbus over serial line V1.02, 2.5.1.1; CJ/T 188 asks for no more
FIXED_GAP_ABOVE_BAUD = 19_200  # the same: above this rate the gap no longer shrinks ...
FIXED_GAP_S = 0.001_75  # ... below this, or interrupts could not keep up


def character_time_s(settings: BusSettings) -> float:
    """How long one character is on the wire: start, 8 data, parity and stop bits."""
    bits = 1 + 8 + (settings.parity != "N") + settings.stopbits
    return bits / settings.baudrate


def gap_time_s(settings: BusSettings) -> float:
    """How long the line must be silent between two frames."""
    if settings.baudrate > FIXED_GAP_ABOVE_BAUD:
        return FIXED_GAP_S
    return GAP_CHARACTERS * character_time_s(settings)
