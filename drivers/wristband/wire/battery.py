"""Battery Level, 0x2A19: u8, percent. SenML calls the unit %EL, remaining energy level."""

from __future__ import annotations

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.reading import Reading
from gateway.model import Measurement


def decode_battery(data: bytes) -> Reading:
    """The charge left."""
    fields = Fields(data, "battery level")
    level = fields.unsigned(1)
    fields.end()
    fields.check(level, 0, 100, "level")
    return Reading((Measurement("battery", level, "%EL"),))
