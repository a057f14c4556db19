"""Whether a band is in range, fading or away, by how strongly it is heard. Pure: time is given.

A band is in range while it is connected or heard well, fading when it is heard badly or was not
heard for FADES_S, and away when it was not heard for AWAY_S. The strength is the median of the last
few advertisements, and a band must be heard better to come back than it must be to stay, so that
somebody who stands in the doorway does not come and go all evening.

BlueZ tells the strength of advertisements alone; that of a connection it keeps to itself (it takes
the kernel's management socket, and CAP_NET_ADMIN). So a connected band is in range.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

# Of a band on a wrist -60 to -75 dBm are heard in the same room, -80 to -90 behind two walls;
# connections are made down to about -90. Walls and bodies move it by 5 to 10 dB.
STAYS_DBM = -92
COMES_BACK_DBM = -86
SAMPLES = 5
# Bands advertise every 1 to 10 s, and a scan hears every other.
FADES_S = 60.0
# What BlueZ itself takes before it forgets a device.
AWAY_S = 180.0


class Range(StrEnum):
    """Where a band is, as its presence is told."""

    IN_RANGE = "in range"
    FADING = "fading"
    AWAY = "away"


class Presence:
    """One band."""

    def __init__(self, now_s: float) -> None:
        """Nothing is known yet; a band that is not heard from now on is away after AWAY_S."""
        self.range: Range | None = None
        self.dbm: int | None = None  # the median of what was last heard
        self._connected = False
        self._heard_s = now_s
        self._heard: deque[int] = deque(maxlen=SAMPLES)

    def connected(self, now_s: float) -> bool:
        """It is connected; True if its range is another now."""
        self._connected, self._heard_s = True, now_s
        return self._judge(now_s)

    def lost(self, now_s: float) -> None:
        """Its connection is lost. That alone says nothing: most come back within seconds."""
        self._connected, self._heard_s = False, now_s
        self._heard.clear()

    def heard(self, dbm: int, now_s: float) -> bool:
        """An advertisement was heard; True if its range is another now."""
        self._heard.append(dbm)
        self.dbm = sorted(self._heard)[len(self._heard) // 2]
        self._heard_s = now_s
        return self._judge(now_s)

    def passed(self, now_s: float) -> bool:
        """Time has passed; True if its range is another now."""
        return self._judge(now_s)

    def _judge(self, now_s: float) -> bool:
        quiet_s = now_s - self._heard_s
        if self._connected:
            return self._become(Range.IN_RANGE)
        if quiet_s >= AWAY_S:
            self._heard.clear()
            return self._become(Range.AWAY)
        if quiet_s >= FADES_S and self.range is Range.IN_RANGE:
            return self._become(Range.FADING)
        if not self._heard or self.dbm is None or quiet_s >= FADES_S:
            return False
        least = STAYS_DBM if self.range is Range.IN_RANGE else COMES_BACK_DBM
        return self._become(Range.IN_RANGE if self.dbm >= least else Range.FADING)

    def _become(self, new: Range) -> bool:
        changed, self.range = self.range is not new, new
        return changed
