"""What the configuration says about one call button."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Offset = Annotated[int, msgspec.Meta(ge=0, le=4095)]


class ButtonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A button on a GPIO line, and the light that tells the person: your call is kept."""

    offset: Offset  # of the line within its chip
    chip: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "gpiochip0"
    bias: Literal["pull-up", "pull-down", "disabled", "as-is"] = "pull-up"
    active: Literal["low", "high"] = "low"  # level of the wire while pressed
    # s. Push buttons bounce for up to 20 ms, by the datasheets; 30 ms leaves room and is not felt.
    debounce: Annotated[float, msgspec.Meta(ge=0.001, le=1)] = 0.03
    light: Offset | None = None  # an output line on the same chip
    light_time: Annotated[float, msgspec.Meta(gt=0, le=60)] = 3.0  # s; long enough to be noticed
    stuck_after: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0  # s; nobody presses so long
