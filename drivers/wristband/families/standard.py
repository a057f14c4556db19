"""Everything the Bluetooth SIG has specified and a wristband or fitness machine may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.command import Command
from drivers.wristband.family import Family
from drivers.wristband.wire.current_time import encode_current_time
from drivers.wristband.wire.profile import ALERT_LEVEL, CURRENT_TIME, READINGS, STEADY
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.wristband.wire.reading import Reading

_NO_ALERT, _HIGH_ALERT = b"\x00", b"\x02"


class Standard(Family):
    """A device with standard services."""

    name = "standard"
    steady = STEADY

    @classmethod
    def recognises(cls, offers: frozenset[str], name: str) -> bool:
        """Any device with a characteristic that is understood."""
        del name
        return not offers.isdisjoint(READINGS)

    @property
    def told_by(self) -> tuple[str, ...]:
        """Every characteristic that is understood."""
        return tuple(READINGS)

    def start(self, now: datetime | None) -> list[Command]:
        """Set the clock, where there is one to set."""
        return [Command(CURRENT_TIME, encode_current_time(now))] if now else []

    def decode(self, uuid: str, data: bytes) -> Reading:
        """By the characteristic's own decoder."""
        if uuid not in READINGS:
            raise DecodeError(f"no characteristic of this family: {uuid}")
        return READINGS[uuid](data)

    def vibrate(self, *, on: bool) -> Command:
        """By the immediate alert service (1802)."""
        return Command(ALERT_LEVEL, _HIGH_ALERT if on else _NO_ALERT)
