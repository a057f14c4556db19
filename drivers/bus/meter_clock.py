"""The clock in a meter, held against the gateway's."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from gateway.clock import SystemClock
from gateway.model import TimeQuality

if TYPE_CHECKING:
    from drivers.fault import Faults


class MeterClock:
    """Tells the fault `clock`, with `skew_s`, of a clock that is off by more than the limit."""

    def __init__(self, faults: Faults, limit_s: float) -> None:
        self._faults = faults
        self._limit_s = limit_s
        self._clock = SystemClock()

    def now(self) -> datetime | None:
        """Local time as a meter has it, without a zone; None while the gateway does not know it."""
        stamp = self._clock.stamp()
        if stamp.quality is TimeQuality.UNKNOWN:
            return None
        return datetime.fromtimestamp(stamp.wall_ms / 1000)

    def see(self, shown: datetime | None) -> None:
        """What the meter's clock shows; None if it shows nothing."""
        now = self.now()
        if shown is not None and now is not None:
            skew_s = round((shown - now).total_seconds())
            self._faults.see("clock", abs(skew_s) > self._limit_s, skew_s=skew_s)
