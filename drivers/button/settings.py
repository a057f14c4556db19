"""What the configuration says about one call button."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from drivers.gpio.settings import InputSettings, Offset

Action = Literal["call", "cancel", "acknowledge", "news", "none"]
Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=10)]


class ButtonSettings(InputSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A button, what its presses mean, and the light that tells how a call stands."""

    active: Literal["low", "high"] = "low"  # level of the wire at `offset` while pressed
    light: Offset | None = None  # an output line on the same chip
    stuck_after: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0  # s; nobody presses so long
    # What each kind of press does. While all are calls, a press calls at its first edge.
    short: Action = "call"
    long: Action = "call"
    double: Action = "call"
    # s held. Telephones take half a second for long; a frightened person pushes hard, and is to be
    # taken for one who wants anything but a call only if that was meant.
    long_press: Seconds = 2.0
    # s between the end of a press and the next. Desktops take up to half a second for a double
    # click from fingers that are young.
    double_window: Seconds = 0.6
