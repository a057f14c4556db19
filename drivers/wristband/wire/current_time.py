"""Current Time, 0x2A2B (Current Time Service 1.1, 3.1; GATT Specification Supplement).

time      7 B  Date Time: year u16, month, day, hours, minutes, seconds u8; local time
weekday   u8   1 Monday .. 7 Sunday, 0 unknown
fraction  u8   1/256 s
reason    u8   why it was changed: b0 by hand, b1 by an external reference, b2 time zone, b3 DST
"""

from __future__ import annotations

from datetime import datetime

from drivers.wristband.wire.fields import Fields
from gateway.errors import DecodeError

_EXTERNAL_REFERENCE = 2
_REASONS = 0x0F


def encode_current_time(now: datetime) -> bytes:
    """What to write to set a device's clock to this local time."""
    return (
        now.year.to_bytes(2, "little")
        + bytes([now.month, now.day, now.hour, now.minute, now.second, now.isoweekday()])
        + bytes([now.microsecond * 256 // 1_000_000, _EXTERNAL_REFERENCE])
    )


def decode_current_time(data: bytes) -> datetime:
    """The device's local time, without a time zone: it has none."""
    fields = Fields(data, "current time")
    year = fields.unsigned(2)
    month, day, hour, minute, second = (fields.unsigned(1) for _ in range(5))
    fields.check(fields.unsigned(1), 0, 7, "weekday")
    microsecond = fields.unsigned(1) * 1_000_000 // 256
    fields.check(fields.unsigned(1), 0, _REASONS, "reason")
    fields.end()
    try:
        return datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError as error:
        raise DecodeError(f"no time: {error}") from error
