"""What a VIF means: the quantity, its unit, and what one step of the number is worth. Pure.

Three tables, as the standard has them: the VIF itself, and those that FB and FD lead to. A row is a
run of codes, each ten times the one before. Units are SenML's (RFC 8428), so hours, bars and
watt-hours become seconds, pascals and joules here, as exact fractions.

What is not in the tables (money, currencies, imperial units, settings of the meter) has no name
here, and a record of it is kept as unknown.

Sources: "The M-Bus: A Documentation", chapter 8, and for what was added since (humidity, frequency,
life of the battery) the tables of libmbus (`mbus-protocol-aux.c`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec

# number: to be scaled. count: as it is. identity: who or what the meter is, of no use as a value.
Kind = Literal["number", "count", "date", "time", "identity"]

PRIMARY, FB, FD = 0x00, 0xFB, 0xFD

_HOUR_S, _DAY_S = 3600, 86_400
_PA_PER_BAR = 100_000
_J_PER_WH = 3600


class Quantity(msgspec.Struct, frozen=True):
    """What a number is; `scale` is what one step of it is worth in `unit`."""

    name: str
    kind: Kind = "number"
    unit: str = ""
    scale: Fraction = Fraction(1)


class _Run(NamedTuple):
    first: int
    codes: int
    name: str
    unit: str
    exponent: int  # of ten, of the first code
    factor: Fraction = Fraction(1)


_PER_HOUR, _PER_MINUTE = Fraction(1, _HOUR_S), Fraction(1, 60)

_RUNS: dict[int, tuple[_Run, ...]] = {
    PRIMARY: (
        _Run(0x00, 8, "energy", "J", -3, Fraction(_J_PER_WH)),
        _Run(0x08, 8, "energy", "J", 0),
        _Run(0x10, 8, "volume", "m3", -6),
        _Run(0x18, 8, "mass", "kg", -3),
        _Run(0x28, 8, "power", "W", -3),
        _Run(0x30, 8, "power", "W", 0, _PER_HOUR),
        _Run(0x38, 8, "flow", "m3/s", -6, _PER_HOUR),
        _Run(0x40, 8, "flow", "m3/s", -7, _PER_MINUTE),
        _Run(0x48, 8, "flow", "m3/s", -9),
        _Run(0x50, 8, "mass_flow", "kg/s", -3, _PER_HOUR),
        _Run(0x58, 4, "temperature", "Cel", -3),
        _Run(0x5C, 4, "temperature_return", "Cel", -3),
        _Run(0x60, 4, "temperature_difference", "K", -3),
        _Run(0x64, 4, "temperature_external", "Cel", -3),
        _Run(0x68, 4, "pressure", "Pa", -3, Fraction(_PA_PER_BAR)),
    ),
    FB: (
        _Run(0x00, 2, "energy", "J", 5, Fraction(_J_PER_WH)),
        _Run(0x08, 2, "energy", "J", 8),
        _Run(0x10, 2, "volume", "m3", 2),
        _Run(0x18, 2, "mass", "kg", 5),
        _Run(0x1A, 2, "humidity", "%RH", -1),
        _Run(0x28, 2, "power", "W", 5),
        _Run(0x2C, 4, "frequency", "Hz", -3),
        _Run(0x30, 2, "power", "W", 8, _PER_HOUR),
        _Run(0x74, 4, "temperature_limit", "Cel", -3),
        _Run(0x78, 8, "power_max_cumulated", "W", -3),
    ),
    FD: (
        _Run(0x40, 16, "voltage", "V", -9),
        _Run(0x50, 16, "current", "A", -12),
    ),
}


def _duration(name: str, seconds: int) -> Quantity:
    return Quantity(name, "number", "s", Fraction(seconds))


def _durations(first: int, name: str) -> dict[int, Quantity]:
    """Four codes: seconds, minutes, hours, days."""
    steps_s = (1, 60, _HOUR_S, _DAY_S)
    return {first + index: _duration(name, step_s) for index, step_s in enumerate(steps_s)}


_SINGLES: dict[int, dict[int, Quantity]] = {
    PRIMARY: {
        **_durations(0x20, "on_time"),
        **_durations(0x24, "operating_time"),
        0x6C: Quantity("date", "date"),
        0x6D: Quantity("clock", "time"),
        0x6E: Quantity("heat_cost_units", "count"),
        **_durations(0x70, "averaging_time"),
        **_durations(0x74, "actuality_time"),
        0x78: Quantity("fabrication_number", "identity"),
        0x79: Quantity("identification", "identity"),
        0x7A: Quantity("bus_address", "identity"),
    },
    FB: {},
    FD: {
        0x08: Quantity("access_number", "identity"),
        0x09: Quantity("medium", "identity"),
        0x0A: Quantity("manufacturer", "identity"),
        0x0B: Quantity("parameter_set", "identity"),
        0x0C: Quantity("model", "identity"),
        0x0D: Quantity("hardware_version", "identity"),
        0x0E: Quantity("firmware_version", "identity"),
        0x0F: Quantity("software_version", "identity"),
        0x10: Quantity("customer_location", "identity"),
        0x11: Quantity("customer", "identity"),
        0x17: Quantity("error_flags", "count"),
        0x1A: Quantity("digital_output", "count"),
        0x1B: Quantity("digital_input", "count"),
        0x60: Quantity("resets", "count"),
        0x61: Quantity("cumulations", "count"),
        0x6C: _duration("battery_time", _HOUR_S),
        0x6D: _duration("battery_time", _DAY_S),
        0x74: _duration("battery_left", _DAY_S),
    },
}


def quantity_of(table: int, code: int) -> Quantity | None:
    """What a code without its extension bit means in PRIMARY, FB or FD; None if nothing here."""
    for run in _RUNS[table]:
        if run.first <= code < run.first + run.codes:
            step = run.factor * Fraction(10) ** (run.exponent + code - run.first)
            return Quantity(run.name, "number", run.unit, step)
    return _SINGLES[table].get(code)
