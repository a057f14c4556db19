"""Addresses: 14 digits on the meter, 7 bytes on the wire, low byte first. Pure.

    78 33 00 11 22 33 44   as printed
    44 33 22 11 00 33 78   on the wire: A0 first; A5 and A6 are the maker's

AA in place of a byte matches every value of that byte, so seven of them match every meter. This
much the sources agree on (ng-gateway, `frame/defs.rs`: "wildcard broadcast by byte"). They do not
agree on how much of it meters understand. The firmware of one (KingDa, `CJT-188-2004.c`) takes its
own address or seven AA, and nothing between. DL/T 645, whose frames these are, sets AA only above
the bytes that are given, never below. So the masks made here give the low bytes and leave the high
ones open, which satisfies the strictest of those that understand masks at all. That A in place of
a single digit matches that digit is in no source, and is not used.
"""

from __future__ import annotations

ADDRESS_BYTES = 7
WILDCARD = 0xAA
EVERY_METER = bytes([WILDCARD]) * ADDRESS_BYTES


def wire_address(digits: str) -> bytes:
    """The 14 digits as printed on a meter, high digit first, in the order of the wire."""
    return bytes.fromhex(digits)[::-1]


def printed_address(address: bytes) -> str:
    """The address of the wire as it is printed on a meter, high digit first."""
    return address[::-1].hex().upper()


def matches(mask: bytes, address: bytes) -> bool:
    """Whether a mask, or an address that is none, means this address."""
    return len(mask) == len(address) and all(
        given in {WILDCARD, actual} for given, actual in zip(mask, address, strict=True)
    )


def is_mask(address: bytes) -> bool:
    """Whether more than one meter may feel addressed."""
    return WILDCARD in address


def narrower(mask: bytes) -> list[bytes]:
    """The masks that divide this one by its lowest open byte; none if no byte is open.

    The hundred BCD values of that byte: an address with a hexadecimal digit is not found by mask.
    """
    at = mask.find(WILDCARD)
    if at < 0:
        return []
    values = [16 * tens + ones for tens in range(10) for ones in range(10)]
    return [mask[:at] + bytes([value]) + mask[at + 1 :] for value in values]
