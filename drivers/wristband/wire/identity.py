"""Device Information strings (service 0x180A): UTF-8, by practice sometimes padded with zeros."""

from __future__ import annotations

from gateway.errors import DecodeError

# A GATT value has at most 512 bytes; a name worth keeping has fewer characters than this.
_LONGEST = 64


def decode_identity(data: bytes) -> str:
    """One string; empty if the device left it blank."""
    try:
        text = data.rstrip(b"\0 ").decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"device information is not UTF-8: {error.reason}") from error
    if not text.isprintable():
        raise DecodeError("device information has control characters")
    return text[:_LONGEST]
