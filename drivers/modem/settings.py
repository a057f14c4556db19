"""What the configuration says about one modem."""

from __future__ import annotations

from typing import Annotated

import msgspec

Number = Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9]{3,20}\Z")]


class ModemSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The port of a modem, and who is told."""

    port: Annotated[str, msgspec.Meta(min_length=1)]
    numbers: Annotated[tuple[Number, ...], msgspec.Meta(min_length=1, max_length=10)]
    baudrate: Annotated[int, msgspec.Meta(ge=1200, le=921_600)] = 115_200
