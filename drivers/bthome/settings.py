"""What the configuration says about one BTHome device."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Address = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\Z")]
Press = Literal[
    "press", "double", "triple", "long", "long_double", "long_triple", "hold", "other"
]  # wire/objects.py

EVERY_PRESS: tuple[Press, ...] = (
    "press", "double", "triple", "long", "long_double", "long_triple", "hold", "other",
)  # fmt: skip


class BthomeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A button or sensor, and the adapter that listens to it."""

    address: Address
    adapter: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "hci0"
    # File with the key of a device that encrypts, readable for hearth alone. With it, plaintext is
    # refused: anybody could send that.
    key_file: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    # Which presses are a call; who is frightened presses in any way. The others are measurements.
    call_on: tuple[Press, ...] = EVERY_PRESS
    # s without an advertisement before the device is offline; 0 is never. A button may advertise
    # when it is pressed and not otherwise; most sensors do once a minute or more often.
    silence: Annotated[float, msgspec.Meta(ge=0, le=2_592_000)] = 0.0
