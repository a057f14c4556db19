"""The frame two makers share: 16 bytes, a command, 14 of payload, and the low byte of their sum.

Colmi's (github.com/tahnok/colmi_r02_client, packet.py) and the FFF0 family's (the J-Style SDKs'
crcValue). Both write dates as BCD: 0x26 is the year 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from datetime import datetime

SIZE = 16
REFUSED = 0x80  # set in the first byte of a reply: the command was not carried out


def encode_frame(command: int, payload: bytes = b"") -> bytes:
    """A whole frame; the payload has at most 14 bytes."""
    body = bytes([command]) + payload.ljust(SIZE - 2, b"\0")
    return body + bytes([sum(body) & 0xFF])


def check_frame(data: bytes, what: str) -> None:
    """DecodeError if it is not a whole frame."""
    if len(data) != SIZE:
        raise DecodeError(f"{what} of {len(data)} bytes; {SIZE} is right")
    if sum(data[:-1]) & 0xFF != data[-1]:
        raise DecodeError(f"{what}: the checksum is wrong")


def encode_moment(now: datetime) -> bytes:
    """Year without century, month, day, hour, minute, second, in BCD."""
    parts = (now.year % 100, now.month, now.day, now.hour, now.minute, now.second)
    return bytes(part // 10 << 4 | part % 10 for part in parts)


def read_bcd(byte: int, what: str) -> int:
    """Two decimal digits; DecodeError if they are not."""
    tens, ones = divmod(byte, 16)
    if tens > 9 or ones > 9:
        raise DecodeError(f"{what} of {byte:#04x} is not BCD")
    return tens * 10 + ones
