"""Numbers and times as the meter writes them: BCD, low byte first. Pure."""

from __future__ import annotations

from datetime import datetime

TIME_BYTES = 7  # ss mm hh DD MM YY CC


def decode_bcd(data: bytes) -> int | None:
    """The number in these bytes; None if a digit is above 9."""
    text = data[::-1].hex()
    return int(text) if text.isdecimal() else None


def encode_bcd(number: int, size: int) -> bytes:
    """The last `2 * size` digits of a number, as bytes."""
    return bytes.fromhex(f"{number % 10 ** (2 * size):0{2 * size}d}")[::-1]


def decode_time(data: bytes) -> datetime | None:
    """Seven bytes as a time without a zone; None if there is no such time."""
    try:
        return datetime.strptime(data[::-1].hex(), "%Y%m%d%H%M%S")
    except ValueError:
        return None


def encode_time(time: datetime) -> bytes:
    """A time as seven bytes, to the second."""
    parts = [time.second, time.minute, time.hour, time.day, time.month]
    return b"".join(encode_bcd(part, 1) for part in parts) + encode_bcd(time.year, 2)
