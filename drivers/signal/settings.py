"""What the configuration says about the household's lamp and beeper."""

from __future__ import annotations

from typing import Literal

import msgspec

from drivers.gpio.settings import Chip, Offset  # noqa: TC001 - msgspec reads the annotations


class SignalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two outputs of one chip; one of them may be missing."""

    chip: Chip = "gpiochip0"
    lamp: Offset | None = None
    beeper: Offset | None = None  # an active one, that sounds while it has power
    on: Literal["low", "high"] = "high"  # level while on; many relay boards switch on at low
