"""Date Time (GATT Specification Supplement): year u16, month, day, hours, minutes, seconds u8."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from drivers.wristband.wire.fields import Fields


def read_moment(fields: Fields) -> str | None:
    """The device's own local time as ISO 8601 text; None if year, month or day is unknown (0)."""
    year = fields.unsigned(2)
    month, day, hour, minute, second = (fields.unsigned(1) for _ in range(5))
    if 0 in (year, month, day):
        return None
    try:
        return datetime(year, month, day, hour, minute, second).isoformat()
    except ValueError as error:
        raise DecodeError(f"no date: {error}") from error
