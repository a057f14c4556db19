"""The hours in which only what matters is said, such as "22:00-07:00" of local time."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Mute:
    """From one time of day to another, over midnight too; no hours at all if empty."""

    def __init__(self, hours: str) -> None:
        begin, _, end = hours.partition("-")
        self._begin = time.fromisoformat(begin) if hours else time()
        self._end = time.fromisoformat(end) if hours else time()

    def covers(self, local: datetime) -> bool:
        """Whether the home sleeps then."""
        at = local.time()
        if self._begin <= self._end:
            return self._begin <= at < self._end
        return at >= self._begin or at < self._end
