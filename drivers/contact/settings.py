"""What the configuration says about one dry contact."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from drivers.gpio.settings import InputSettings

# s. The relays of some detectors follow their horn: three half seconds with a pause of 1.5 s
# (ISO 8201), or for carbon monoxide four short ones with a pause of 5 s. An alarm is over when it
# was quiet for longer than that.
ALARM_QUIET_S = 10.0
# s. A door that stands ajar in the wind is one opening.
DOOR_QUIET_S = 1.0


class ContactSettings(InputSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A contact that opens or closes by itself."""

    kind: Literal["smoke", "gas", "heat", "water", "door", "window"]
    normally: Literal["open", "closed"]  # the contact at `offset` while nothing is the matter
    closed: Literal["low", "high"] = "low"  # level of the wire while the contact is closed
    # s at rest before it is told to be at rest again; 0: as the kind needs
    hold_off: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0

    @property
    def is_alarm(self) -> bool:
        """Whether somebody must come when it leaves its rest."""
        return self.kind not in {"door", "window"}

    @property
    def hold_off_s(self) -> float:
        """How long it must be at rest."""
        return self.hold_off or (ALARM_QUIET_S if self.is_alarm else DOOR_QUIET_S)

    @property
    def active_low(self) -> bool:
        """Whether the wire at `offset` is low while something is the matter."""
        return (self.closed == "low") is (self.normally == "open")
