"""RSC Measurement, 0x2A53 (Running Speed and Cadence Service 1.0, 3.1).

flags     u8   b0 stride length, b1 total distance, b2 running, else walking
speed     u16  1/256 m/s
cadence   u8   steps a minute
stride    u16  1/100 m
distance  u32  1/10 m
"""

from __future__ import annotations

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.reading import Reading
from gateway.model import Measurement

_STRIDE, _DISTANCE, _RUNNING = 1, 2, 4

# m/s; the fastest man ran 12.4. Above is a broken sensor or a hostile sender.
_FASTEST = 20


def decode_running(data: bytes) -> Reading:
    """How the wearer walks or runs right now."""
    fields = Fields(data, "running speed")
    flags = fields.unsigned(1)
    speed = fields.check(round(fields.unsigned(2) / 256, 3), 0, _FASTEST, "speed")
    measurements = [
        Measurement("speed", speed or 0.0, "m/s"),
        Measurement("cadence", fields.unsigned(1), "1/min"),
    ]
    if flags & _STRIDE:
        measurements.append(Measurement("stride", fields.unsigned(2) / 100, "m"))
    if flags & _DISTANCE:
        measurements.append(Measurement("distance", fields.unsigned(4) / 10, "m"))
    fields.end()
    gait = "running" if flags & _RUNNING else "walking"
    return Reading(tuple(measurements), detail={"gait": gait})
