"""What time it is in the home, and whether that is known.

The kernel calls its clock unsynchronised again when it has not heard of a time server for some
nine hours (its error bound grows by 0.5 ms a second, up to 16 s). The clock is as good then as it
was before, to a few seconds a day. So a clock that was right once in a boot is believed for the
rest of it, by the time since boot: reminders ring through an outage of days. Only after a restart
of the machine without a time server nobody knows the time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gateway.clock import anchored
from gateway.model import TimeQuality

if TYPE_CHECKING:
    from datetime import tzinfo

    from gateway.clock import Clock
    from gateway.model import Stamp


class Moment(NamedTuple):
    """Now."""

    wall_ms: int  # since 1970-01-01 UTC
    uptime_ms: int  # since boot
    known: bool  # whether wall_ms can be believed


class Timekeeper:
    """The time of one home."""

    def __init__(self, clock: Clock, zone: tzinfo | None = None) -> None:
        """Nothing is known before the first look.

        Args:
            clock: where stamps come from.
            zone: of the home; None is that of the system.
        """
        self._clock = clock
        self._zone = zone
        self.anchor: Stamp | None = None  # the last moment at which the clock was right

    def now(self) -> Moment:
        """Now, as well as it is known."""
        stamp = self._clock.stamp()
        if stamp.quality is TimeQuality.SYNCHRONISED:
            self.anchor = stamp
        told = anchored(stamp, self.anchor)
        return Moment(told.wall_ms, told.uptime_ms, told.quality is not TimeQuality.UNKNOWN)

    def stamp(self) -> Stamp:
        """A stamp of now, to be dated later if the time is not known yet."""
        return self._clock.stamp()

    def wall_ms_of(self, stamp: Stamp) -> int | None:
        """When a stamp was taken; None if that is not known."""
        told = anchored(stamp, self.anchor)
        return None if told.quality is TimeQuality.UNKNOWN else told.wall_ms

    def local(self, wall_ms: int) -> datetime:
        """What a clock on the wall of the home shows then."""
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=wall_ms)
        return instant.astimezone(self._zone).replace(tzinfo=None, fold=0)

    def instant_ms(self, local: datetime) -> int:
        """When the clock on the wall shows this.

        A time that a change of the clock skips is that much later, as clocks show it; of one that
        comes twice it is the first.
        """
        aware = local.replace(tzinfo=self._zone, fold=0)
        return round(aware.timestamp() * 1000)
