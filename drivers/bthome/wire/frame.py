"""Service data of UUID FCD2, as BTHome v2 lays it out (bthome.io/format, bthome.io/encryption).

    info        u8   b0 encrypted, b1 address follows, b2 advertises on events only, b5-7 version 2
    [address]   6 B  last byte first; the specification has b1 as reserved, bthome-ble reads it so
    then, in plaintext          objects (payload.py)
    or, encrypted               ciphertext of the objects, counter u32, MIC 4 B

The cipher is AES-CCM with a MIC of 4 bytes and no additional data. Its nonce is the address as it
is printed, D2 FC, the info byte and the counter as sent.
"""

from __future__ import annotations

import msgspec

from gateway.errors import DecodeError, UnknownVersion

UUID = "0000fcd2-0000-1000-8000-00805f9b34fb"

VERSION = 2
ENCRYPTED, ADDRESSED, ON_EVENTS = 1, 2, 4

_ADDRESS, _COUNTER, _MIC = 6, 4, 4


class Sealed(msgspec.Struct, frozen=True):
    """What of an encrypted message is there to be decrypted."""

    address: bytes | None  # 6 B as printed; None if the message does not say
    info: int
    counter: int
    ciphertext: bytes
    mic: bytes  # 4 B


def decode_frame(data: bytes) -> bytes | Sealed:
    """The objects in plaintext, or what is to be decrypted to get at them.

    Raises:
        DecodeError: it is too short.
        UnknownVersion: it is not version 2.
    """
    if not data:
        raise DecodeError("service data is empty")
    info, rest = data[0], data[1:]
    if info >> 5 != VERSION:
        raise UnknownVersion(f"BTHome version {info >> 5}, not {VERSION}")
    address = None
    if info & ADDRESSED:
        address, rest = rest[:_ADDRESS][::-1], rest[_ADDRESS:]
        if len(address) < _ADDRESS:
            raise DecodeError(f"service data of {len(data)} bytes ends within the address")
    if not info & ENCRYPTED:
        return rest
    tail = len(rest) - _COUNTER - _MIC
    if tail < 0:
        raise DecodeError(f"service data of {len(data)} bytes has no room for counter and MIC")
    counter = int.from_bytes(rest[tail:-_MIC], "little")
    return Sealed(address, info, counter, rest[:tail], rest[-_MIC:])


def encode_plain(objects: bytes) -> bytes:
    """Service data in plaintext, as a button sends it."""
    return bytes([VERSION << 5 | ON_EVENTS]) + objects


def encode_sealed(sealed: Sealed) -> bytes:
    """Service data of an encrypted message."""
    address = b"" if sealed.address is None else sealed.address[::-1]
    counter = sealed.counter.to_bytes(_COUNTER, "little")
    return bytes([sealed.info]) + address + sealed.ciphertext + counter + sealed.mic
