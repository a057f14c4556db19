"""The records in which bands of the FFF0 family store what they measured, a layout for each kind.

    record   command, number u16, BCD YY MM DD hh mm ss, values
    54       heart rate as it goes: 15 values u8
    55       heart rate, measured now and then: u8
    60, 66   SpO2, measured when asked and by itself (which is which differs): u8 %
    62       temperature: u16, C/10
    A value with all bits 0 or 1 is none. Every source has 54.

Not read: 65, the temperature of an armpit, which is another quantity; 51 and 52, the steps, as the
sources give a record of 51 26 to 28 bytes, and 52 counts ten minutes where live values count a day.

Sources: ResolveUtil and DeviceConst of com.jstyle.blesdk2025 (github.com/root1m3/plebble), of
com.goqii.goqiisdk and the Dart SDK of the 2208A; github.com/pinwaven/nano,
docs/architecture/v8-smart-band.md, where 54, 62 and 66 were read from a V8 (54: 240 bytes a page;
62: 29.9..31.6 C; 66: 95..98 %).
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from drivers.wristband.wire.fff0 import HIGHEST_CEL
from drivers.wristband.wire.frame import read_bcd
from drivers.wristband.wire.reading import Reading
from gateway.errors import DecodeError
from gateway.model import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADER = 9


class Record(NamedTuple):
    """When its first value was measured by the band's clock, its number, and its values."""

    start: datetime
    number: int
    slots: tuple[Reading | None, ...]


class Kind(NamedTuple):
    """What one command tells of: records with `slots` values of `width` bytes each."""

    name: str
    command: int
    slots: int
    width: int
    read_value: Callable[[int], Reading | None]
    every_band: bool = False  # whether all have it: silence is a fault, then

    @property
    def size(self) -> int:
        """Bytes of a record."""
        return _HEADER + self.slots * self.width

    def read(self, raw: bytes) -> Record:
        """A record of `size` bytes."""
        if raw[0] != self.command:
            raise DecodeError(f"stored {self.name}: a record begins with {raw[0]:02x}")
        values = (raw[at : at + self.width] for at in range(_HEADER, len(raw), self.width))
        return Record(
            _moment(raw[3:_HEADER]),
            int.from_bytes(raw[1:3], "little"),
            tuple(self.read_value(int.from_bytes(value, "little")) for value in values),
        )


@cache  # so that equal values of weeks are one object
def _heart_rate(value: int) -> Reading | None:
    if value in {0, 0xFF}:
        return None
    return Reading((Measurement("heart_rate", value, "beat/min"),))


@cache
def _spo2(value: int) -> Reading | None:
    if value in {0, 0xFF}:
        return None
    if value > 100:
        raise DecodeError(f"SpO2 of {value} is outside 0..100")
    return Reading((Measurement("spo2", value, "%"),))


@cache
def _temperature(tenths: int) -> Reading | None:
    if tenths in {0, 0xFFFF}:
        return None
    if tenths > 10 * HIGHEST_CEL:
        raise DecodeError(f"temperature of {tenths / 10:g} is outside 0..{HIGHEST_CEL}")
    return Reading((Measurement("body_temperature", tenths / 10, "Cel"),))


def _moment(raw: bytes) -> datetime:
    year, month, day, hour, minute, second = (read_bcd(byte, "a part of a date") for byte in raw)
    try:
        return datetime(2000 + year, month, day, hour, minute, second)
    except ValueError as error:
        raise DecodeError(f"no date: {error}") from error


HEART_RATE = Kind("heart_rate", 0x54, 15, 1, _heart_rate, every_band=True)
SPOT_HEART_RATE = Kind("spot_heart_rate", 0x55, 1, 1, _heart_rate)
SPO2_60 = Kind("spo2_60", 0x60, 1, 1, _spo2)
SPO2_66 = Kind("spo2_66", 0x66, 1, 1, _spo2)
TEMPERATURE = Kind("temperature", 0x62, 1, 2, _temperature)
KINDS = (HEART_RATE, SPOT_HEART_RATE, SPO2_60, SPO2_66, TEMPERATURE)

_COMMANDS = frozenset(kind.command for kind in KINDS)


def is_history(data: bytes) -> bool:
    """Whether a notification is of some conversation about stored values."""
    return bool(data) and data[0] in _COMMANDS
