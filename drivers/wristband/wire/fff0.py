"""The FFF0 family (J-Style, Youhong): 16-byte frames (frame.py) to it, and mostly from it.

    01  set time: BCD YY MM DD hh mm ss
    09  live values on: b1 1, temperature too: b2 1. Then about once a second, without a checksum:
        steps u32 at 1, energy u32 at 5 (kcal/100), distance u32 at 9 (km/100), s of exercise u32 at
        13, s of activity u32 at 17, heart rate u8 at 21, temperature u16 at 22 (C/10), and where
        there is a sensor SpO2 u8 at 24. 0 is "none"
    13  battery: b1 %
    36  vibrate: b1 times
    FE  SOS. Also as 16 FE: the button told as one of the things that bands send to a phone
    80 and above: the command without its high bit was refused (13 by 93). This is the protocol of a
        device with the same frames and commands; the bands' SDKs do not speak of it

An SOS is known by its first bytes alone. No source gives it a length or a checksum, the radio has
its own checks, and a false alarm is the smaller evil.

Sources: the SDKs' DeviceConst, BleSDK and ResolveUtil (com.jstyle.blesdk2025, in
github.com/root1m3/plebble; com.goqii.goqiisdk; the Dart SDK of the 2208A). One decoder of a ring of
the same maker (QRing X6) reads heart rate, temperature and SpO2 one byte further on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.fitness import J_PER_KCAL
from drivers.wristband.wire.frame import REFUSED, check_frame, encode_frame, encode_moment
from drivers.wristband.wire.reading import Reading
from drivers.wristband.wire.uuids import uuid_of
from gateway.errors import DecodeError
from gateway.model import Measurement

if TYPE_CHECKING:
    from datetime import datetime

SERVICE, WRITE, NOTIFY = uuid_of(0xFFF0), uuid_of(0xFFF6), uuid_of(0xFFF7)

SET_TIME, LIVE, BATTERY, VIBRATE = 0x01, 0x09, 0x13, 0x36
SOS, TO_PHONE = 0xFE, 0x16

_OXIMETER = 1 + 24  # bytes of a live value with SpO2
HIGHEST_CEL = 85  # as of any thermometer (thermometer.py); off the wrist it reads the room


def encode_time(now: datetime) -> bytes:
    """Set the clock."""
    return encode_frame(SET_TIME, encode_moment(now))


def start_live() -> bytes:
    """Have it tell what it measures, temperature too, about once a second."""
    return encode_frame(LIVE, b"\x01\x01")


def ask_battery() -> bytes:
    """Ask for the charge left."""
    return encode_frame(BATTERY)


def vibrate(times: int) -> bytes:
    """Vibrate so many times."""
    return encode_frame(VIBRATE, bytes([times]))


def decode_fff0(data: bytes) -> Reading:
    """One notification."""
    if data[:1] == bytes([SOS]) or data[:2] == bytes([TO_PHONE, SOS]):
        return Reading(sos=True)
    if data[:1] == bytes([LIVE]) and len(data) > _OXIMETER - 2:
        return _live(data)
    check_frame(data, "frame")
    command = data[0]
    if command & REFUSED:
        raise DecodeError(f"the band refused command {command & ~REFUSED:02x}, code {data[1]:02x}")
    if command == BATTERY:
        if data[1] > 100:
            raise DecodeError(f"battery of {data[1]} is outside 0..100")
        return Reading((Measurement("battery", data[1], "%EL"),))
    return Reading()  # it did as told


def _live(data: bytes) -> Reading:
    fields = Fields(data, "live value")
    fields.unsigned(1)
    steps, energy, distance = (fields.unsigned(4) for _ in range(3))
    fields.unsigned(8)  # how long it was worn in motion: follows from the steps
    told = [
        Measurement("steps", steps, "count"),
        Measurement("energy", round(energy * J_PER_KCAL / 100), "J"),
        Measurement("distance", distance * 10, "m"),
    ]
    rate = fields.unsigned(1)
    if rate:
        told.append(Measurement("heart_rate", rate, "beat/min"))
    temperature = fields.check(fields.unsigned(2) / 10, 0, HIGHEST_CEL, "temperature")
    if temperature:
        told.append(Measurement("body_temperature", temperature, "Cel"))
    spo2 = fields.check(fields.unsigned(1), 0, 100, "SpO2") if fields.left else 0
    if spo2:
        told.append(Measurement("spo2", spo2, "%"))
    return Reading(tuple(told))
