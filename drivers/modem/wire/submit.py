"""SMS-SUBMIT: what is given to the modem to be sent (3GPP TS 23.040, 9.2.2.2), both ways.

    00                      the service centre that the SIM card names
    11 | 40                 SMS-SUBMIT, relative validity | with a header in the user data
    00                      message reference: the modem's
    <digits> <type> ...     the number, two digits an octet, low digit first
    00 <coding> A7          no protocol, alphabet, valid for a day
    <length> <user data>

A day: a call for help that is older is for nobody, and the events tell of it.
"""

from __future__ import annotations

import msgspec

from drivers.modem.wire.gsm7 import text_of, unpack
from drivers.modem.wire.parts import GSM7, HEADER_BYTES, UCS2, UserData
from gateway.errors import DecodeError

INTERNATIONAL, NATIONAL = 0x91, 0x81
_SUBMIT, _WITH_HEADER = 0x11, 0x40
_ONE_DAY = 0xA7
_DIGITS = "0123456789"
_PAD = "F"


class Submit(msgspec.Struct, frozen=True):
    """One message as a modem gets it."""

    number: str
    text: str
    reference: int = 0  # which text it is a part of ...
    parts: int = 1
    part: int = 1  # ... and which


def encode_submit(number: str, data: UserData) -> bytes:
    """The octets after AT+CMGS=, the first of which is not counted there."""
    first = _SUBMIT | (_WITH_HEADER if data.has_header else 0)
    head = bytes([0, first, 0]) + _address(number) + bytes([0, data.coding, _ONE_DAY])
    return head + bytes([data.length]) + data.octets


def decode_submit(octets: bytes) -> Submit:
    """A message as it was; DecodeError if it is none that `encode_submit` makes."""
    if len(octets) < 6 or octets[0] or octets[1] & ~_WITH_HEADER != _SUBMIT:
        raise DecodeError("no SMS-SUBMIT")
    digits = octets[3]
    end = 5 + (digits + 1) // 2
    number = ("+" if octets[4] == INTERNATIONAL else "") + _number(octets[5:end], digits)
    if len(octets) < end + 4:
        raise DecodeError("the message ends before its text")
    coding, length, data = octets[end + 1], octets[end + 3], octets[end + 4 :]
    header = data[:HEADER_BYTES] if octets[1] & _WITH_HEADER else b""
    text = _text(coding, length, data, len(header))
    if not header:
        return Submit(number, text)
    if len(header) < HEADER_BYTES or header[:3] != b"\5\0\3":
        raise DecodeError("a header of another kind")
    return Submit(number, text, *header[3:])


def _address(number: str) -> bytes:
    digits = number.removeprefix("+")
    kind = INTERNATIONAL if number.startswith("+") else NATIONAL
    padded = digits + _PAD * (len(digits) % 2)
    swapped = "".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))
    return bytes([len(digits), kind]) + bytes.fromhex(swapped)


def _number(octets: bytes, digits: int) -> str:
    text = "".join(f"{octet & 15:X}{octet >> 4:X}" for octet in octets)[:digits]
    if len(text) < digits or set(text) - set(_DIGITS):
        raise DecodeError("no telephone number")
    return text


def _text(coding: int, length: int, data: bytes, header: int) -> str:
    if coding == UCS2:
        if len(data) != length:
            raise DecodeError("another length than announced")
        try:
            return data[header:].decode("utf-16-be")
        except UnicodeDecodeError as error:
            raise DecodeError("no UCS2") from error
    if coding != GSM7:
        raise DecodeError(f"coding {coding:#04x}")
    filled = (8 * header + 6) // 7
    if length < filled:
        raise DecodeError("shorter than its header")
    return text_of(unpack(data[header:], length - filled, 7 * filled - 8 * header))
