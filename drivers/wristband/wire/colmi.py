"""Colmi R0x rings, and what else the QRing app speaks to: 16-byte frames (frame.py) both ways.

    01  set time: BCD YY MM DD hh mm ss, language (0 Chinese, 1 English)
    03  battery: b1 %, b2 charging
    43  steps of a day: b1 day (0 today), then 0F 00 5F 01. Answered by frames:
        FF                                    b1: none that day
        F0 n e                                b1: n frames follow; e = 1: energy is in 10 cal
        YY MM DD q i n cal16 steps16 m16      quarter hour q, frame i of n: energy, steps, m
    69  start: b1 1 heart rate, 3 SpO2; b2 1. Answered about once a second: b1 kind, b2 error, b3
        value, 0 until there is one. Error 1: not worn properly; 2: for the moment without a value
    6A  stop: b1 kind
    73  unsolicited, b1: 01 heart rate, 03 SpO2, 04 steps were logged; 0C battery, b2 %;
        12 so far today, big-endian: steps u24 at 2, metres u24 at 8
    80 and above: the command without its high bit was refused

Sources: github.com/tahnok/colmi_r02_client (battery.py, real_time.py, set_time.py, steps.py,
client.py) and Gadgetbridge's ColmiR0xConstants and ColmiR0xPacketHandler. None says what the second
byte of a refusal means; it is told as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.wire.frame import (
    REFUSED,
    check_frame,
    encode_frame,
    encode_moment,
    read_bcd,
)
from drivers.wristband.wire.reading import Reading
from gateway.errors import DecodeError
from gateway.model import Measurement

if TYPE_CHECKING:
    from datetime import datetime

SERVICE = "6e40fff0-b5a3-f393-e0a9-e50e24dcca9e"
WRITE = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NOTIFY = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"

HEART_RATE, SPO2 = 1, 3
SET_TIME, BATTERY, STEPS, START, STOP, TOLD = 0x01, 0x03, 0x43, 0x69, 0x6A, 0x73
TOLD_BATTERY, TOLD_TODAY = 0x0C, 0x12
NO_STEPS, STEPS_HEADER = 0xFF, 0xF0

_ENGLISH = 1  # the rings have no display; the watches that speak this are sold with English
_NOT_WORN, _NO_VALUE_YET = 1, 2
_LAST_QUARTER = 95
_J_PER_CAL = 4.184


def encode_time(now: datetime) -> bytes:
    """Set the clock: by it the ring knows what "today" is."""
    return encode_frame(SET_TIME, encode_moment(now) + bytes([_ENGLISH]))


def ask_battery() -> bytes:
    """Ask for the charge left."""
    return encode_frame(BATTERY)


def ask_steps() -> bytes:
    """Ask for today's quarter hours."""
    return encode_frame(STEPS, b"\x00\x0f\x00\x5f\x01")


def start(kind: int) -> bytes:
    """Begin to measure HEART_RATE or SPO2."""
    return encode_frame(START, bytes([kind, 1]))


def stop(kind: int) -> bytes:
    """End a measurement."""
    return encode_frame(STOP, bytes([kind]))


class ColmiDecoder:
    """Frames to readings. It remembers the quarter hours of a day until all are there."""

    def __init__(self) -> None:
        self._day = _Day()

    def decode(self, data: bytes) -> Reading:
        """One notification."""
        check_frame(data, "frame")
        command = data[0]
        if command & REFUSED:
            refused = command & ~REFUSED
            raise DecodeError(f"the band refused command {refused:02x}, code {data[1]:02x}")
        if command == BATTERY:
            return _battery(data[1], charging=data[2] == 1)
        if command == START:
            return _live(data)
        if command == STEPS:
            return self._day.read(data)
        if command == TOLD:
            return _told(data)
        return Reading()  # it did as told


def _battery(level: int, *, charging: bool | None = None) -> Reading:
    if level > 100:
        raise DecodeError(f"battery of {level} is outside 0..100")
    told = [Measurement("battery", level, "%EL")]
    if charging is not None:
        told.append(Measurement("charging", charging))
    return Reading(tuple(told))


def _live(data: bytes) -> Reading:
    kind, error, value = data[1:4]
    if error == _NOT_WORN:
        return Reading(contact=False)
    if error not in {0, _NO_VALUE_YET}:
        raise DecodeError(f"the band could not measure: error {error:02x}")
    if error or not value:
        return Reading()
    if kind == HEART_RATE:
        return Reading((Measurement("heart_rate", value, "beat/min"),), contact=True)
    if kind == SPO2:
        if value > 100:
            raise DecodeError(f"SpO2 of {value} is outside 0..100")
        return Reading((Measurement("spo2", value, "%"),), contact=True)
    return Reading()


def _told(data: bytes) -> Reading:
    if data[1] == TOLD_BATTERY:
        return _battery(data[2])
    if data[1] == TOLD_TODAY:
        steps, metres = (int.from_bytes(data[at : at + 3], "big") for at in (2, 8))
        return Reading((Measurement("steps", steps, "count"), Measurement("distance", metres, "m")))
    return Reading()  # it logged something, and would be asked for its log


class _Day:
    """The quarter hours of one day, added up once all of them are there."""

    def __init__(self) -> None:
        self._forget()

    def read(self, data: bytes) -> Reading:
        """One frame of the answer; the day's sums with the last."""
        if data[1] in {NO_STEPS, STEPS_HEADER}:
            self._forget()
            self._energy_is_known = data[1] == STEPS_HEADER and data[3] == 1
            return Reading()
        for byte, what in zip(data[1:4], ("year", "month", "day"), strict=True):
            read_bcd(byte, what)
        quarter, index, total = data[4:7]
        if quarter > _LAST_QUARTER or index >= total:
            raise DecodeError(f"quarter hour {quarter}, frame {index} of {total}")
        if index != self._next:
            self._forget()
            raise DecodeError(f"steps: frame {index} of {total} came out of order")
        self._next += 1
        for at, name in ((7, "energy"), (9, "steps"), (11, "distance")):
            self._sums[name] += int.from_bytes(data[at : at + 2], "little")
        return self._tell() if self._next == total else Reading()

    def _tell(self) -> Reading:
        sums = self._sums
        told = [
            Measurement("steps", sums["steps"], "count"),
            Measurement("distance", sums["distance"], "m"),
        ]
        if self._energy_is_known:
            told.append(Measurement("energy", round(sums["energy"] * 10 * _J_PER_CAL), "J"))
        self._forget()
        return Reading(tuple(told))

    def _forget(self) -> None:
        self._next = 0
        self._energy_is_known = False
        self._sums = dict.fromkeys(("energy", "steps", "distance"), 0)
