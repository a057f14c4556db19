"""UUIDs of services and characteristics, always written in full and in lower case."""

from __future__ import annotations


def uuid_of(short: int) -> str:
    """The full UUID of a number assigned by the Bluetooth SIG."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"
