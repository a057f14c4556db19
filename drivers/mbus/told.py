"""What a reading tells: records as measurements, each under a name that says which it is.

    volume                 now, storage 0, tariff 0, subunit 0
    volume_reverse         of what went backward; _forward of what went forward
    flow_max  _min         the largest, the smallest; _error while a fault lasted
    energy_t2              tariff 2
    volume_u1              subunit 1, such as a counter at a pulse input
    volume_s3              storage 3: what was kept, on the day that date_s3 tells
    flow_max_u1_t2_s3      all of it, in this order
    voltage_2              the second value of that name

A meter that tells what went forward, but no net volume, has that as its `volume`. Who or what the
meter is, is not told with every reading. Records whose meaning is not known are not told at all.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from drivers.bus.meter import Reading
from gateway.model import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drivers.mbus import wire
    from gateway.model import Scalar

MOST_VALUES = 60  # an event holds 64, and 4 KiB

_NET, _FORWARD = "volume", "volume_forward"


def told(telegrams: Sequence[wire.Telegram]) -> Reading:
    """All telegrams of one reading as SenML."""
    status = telegrams[0].header.status
    own = [Measurement("battery_low", status.battery_low), Measurement("status", status.byte)]
    values: dict[str, Measurement] = {}
    withheld: dict[str, str] = {}
    for name, record in _named(record for it in telegrams for record in it.records):
        if record.fault:
            withheld[name] = record.fault
        elif record.value is not None:
            values[name] = Measurement(name, _scalar(record.value), record.unit)
    room = MOST_VALUES - len(own)
    if len(values) > room:
        withheld["others"] = f"{len(values) - room} values more than {MOST_VALUES} were not told"
    return Reading((*list(values.values())[:room], *own), withheld)


def clock_of(telegrams: Iterable[wire.Telegram]) -> datetime | None:
    """What the meter's clock shows; None if it tells none."""
    for record in (record for it in telegrams for record in it.records):
        if name_of(record) == "clock" and isinstance(record.value, datetime):
            return record.value
    return None


def name_of(record: wire.Record) -> str:
    """The name of a record's value, as if it were the only one of that name."""
    parts = [record.name, record.direction, "" if record.function == "now" else record.function]
    numbers = (("u", record.subunit), ("t", record.tariff), ("s", record.storage))
    parts += [f"{letter}{number}" for letter, number in numbers if number]
    return "_".join(part for part in parts if part)


def _named(records: Iterable[wire.Record]) -> list[tuple[str, wire.Record]]:
    """Each record that can be told, under a name of its own."""
    named: list[tuple[str, wire.Record]] = []
    seen: dict[str, int] = {}
    for record in records:
        if record.name and not record.is_identity:
            name = name_of(record)
            seen[name] = seen.get(name, 0) + 1
            named.append((f"{name}_{seen[name]}" if seen[name] > 1 else name, record))
    if _NET in seen or _FORWARD not in seen:
        return named
    return [(_NET if name == _FORWARD else name, record) for name, record in named]


def _scalar(value: wire.Value) -> Scalar:
    return value.isoformat() if isinstance(value, date) else value
