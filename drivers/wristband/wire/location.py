"""Location and Speed, 0x2A67 (Location and Navigation Service 1.0, 3.2).

    flags      u16  b0 speed, b1 distance, b2 location, b3 elevation, b4 heading, b5 rolling time,
                    b6 UTC time; b7-8 position: 0 none, 1 fixed, 2 estimated, 3 last known;
                    b9 speed and distance are in three dimensions; b10-12 where others come from
    speed      u16  1/100 m/s
    distance   u24  1/10 m
    location   s32 latitude, s32 longitude, 1e-7 degrees
    elevation  s24  1/100 m
    heading    u16  1/100 degrees from north
    rolling    u8   s
    UTC        7 B  Date Time

A location that the device calls none is not passed on, whatever the bytes are; an estimated or last
known one says so in the detail.
"""

from __future__ import annotations

from math import radians

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.moment import read_moment
from drivers.wristband.wire.reading import Reading
from gateway.model import Measurement, Scalar

_SPEED, _DISTANCE, _LOCATION, _ELEVATION, _HEADING, _ROLLING, _UTC = (1 << bit for bit in range(7))

_NO_POSITION = 0
_DOUBTS = {2: "estimated", 3: "last known"}

# m: the Dead Sea's shore and a summit, with room for a bad fix; u24 counts further.
_LOWEST, _HIGHEST = -1000, 10_000
_FASTEST = 150  # m/s; a train. Who wears a band does not fly it.


def decode_location(data: bytes) -> Reading:
    """Where the wearer is, and how fast."""
    fields = Fields(data, "location")
    flags = fields.unsigned(2)
    position = flags >> 7 & 3
    moving = _movement(fields, flags)
    place = _place(fields, flags)
    detail: dict[str, Scalar] = {}
    if flags & _HEADING:
        heading = fields.check(fields.unsigned(2) / 100, 0, 360, "heading") or 0.0
        moving.append(Measurement("heading", round(radians(heading), 5), "rad"))
    if flags & _ROLLING:
        fields.unsigned(1)
    moment = read_moment(fields) if flags & _UTC else None
    fields.end()
    if moment:
        detail["device_time"] = moment
    if position == _NO_POSITION:
        place = []
    elif place and position in _DOUBTS:
        detail["position"] = _DOUBTS[position]
    return Reading((*moving, *place), detail=detail)


def _movement(fields: Fields, flags: int) -> list[Measurement]:
    told = []
    if flags & _SPEED:
        speed = fields.check(fields.unsigned(2) / 100, 0, _FASTEST, "speed") or 0.0
        told.append(Measurement("speed", speed, "m/s"))
    if flags & _DISTANCE:
        told.append(Measurement("distance", fields.unsigned(3) / 10, "m"))
    return told


def _place(fields: Fields, flags: int) -> list[Measurement]:
    told = []
    if flags & _LOCATION:
        for name, unit, most in (("latitude", "lat", 90), ("longitude", "lon", 180)):
            degrees = fields.check(fields.signed(4) / 10_000_000, -most, most, name) or 0.0
            told.append(Measurement(name, degrees, unit))
    if flags & _ELEVATION:
        metres = fields.check(fields.signed(3) / 100, _LOWEST, _HIGHEST, "elevation") or 0.0
        told.append(Measurement("elevation", metres, "m"))
    return told
