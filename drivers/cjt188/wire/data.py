"""What is in the answer to 901F, and the status word that is in others too. Pure.

Answer of 22 bytes, all BCD low byte first:

    DI0 DI1 SER
    total         4 bytes, XXXXXX.XX, and a byte for its unit
    settled       the same: the total on the last settlement day
    clock         7 bytes: ss mm hh DD MM YY CC, the meter's own time
    status        2 bytes

Some meters answer 9 bytes: DI SER, total (m3, no unit byte), status.

    unit          29 L, 2A 10 L, 2B 100 L, 2C m3, 2D 10 m3; flow 32 L/h, 35 m3/h
    status        first byte: D0 valve closed, D1 valve fault, D2 battery low; D3-D7 and the second
                  byte are the maker's, see the profiles

Sources: makers' notes with worked examples (hftangyu.com/563.html), the tables of ng-gateway
(`codec/di_schema.rs`, `frame/defs.rs`), the firmware of a meter (KingDa, `CJT-188-2004.h`). They
agree, but for two things. The notes call the second volume "this month's use", the others the total
on the settlement day: it is told as the latter, since in the notes' example it equals the total.
At least one concentrator (sdqr_energy_node, `cj188.h`) finds battery and valve in D5 to D7: of such
a meter valve and battery_low say nothing, and its own bits can be named in a profile.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from fractions import Fraction

import msgspec

from drivers.cjt188.wire.bcd import TIME_BYTES, decode_bcd, decode_time, encode_bcd, encode_time
from drivers.cjt188.wire.frame import ANSWER_BIT, Frame
from gateway.errors import DecodeError

HEAD_BYTES = 3  # DI0 DI1 SER
VOLUME_BYTES = 5  # four of BCD and the unit
STATUS_BYTES = 2
CUBIC_METRES = 0x2C

_FULL_READING, _SHORT_READING = 22, 9
_LITRES = {0x29: 1, 0x2A: 10, 0x2B: 100, 0x2C: 1000, 0x2D: 10_000}
_LITRES_PER_HOUR = {0x32: 1, 0x35: 1000}
_STEPS = 100  # two decimals
_FLOW_STEPS = 10_000  # four decimals
_LITRES_PER_M3 = 1000
_S_PER_HOUR = 3600


class Status(msgspec.Struct, frozen=True):
    """The status word, in the order of the wire."""

    word: bytes = bytes(STATUS_BYTES)

    def bit(self, byte: int, bit: int) -> bool:
        """One bit of byte 0 or 1."""
        return bool(self.word[byte] >> bit & 1)

    @property
    def valve_closed(self) -> bool:
        """D0. A meter without a valve says that it is open."""
        return self.bit(0, 0)

    @property
    def valve_fault(self) -> bool:
        """D1."""
        return self.bit(0, 1)

    @property
    def battery_low(self) -> bool:
        """D2."""
        return self.bit(0, 2)


class Reading(msgspec.Struct, frozen=True):
    """What a meter says of itself; None where it does not say, or says something absurd."""

    volume_m3: float | None
    settled_m3: float | None
    clock: datetime | None  # the meter's own time, without a zone
    status: Status
    absurd: dict[str, str] = {}  # field, and what is wrong with it


def decode_reading(frame: Frame) -> Reading:
    """The reading in an answer to 901F; DecodeError if it has neither of the known layouts."""
    data = frame.data
    absurd: dict[str, str] = {}
    if len(data) == _FULL_READING:
        volume = decode_volume("volume", data[3:8], absurd)
        settled = decode_volume("volume_settled", data[8:13], absurd)
        clock = decode_clock(data[13:20], absurd)
        return Reading(volume, settled, clock, Status(data[20:22]), absurd)
    if len(data) == _SHORT_READING:
        volume = decode_volume("volume", data[3:7] + bytes([CUBIC_METRES]), absurd)
        return Reading(volume, None, None, Status(data[7:9]), absurd)
    raise DecodeError(f"a reading of {len(data)} bytes; 9 and 22 are known")


def encode_reading(
    request: Frame, address: bytes, litres: int, clock: datetime, status: bytes = bytes(2)
) -> Frame:
    """The full answer to a reading request; `litres` now and on the settlement day."""
    total = encode_volume(litres)
    return answer(request, address, total + total + encode_time(clock) + status)


def encode_short_reading(
    request: Frame, address: bytes, litres: int, status: bytes = bytes(2)
) -> Frame:
    """The answer of 9 bytes."""
    return answer(request, address, encode_volume(litres)[:-1] + status)


def answer(request: Frame, address: bytes, body: bytes) -> Frame:
    """What a meter of this address answers: the head of the request, and a body."""
    data = request.data[:HEAD_BYTES] + body
    return Frame(request.meter_type, address, request.control | ANSWER_BIT, data)


def decode_volume(name: str, data: bytes, absurd: dict[str, str]) -> float | None:
    """Five bytes as m3; None, and why under its name, if they are none."""
    number, factor = decode_bcd(data[:-1]), _LITRES.get(data[-1])
    if number is None or factor is None:
        absurd[name] = f"{data[:-1][::-1].hex()} in unit {data[-1]:#04x}"
        return None
    return float(Fraction(number * factor, _STEPS * _LITRES_PER_M3))


def encode_volume(litres: int) -> bytes:
    """Litres as five bytes in m3; what is less than 10 L is cut off."""
    return encode_bcd(litres // 10, 4) + bytes([CUBIC_METRES])


def decode_flow(name: str, data: bytes, absurd: dict[str, str]) -> float | None:
    """Five bytes, XXXX.XXXX and a unit, as m3/s; None, and why under its name, if they are none."""
    number, factor = decode_bcd(data[:-1]), _LITRES_PER_HOUR.get(data[-1])
    if number is None or factor is None:
        absurd[name] = f"{data[:-1][::-1].hex()} in unit {data[-1]:#04x}"
        return None
    return float(Fraction(number * factor, _FLOW_STEPS * _LITRES_PER_M3 * _S_PER_HOUR))


def decode_clock(data: bytes, absurd: dict[str, str]) -> datetime | None:
    """Seven bytes as a time; None, and why under "clock", if they are none."""
    time = decode_time(data[:TIME_BYTES])
    if time is None:
        absurd["clock"] = f"{data[::-1].hex()} is no time"
    return time
