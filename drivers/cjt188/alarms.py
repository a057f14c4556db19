"""What is wrong with a meter, told once when it begins and once when it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.fault import Fault
from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.cjt188.profile import Profile
    from drivers.cjt188.wire import Reading, Status
    from gateway.driver import Context
    from gateway.model import Scalar


class Alarms:
    """The faults of one meter; each has a name, and comes and goes by it."""

    def __init__(self, context: Context, profile: Profile, clock_limit_s: float) -> None:
        self._context = context
        self._profile = profile
        self._clock_limit_s = clock_limit_s
        self._faults: dict[str, Fault] = {}

    def see(self, reading: Reading, now: datetime | None) -> None:
        """One reading. `now` is local time without a zone, None while it is not known."""
        self._see_status(reading.status)
        if reading.clock is not None and now is not None:
            skew_s = round((reading.clock - now).total_seconds())
            self._see("clock", abs(skew_s) > self._clock_limit_s, {"skew_s": skew_s})

    def _see_status(self, status: Status) -> None:
        self._see("valve_fault", status.valve_fault, {})
        self._see("battery_low", status.battery_low, {})
        for bit in self._profile.bits:
            if bit.alarm:
                self._see(bit.name, bit.read(status), {})

    def _see(self, name: str, bad: bool, more: dict[str, Scalar]) -> None:
        now_s = asyncio.get_running_loop().time()
        known = self._faults.setdefault(name, Fault())
        if bad and known.bad(now_s):
            self._tell({"fault": name, "active": True, **more})
        elif not bad and known.good(now_s):
            self._tell({"fault": name, "active": False})

    def _tell(self, detail: dict[str, Scalar]) -> None:
        self._context.emit(Observation(Kind.FAULT, detail=detail))
