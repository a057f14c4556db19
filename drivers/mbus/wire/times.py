"""Times as the meter writes them; without a zone. Pure; raises only DecodeError.

    type G, 2 bytes     b0-4 day, b5-7 and b12-15 year, b8-11 month
    type F, 4 bytes     minute (b7: the time is invalid), hour (b5-6: century, b7: summer time),
                        then as type G
    type I, 6 bytes     second (b7: summer time), minute (b7: invalid), hour (b5-7: weekday),
                        then as type G, then week

A two-digit year up to 80 is of this century, unless the century of type F says otherwise: meters
from before it had a meaning leave it 0. What is no date, as 00 00 or FF FF, means "every day" or
"not set" in the standard, and is no time here.

Source: "The M-Bus: A Documentation", chapter 8 (F, G); libmbus, `mbus_data_tm_decode` (I).
"""

from __future__ import annotations

from datetime import date, datetime

from gateway.errors import DecodeError

DATE_BYTES, TIME_BYTES, TIME_WITH_SECONDS_BYTES = 2, 4, 6

_INVALID = 0x80
_LAST_YEAR_OF_THIS_CENTURY = 80
_MOST_YEAR = 99  # 127 is "every year"


def decode_date(data: bytes) -> date:
    """Type G; DecodeError if there is no such day."""
    year = data[0] >> 5 | data[1] >> 4 << 3
    return _checked(data, (_of_this_century(year), data[1] & 0xF, data[0] & 0x1F)).date()


def decode_time(data: bytes) -> datetime:
    """Type F or I, by length; DecodeError if it is none, or the meter says that it is wrong."""
    second, rest = (0, data) if len(data) == TIME_BYTES else (data[0] & 0x3F, data[1:])
    if rest[0] & _INVALID:
        raise DecodeError("the meter says that its time is invalid")
    year = rest[2] >> 5 | rest[3] >> 4 << 3
    # b5-6 of the hour are the century in type F, the weekday in type I.
    century = rest[1] >> 5 & 3 if len(data) == TIME_BYTES else 0
    full_year = 1900 + 100 * century + year if century else _of_this_century(year)
    month, day, hour, minute = rest[3] & 0xF, rest[2] & 0x1F, rest[1] & 0x1F, rest[0] & 0x3F
    return _checked(data, (full_year, month, day, hour, minute, second))


def encode_date(day: date) -> bytes:
    """Type G, of the years 1981 to 2080."""
    year = day.year % 100
    return bytes([day.day | (year & 7) << 5, day.month | year >> 3 << 4])


def encode_time(time: datetime) -> bytes:
    """Type F, to the minute, of the years 1900 to 2199; without summer time."""
    century = max(0, time.year - 1900) // 100
    return bytes([time.minute, time.hour | (century & 3) << 5]) + encode_date(time.date())


def _of_this_century(year: int) -> int:
    if year > _MOST_YEAR:
        raise DecodeError(f"year {year} of a century")
    return year + (2000 if year <= _LAST_YEAR_OF_THIS_CENTURY else 1900)


def _checked(data: bytes, parts: tuple[int, ...]) -> datetime:
    """Year, month, day and what there is of hour, minute, second; DecodeError if it is no time."""
    try:
        year, month, day, hour, minute, second = (*parts, 0, 0, 0)[:6]
        return datetime(year, month, day, hour, minute, second)
    except ValueError as error:
        raise DecodeError(f"{data[::-1].hex()} is no time") from error
