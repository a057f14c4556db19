"""What is wrong with one value of a register map whose keys are well formed each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.modbus import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.modbus.register import Register

# Faults that hearth tells of any meter; an alarm of that name could not be told from them.
_TAKEN = frozenset({"overloaded", "withheld"})

# Keys that mean something for numbers alone, and what they are when they are not there.
_OF_NUMBERS = {"order": "abcd", "scale": 1, "unit": "", "min": None, "max": None}


def contradictions(register: Register) -> list[str]:
    """Keys that make no sense together, or a value that is none."""
    checks = {**_of_places(register), **_of_meanings(register), **_of_uses(register)}
    return [fault for fault, is_so in checks.items() if is_so]


def _of_places(it: Register) -> dict[str, bool]:
    is_bits = it.area in wire.BIT_FUNCTIONS
    return {
        "address: the value runs beyond the last register": it.end > wire.LARGEST_ADDRESS + 1,
        'type: functions 1 and 2 read type "bit"': is_bits and it.type != "bit",
        'type: "bit" is for functions 1 and 2; in a register it is u16 with bit = 0 to 15': (
            it.type == "bit" and not is_bits
        ),
    }


def _of_meanings(it: Register) -> dict[str, bool]:
    for_numbers = [key for key, absent in _OF_NUMBERS.items() if getattr(it, key) != absent]
    return {
        "min: is above max": it.min is not None and it.max is not None and it.min > it.max,
        "bit: and states exclude each other": it.bit is not None and bool(it.states),
        "bit: needs type u16": it.bit is not None and it.type != "u16",
        "states: need type u16": bool(it.states) and it.type != "u16",
        "mask: means something with states only": it.mask != 0xFFFF and not it.states,
        "digits: needs type bcd": it.digits is not None and it.type != "bcd",
        "scale: is no number": not _is_number(it),
        "states: keys are integers, such as 0x55": not _all_integers(it.states),
        f"{', '.join(for_numbers)}: mean nothing for a bit": (
            it.type == "bit" and bool(for_numbers)
        ),
        "invalid: means nothing for a bit": it.type == "bit" and bool(it.invalid),
        "invalid: is more than the registers hold": any(raw >> 16 * it.width for raw in it.invalid),
    }


def _of_uses(it: Register) -> dict[str, bool]:
    return {
        "invert: needs a bit": it.invert and not it.is_bit,
        "alarm: needs a bit": it.alarm and not it.is_bit,
        "detects: needs a bit": it.detects is not None and not it.is_bit,
        "detects: and alarm exclude each other": it.detects is not None and it.alarm,
        "alarm: hearth tells another fault under this name": it.alarm and it.name in _TAKEN,
        "writable: only coils and holding registers are (functions 1 and 3)": (
            it.writable and it.area not in {wire.READ_COILS, wire.READ_HOLDING}
        ),
        # Writing a part would overwrite the rest with what it was when it was last read.
        "writable: a part of a register cannot be written": (
            it.writable and (it.bit is not None or it.mask != 0xFFFF)
        ),
    }


def _is_number(register: Register) -> bool:
    try:
        return register.factor != 0
    except (ValueError, ZeroDivisionError):
        return False


def _all_integers(states: Mapping[str, str]) -> bool:
    try:
        return all(int(key, 0) >= 0 for key in states)
    except ValueError:
        return False
