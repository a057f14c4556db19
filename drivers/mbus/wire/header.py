"""The head of a telegram of data, and the status byte in it. Pure.

Variable structure, CI 72, 12 bytes: identification (8), access number, status, signature (2).

    status   b0-1  0 nothing, 1 application busy, 2 an application error, 3 alarm
             b2    battery or supply is low
             b3    a fault that lasts;  b4  one that may pass;  b5-7  the maker's

The access number goes up with each telegram. A signature other than 0 says that the data is
encrypted. Later editions of EN 13757-3 keep more than a bit there, so what exactly it says is not
read: hearth has no key, and values that may be ciphers are not guessed at.

Source: "The M-Bus: A Documentation", chapter 6; status 3 from EN 13757-3:2018 (exmbus, `Status`).
"""

from __future__ import annotations

import msgspec

from drivers.mbus.wire.identification import (
    BYTES,
    Identification,
    decode_identification,
    encode_identification,
)
from gateway.errors import DecodeError

HEADER_BYTES = 12

_APPLICATION = 0x03


class Status(msgspec.Struct, frozen=True):
    """The status byte."""

    byte: int = 0

    @property
    def application_error(self) -> bool:
        """The meter could not do all that it was asked."""
        return self.byte & _APPLICATION == 2

    @property
    def alarm(self) -> bool:
        """Something out of the ordinary, which the meter's own data explains."""
        return self.byte & _APPLICATION == 3

    @property
    def battery_low(self) -> bool:
        """Battery or supply is low."""
        return bool(self.byte & 0x04)

    @property
    def permanent_error(self) -> bool:
        """A fault that does not go away: somebody must look at the meter."""
        return bool(self.byte & 0x08)

    @property
    def temporary_error(self) -> bool:
        """A fault that may go away."""
        return bool(self.byte & 0x10)


class Header(msgspec.Struct, frozen=True):
    """Who a telegram is from, and how it is there."""

    meter: Identification
    access: int
    status: Status


def decode_header(data: bytes) -> Header:
    """The head of the variable structure.

    Raises:
        DecodeError: it is not whole, or what follows is encrypted.
    """
    if len(data) < HEADER_BYTES:
        raise DecodeError(f"a head of {len(data)} bytes; {HEADER_BYTES} are needed")
    signature = int.from_bytes(data[BYTES + 2 : HEADER_BYTES], "little")
    if signature:
        raise DecodeError(f"the data is encrypted or signed ({signature:04x})")
    return Header(decode_identification(data), data[BYTES], Status(data[BYTES + 1]))


def encode_header(header: Header, signature: int = 0) -> bytes:
    """A head as bytes."""
    rest = bytes([header.access, header.status.byte])
    return encode_identification(header.meter) + rest + signature.to_bytes(2, "little")
