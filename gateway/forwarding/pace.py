"""How much routine traffic may be on its way.

So much that the link is busy, so little that a call does not wait behind it: bytes handed to a
socket cannot be overtaken any more. On a link of 8 KB/s a window of sixteen 16 KiB batches is half
a minute that a call would stand behind. So the window is counted in bytes and steered by the round
trip of the PUBACKs: it grows while they come back soon, and is halved when they come later than the
shortest lately seen by QUEUE_LIMIT_S, because then the bytes stand in a queue (the idea of LEDBAT,
RFC 6817, with the growth of TCP, RFC 5681). The shortest is remembered for a while only, because
links change. What a small batch needs that goes alone is the way itself and no queue of ours: a few
of these, and a link that became longer is known without waiting for the shortest to be forgotten.

Pure: the caller gives the time.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

# What a call may find standing before it: below the half second at which a wait is felt.
QUEUE_LIMIT_S = 0.25
# Batches smaller than this are mostly overhead (topic, TLS record, TCP and IP headers).
MIN_BATCH_BYTES = 1024
# The first window of a connection: half a second of the slowest link (GPRS, 8 KB/s).
FIRST_WINDOW_BYTES = 4096
# After the first halving the window grows by this part of itself in one round trip: on a slow link
# slowly, and a satellite's window is whole again in half a dozen seconds.
GROWTH_PARTS = 8
# On a slow link the window is sent in so many batches: with one, the link would be idle while its
# PUBACK comes back.
BATCHES_IN_FLIGHT = 4
# How long a shortest round trip is believed; RFC 6817 keeps ten minutes, gateways roam faster.
BASE_LIFETIME_S = 30.0
# Not above what the slowest link carries in QUEUE_LIMIT_S: so small, a batch makes no queue itself.
LONE_BYTES = 2048
# One late PUBACK is a lost segment, or somebody else's queue.
LONE_TIMES = 3


class Flight(NamedTuple):
    """A batch on its way: its bytes, and whether it went alone and small."""

    pace: Pace
    size: int
    lone: bool

    def landed(self, sent_at_s: float, now_s: float) -> None:
        """Its PUBACK came."""
        self.pace.landed(self, sent_at_s, now_s)


class Pace:
    """A window in bytes, between one small batch and `max_batches` full ones."""

    def __init__(self, max_batch_bytes: int, max_batches: int) -> None:
        self.max_batch_bytes = max_batch_bytes
        self._max_batches = max_batches
        self._max_window = float(max_batch_bytes * max_batches)
        self._min_window = float(min(MIN_BATCH_BYTES, max_batch_bytes))
        self._window = float(min(FIRST_WINDOW_BYTES, self._max_window))
        self._growing_fast = True
        self._flying_bytes = 0
        self._flying = 0
        self._base_s, self._older_base_s, self._base_since_s = inf, inf, -inf
        self._halved_at_s = -inf
        self._late_lone: list[float] = []  # round trips, since one was not late

    @property
    def window_bytes(self) -> int:
        """How many bytes may be on their way now."""
        return int(self._window)

    @property
    def batch_bytes(self) -> int:
        """How large the next batch may be."""
        return min(
            self.max_batch_bytes, max(int(self._window / BATCHES_IN_FLIGHT), MIN_BATCH_BYTES)
        )

    def admits(self, size: int) -> bool:
        """Whether a batch of this size may go now. One may always go."""
        if not self._flying:
            return True
        fits = self._flying_bytes + size <= self._window
        return fits and self._flying < self._max_batches

    def sent(self, size: int) -> Flight:
        """A batch of this size is handed to the link."""
        flight = Flight(self, size, lone=not self._flying and size <= LONE_BYTES)
        self._flying += 1
        self._flying_bytes += size
        return flight

    def landed(self, flight: Flight, sent_at_s: float, now_s: float) -> None:
        """Its PUBACK came."""
        self._flying -= 1
        self._flying_bytes -= flight.size
        round_trip_s = now_s - sent_at_s
        self._learn_base(round_trip_s, now_s)
        if not self._is_late(round_trip_s):
            self._late_lone.clear()
        elif flight.lone:
            self._learn_longer(round_trip_s, now_s)
        if not self._is_late(round_trip_s):
            self._grow(flight.size)
        elif sent_at_s >= self._halved_at_s:  # else: sent before the last halving could help
            self._halve(now_s)

    def _is_late(self, round_trip_s: float) -> bool:
        return round_trip_s > min(self._base_s, self._older_base_s) + QUEUE_LIMIT_S

    def _grow(self, size: int) -> None:
        careful = max(MIN_BATCH_BYTES, self._window / GROWTH_PARTS) * size / self._window
        step = size if self._growing_fast else careful
        self._window = min(self._window + step, self._max_window)

    def _halve(self, now_s: float) -> None:
        self._growing_fast = False
        self._halved_at_s = now_s
        self._window = max(self._window / 2, self._min_window)

    def _learn_base(self, round_trip_s: float, now_s: float) -> None:
        if now_s - self._base_since_s > BASE_LIFETIME_S:
            self._older_base_s, self._base_s, self._base_since_s = self._base_s, inf, now_s
        self._base_s = min(self._base_s, round_trip_s)

    def _learn_longer(self, round_trip_s: float, now_s: float) -> None:
        self._late_lone.append(round_trip_s)
        if len(self._late_lone) == LONE_TIMES:
            self._base_s = self._older_base_s = min(self._late_lone)
            self._base_since_s = now_s
            self._growing_fast = True  # another link, of which nothing is known yet
            self._late_lone.clear()
