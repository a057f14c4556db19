"""A clock that a test moves, with everything that happens to the clock of a Pi."""

from __future__ import annotations

from datetime import datetime, tzinfo

from gateway.model import Stamp, TimeQuality


class VirtualClock:
    """`wall` is local time in `zone`; see gateway.clock.Clock."""

    def __init__(self, wall: str, zone: tzinfo) -> None:
        self.wall_ms = at_ms(wall, zone)
        self.uptime_ms = 60_000
        self.quality = TimeQuality.SYNCHRONISED
        self.boots = 1

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        at = self.uptime_ms if uptime_ms is None else uptime_ms
        boot = self.boots.to_bytes(8, "big")
        return Stamp(boot, at, self.wall_ms - (self.uptime_ms - at), self.quality)

    def pass_s(self, seconds: float) -> None:
        """Time goes by."""
        self.uptime_ms += round(seconds * 1000)
        self.wall_ms += round(seconds * 1000)

    def step_s(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.wall_ms += round(seconds * 1000)

    def unsynchronise(self) -> None:
        """No time server for nine hours: the kernel has its doubts."""
        self.quality = TimeQuality.UNKNOWN

    def power_cut_s(self, seconds: float) -> None:
        """Off for so long, and on again with a time server."""
        self.wall_ms += round(seconds * 1000)
        self.uptime_ms = 20_000
        self.boots += 1


def at_ms(wall: str, zone: tzinfo) -> int:
    return round(datetime.fromisoformat(wall).replace(tzinfo=zone).timestamp() * 1000)
