"""How long to wait for a radio that is away before the supervisor is told."""

from __future__ import annotations

import asyncio

# systemd restarts a crashed bluetoothd within seconds; a package update takes up to half a minute.
RADIO_GRACE_S = 60.0


class Grace:
    """How long a radio that once worked may be away."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._worked = False
        self._lost_at_s: float | None = None

    def renew(self) -> None:
        """The radio works."""
        self._worked = True
        self._lost_at_s = None

    def covers(self) -> bool:
        """Whether to wait for the radio; the time runs from the first question after it worked."""
        now_s = asyncio.get_running_loop().time()
        if self._lost_at_s is None:
            self._lost_at_s = now_s
        return self._worked and now_s - self._lost_at_s < self._grace_s
