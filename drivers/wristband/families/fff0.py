"""The FFF0 family (J-Style, Youhong): they tell live, and they have an SOS button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.command import Command
from drivers.wristband.family import Family
from drivers.wristband.wire import fff0
from drivers.wristband.wire.fff0_history import Fff0History
from drivers.wristband.wire.fff0_record import KINDS, is_history
from drivers.wristband.wire.reading import Reading
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drivers.wristband.history import History

_TIMES = 3  # enough to be noticed, and over before it frightens


class Fff0(Family):
    """A band with the service FFF0."""

    name = "fff0"
    steady = frozenset({fff0.NOTIFY})
    stores = tuple(kind.name for kind in KINDS)

    @classmethod
    def recognises(cls, offers: frozenset[str], name: str) -> bool:
        """By its characteristics too: many makers use the number FFF0 for services of their own."""
        del name
        return offers >= {fff0.SERVICE, fff0.WRITE, fff0.NOTIFY}

    @property
    def told_by(self) -> tuple[str, ...]:
        """Everything comes on one characteristic."""
        return (fff0.NOTIFY,)

    def start(self, now: datetime | None) -> list[Command]:
        """Set the clock and switch live values on."""
        frames = [fff0.encode_time(now)] if now else []
        return [Command(fff0.WRITE, frame) for frame in (*frames, fff0.start_live())]

    def poll(self, turn: int) -> list[Command]:
        """Battery; and live values again, for a band that restarted or left them off."""
        del turn
        return [Command(fff0.WRITE, frame) for frame in (fff0.ask_battery(), fff0.start_live())]

    def histories(self, now: datetime, since: Mapping[str, datetime]) -> list[History]:
        """Every kind; once it is durable here, the band deletes it."""
        return [Fff0History(kind, now, since.get(kind.name)) for kind in KINDS]

    def decode(self, uuid: str, data: bytes) -> Reading:
        """One notification."""
        if uuid != fff0.NOTIFY:
            raise DecodeError(f"no characteristic of this family: {uuid}")
        if is_history(data):
            return Reading()  # a late page of a conversation that was given up, or "deleted"
        return fff0.decode_fff0(data)

    def vibrate(self, *, on: bool) -> Command | None:
        """A few times; it stops by itself."""
        return Command(fff0.WRITE, fff0.vibrate(_TIMES)) if on else None
