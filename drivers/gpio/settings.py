"""What every device on input lines is told: where the contact is, and how it is wired."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Offset = Annotated[int, msgspec.Meta(ge=0, le=4095)]  # of a line within its chip
Chip = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class InputSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A contact on one line, or a change-over contact on two."""

    offset: Offset
    offset_nc: Offset | None = None  # the normally closed side of a change-over contact
    chip: Chip = "gpiochip0"
    bias: Literal["pull-up", "pull-down", "disabled", "as-is"] = "pull-up"
    # s. Push buttons bounce for up to 20 ms, by the datasheets; 30 ms leaves room and is not felt.
    debounce: Annotated[float, msgspec.Meta(ge=0.001, le=1)] = 0.03


def twice(offsets: list[int | None]) -> list[str]:
    """Faults of a device that names one line for two things."""
    named = [offset for offset in offsets if offset is not None]
    return [
        f"line {offset} is named twice" for offset in sorted({*named}) if named.count(offset) > 1
    ]
