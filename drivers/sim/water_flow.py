"""The water that runs through a virtual meter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS_PER_HOUR = 3600


class WaterFlow:
    """Water that runs: so many litres an hour since it was last changed, on top of the total."""

    def __init__(
        self,
        litres_per_hour: float = 0.0,
        total_litres: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._since = clock()
        self._total_litres = total_litres
        self._litres_per_hour = litres_per_hour

    @property
    def litres_per_hour(self) -> float:
        """How fast the water runs now."""
        return self._litres_per_hour

    @litres_per_hour.setter
    def litres_per_hour(self, rate: float) -> None:
        self._total_litres, self._since = self.total_litres, self._clock()
        self._litres_per_hour = rate

    @property
    def total_litres(self) -> float:
        """What the counter shows."""
        hours = (self._clock() - self._since) / _SECONDS_PER_HOUR
        return self._total_litres + self._litres_per_hour * hours
