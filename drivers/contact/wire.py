"""A contact that comes and goes in; one alarm, and its end, out. Pure: time comes with the call.

The alarm is on with the first sign of it, and over when the contact was at rest for `hold_off_ns`;
so a contact that flutters is one alarm. One that leaves its rest anew without having come to rest,
as the whole side of a contact with a broken wire does, is told again, but not more often than that.

All times are nanoseconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations


class Held:
    """Whether a contact counts as active."""

    def __init__(self, *, active: bool, now_ns: int, hold_off_ns: int) -> None:
        self.active = active
        self._hold_off_ns = hold_off_ns
        self._seen_ns = now_ns  # when it last left its rest
        self._rest_ns: int | None = None  # since when it is at rest, while it still counts

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` finds that it is over; None if there is nothing to wait for."""
        return None if self._rest_ns is None else self._rest_ns + self._hold_off_ns

    def left(self, at_ns: int) -> bool:
        """It left its rest; True if that is news."""
        news = not self.active or (
            self._rest_ns is None and at_ns - self._seen_ns >= self._hold_off_ns
        )
        self.active = True
        self._seen_ns = at_ns
        self._rest_ns = None
        return news

    def rested(self, at_ns: int) -> None:
        """It came to rest."""
        if self.active:
            self._rest_ns = at_ns

    def tick(self, now_ns: int) -> bool:
        """Time passed; True if it is over with that."""
        deadline_ns = self.deadline_ns
        if deadline_ns is None or now_ns < deadline_ns:
            return False
        self.active = False
        self._rest_ns = None
        return True
