"""Pulse oximeter values: 0x2A5F continuous, 0x2A5E spot check (Pulse Oximeter Service 1.0).

    continuous   flags u8: b0 fast, b1 slow, b2 measurement status, b3 device status, b4 amplitude
                 SpO2, rate; [fast SpO2, rate]; [slow SpO2, rate]; [u16]; [u24]; [SFLOAT]
    spot check   flags u8: b0 time, b1 measurement status, b2 device status, b3 amplitude,
                 b4 the device's clock is not set
                 SpO2, rate; [time 7 B]; [u16]; [u24]; [SFLOAT]

SpO2 in %, rate in beats a minute, amplitude in %, all SFLOAT. What the device itself marks as a
demonstration, a test, unavailable, questionable or invalid, or measured off the user, displaced or
unplugged, is not passed on. A stored value (bit 9) is, marked as stored: it is not from now.
"""

from __future__ import annotations

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.moment import read_moment
from drivers.wristband.wire.reading import Reading
from gateway.model import Measurement, Scalar

_FAST, _SLOW, _STATUS, _DEVICE_STATUS, _AMPLITUDE = 1, 2, 4, 8, 16
_SPOT_TIME, _SPOT_STATUS, _SPOT_DEVICE_STATUS, _SPOT_AMPLITUDE, _SPOT_CLOCK_UNSET = 1, 2, 4, 8, 16

_STORED = 1 << 9
_UNUSABLE = 1 << 10 | 1 << 11 | 1 << 13 | 1 << 14 | 1 << 15  # demo, test, n/a, doubted, invalid
_OFF_USER = 1 << 11
_UNUSABLE_DEVICE = _OFF_USER | 1 << 13 | 1 << 15  # off, displaced, disconnected

_HIGHEST_BPM = 400
_HIGHEST_AMPLITUDE = 1000  # %; the perfusion index of a healthy finger is below 20


def decode_oximeter_continuous(data: bytes) -> Reading:
    """One value of the running measurement."""
    fields = Fields(data, "oximeter value")
    flags = fields.unsigned(1)
    measurements = _pair(fields, "")
    if flags & _FAST:
        measurements += _pair(fields, "_fast")
    if flags & _SLOW:
        measurements += _pair(fields, "_slow")
    status = fields.unsigned(2) if flags & _STATUS else 0
    device_status = fields.unsigned(3) if flags & _DEVICE_STATUS else None
    if flags & _AMPLITUDE:
        measurements += _amplitude(fields)
    fields.end()
    return _judge(measurements, status, device_status, {})


def decode_oximeter_spot(data: bytes) -> Reading:
    """One finished measurement."""
    fields = Fields(data, "oximeter spot check")
    flags = fields.unsigned(1)
    measurements = _pair(fields, "")
    detail: dict[str, Scalar] = {}
    if flags & _SPOT_TIME:
        moment = read_moment(fields)
        if moment and not flags & _SPOT_CLOCK_UNSET:
            detail["device_time"] = moment
    status = fields.unsigned(2) if flags & _SPOT_STATUS else 0
    device_status = fields.unsigned(3) if flags & _SPOT_DEVICE_STATUS else None
    if flags & _SPOT_AMPLITUDE:
        measurements += _amplitude(fields)
    fields.end()
    return _judge(measurements, status, device_status, detail)


def _pair(fields: Fields, suffix: str) -> list[Measurement]:
    spo2 = fields.check(fields.sfloat(), 0, 100, "SpO2")
    rate = fields.check(fields.sfloat(), 0, _HIGHEST_BPM, "pulse rate")
    pairs = ((f"spo2{suffix}", spo2, "%"), (f"pulse_rate{suffix}", rate, "beat/min"))
    return [Measurement(name, value, unit) for name, value, unit in pairs if value is not None]


def _amplitude(fields: Fields) -> list[Measurement]:
    value = fields.check(fields.sfloat(), 0, _HIGHEST_AMPLITUDE, "pulse amplitude")
    return [] if value is None else [Measurement("pulse_amplitude", value, "%")]


def _judge(
    measurements: list[Measurement],
    status: int,
    device_status: int | None,
    detail: dict[str, Scalar],
) -> Reading:
    contact = None if device_status is None else not device_status & _OFF_USER
    if status & _UNUSABLE or (device_status or 0) & _UNUSABLE_DEVICE:
        return Reading(contact=contact)
    if status & _STORED:
        detail = {**detail, "stored": True}
    return Reading(tuple(measurements), contact=contact, detail=detail)
