"""Time on a machine without a clock battery.

After a power cut a Pi wakes in the past. So every event carries the time since boot, which is
always right, and the wall time with a word on how good it is. When the clock becomes synchronised
the daemon records an anchor, and the far side works out the true time of the events before it.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Protocol

from gateway.model import Stamp, TimeQuality

# The kernel's own view is asked at most once in this time: adjtimex costs more than the rest of a
# stamp, and synchronisation changes once a boot.
SYNC_CHECK_INTERVAL_MS = 1000

_STA_UNSYNC = 0x0040  # linux/timex.h
_TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronized to a reliable server"
_TIMEX_BYTES = 208  # sizeof(struct timex) on every 64-bit Linux; modes = 0 only reads
_TIMEX_STATUS_OFFSET = 40


class Clock(Protocol):
    """Where stamps come from."""

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        """A stamp for now, or for a moment of this boot given as time since boot."""
        ...


class SystemClock:
    """The kernel's clocks: CLOCK_BOOTTIME, CLOCK_REALTIME and adjtimex(2)."""

    def __init__(self) -> None:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        self._boot = bytes.fromhex(boot_id.strip().replace("-", ""))[:8]
        self._quality = TimeQuality.UNKNOWN
        self._checked_ms = -SYNC_CHECK_INTERVAL_MS
        self._libc = ctypes.CDLL(None, use_errno=True)

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        """A stamp for now, or for a moment of this boot given as time since boot (ms)."""
        now_ms = uptime_now_ms()
        if now_ms - self._checked_ms >= SYNC_CHECK_INTERVAL_MS:
            self._checked_ms = now_ms
            self._quality = self._ask_kernel()
        at_ms = now_ms if uptime_ms is None else uptime_ms
        wall_ms = time.time_ns() // 1_000_000 - (now_ms - at_ms)
        return Stamp(self._boot, at_ms, wall_ms, self._quality)

    def _ask_kernel(self) -> TimeQuality:
        timex = ctypes.create_string_buffer(_TIMEX_BYTES)
        state = self._libc.adjtimex(timex)
        status = int.from_bytes(
            timex.raw[_TIMEX_STATUS_OFFSET : _TIMEX_STATUS_OFFSET + 4], "little"
        )
        if state < 0 or state == _TIME_ERROR or status & _STA_UNSYNC:
            return TimeQuality.UNKNOWN
        return TimeQuality.SYNCHRONISED


def uptime_now_ms() -> int:
    """Milliseconds since boot, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def uptime_ms_from_monotonic_ns(monotonic_ns: int) -> int:
    """The boot time of a kernel event stamped with CLOCK_MONOTONIC (ns), as gpiod and evdev do."""
    ago_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - monotonic_ns
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - ago_ns) // 1_000_000


def anchored(stamp: Stamp, anchor: Stamp | None) -> Stamp:
    """The stamp with its true wall time, if an anchor of the same boot tells it better."""
    if anchor is None or anchor.boot != stamp.boot or stamp.quality is not TimeQuality.UNKNOWN:
        return stamp
    wall_ms = anchor.wall_ms - anchor.uptime_ms + stamp.uptime_ms
    return Stamp(stamp.boot, stamp.uptime_ms, wall_ms, TimeQuality.ANCHORED)
