"""A text as the user data of one or more short messages (3GPP TS 23.040, 9.2.3.24).

140 octets are what one message carries: 160 septets or 70 UCS2 units. Of several, each gives six
octets to a header that says which part of which message it is. Neither an escape sequence nor a
surrogate pair is torn, because each part is shown alone where the header is not understood.
"""

from __future__ import annotations

import msgspec

from drivers.modem.wire.gsm7 import pack, septets_of

GSM7, UCS2 = 0x00, 0x08  # data coding scheme
HEADER_BYTES = 6
_UNITS = {GSM7: (160, 153), UCS2: (70, 67)}  # alone, and as a part

# Whoever gets it must read it at a glance, and each part costs money and time on the air: eight are
# 536 Chinese characters. What is longer ends with an ellipsis.
MAX_PARTS = 8
ELLIPSIS = "..."


class UserData(msgspec.Struct, frozen=True):
    """Of one message."""

    coding: int
    length: int  # in septets or in octets, as the coding counts, header included
    octets: bytes
    has_header: bool


def user_data_of(text: str, reference: int) -> list[UserData]:
    """The messages that carry a text. `reference`: 0 to 255, another for each text."""
    coding = GSM7 if all(septets_of(letter) for letter in text) else UCS2
    alone, as_part = _UNITS[coding]
    whole = _split(text, coding, alone)
    if len(whole) <= 1:
        return [_carry(text, coding, b"")]
    parts = _split(text, coding, as_part)
    if len(parts) > MAX_PARTS:
        del parts[MAX_PARTS:]
        parts[-1] = parts[-1][: -2 * len(ELLIPSIS)] + ELLIPSIS  # a letter may be two units
    headers = [bytes([5, 0, 3, reference, len(parts), n]) for n in range(1, len(parts) + 1)]
    return [_carry(part, coding, header) for part, header in zip(parts, headers, strict=True)]


def _split(text: str, coding: int, room: int) -> list[str]:
    parts: list[str] = []
    left = 0
    for letter in text:
        size = len(septets_of(letter) or ()) if coding == GSM7 else 1 + (letter > "\uffff")
        if size > left:
            parts.append("")
            left = room
        parts[-1] += letter
        left -= size
    return parts


def _carry(text: str, coding: int, header: bytes) -> UserData:
    if coding == UCS2:
        octets = header + text.encode("utf-16-be", "replace")
        return UserData(coding, len(octets), octets, bool(header))
    septets = [code for letter in text for code in septets_of(letter) or ()]
    filled = (8 * len(header) + 6) // 7  # the text begins at a whole septet
    octets = header + pack(septets, 7 * filled - 8 * len(header))
    return UserData(coding, filled + len(septets), octets, bool(header))
