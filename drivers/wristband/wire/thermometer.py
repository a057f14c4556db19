"""Temperature Measurement, 0x2A1C (Health Thermometer Service 1.0, 3.1).

flags  u8     b0 Fahrenheit, else Celsius; b1 time present; b2 site present
value  FLOAT
time   7 B    the device's own
site   u8     where on the body
"""

from __future__ import annotations

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.moment import read_moment
from drivers.wristband.wire.reading import Reading
from gateway.model import Measurement, Scalar

_FAHRENHEIT, _TIME, _SITE = 1, 2, 4

_SITES = {
    1: "armpit",
    2: "body",
    3: "ear",
    4: "finger",
    5: "gastro-intestinal",
    6: "mouth",
    7: "rectum",
    8: "toe",
    9: "tympanum",
}

# Cel. Off the body a thermometer reads the room, or the frost on a window sill; not less or more.
_LOWEST, _HIGHEST = -40, 85


def decode_temperature(data: bytes) -> Reading:
    """One temperature, in degrees Celsius whatever the device counts in."""
    fields = Fields(data, "temperature")
    flags = fields.unsigned(1)
    value = fields.float32()
    if value is not None and flags & _FAHRENHEIT:
        value = round((value - 32) / 1.8, 2)
    fields.check(value, _LOWEST, _HIGHEST, "value")
    detail: dict[str, Scalar] = {}
    moment = read_moment(fields) if flags & _TIME else None
    if moment:
        detail["device_time"] = moment
    site = fields.unsigned(1) if flags & _SITE else 0
    if site in _SITES:
        detail["site"] = _SITES[site]
    fields.end()
    if value is None:
        return Reading()
    return Reading((Measurement("body_temperature", value, "Cel"),), detail=detail)
