"""Stamps: right since boot, honest about the wall, mended by an anchor of the same boot."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_strategies import stamps

from gateway import clock as clock_module
from gateway.clock import SystemClock, anchored, uptime_ms_from_monotonic_ns, uptime_now_ms
from gateway.codec import encode_event
from gateway.model import Event, Kind, Stamp, TimeQuality

STATUS_UNSYNC = 0x0040
TIME_OK, TIME_ERROR = 0, 5


class Kernel:
    """adjtimex(2) as a test wants it."""

    def __init__(self) -> None:
        self.state, self.status, self.asked = TIME_OK, 0, 0

    def adjtimex(self, timex: ctypes.Array) -> int:
        self.asked += 1
        ctypes.memset(timex, 0xFF, len(timex))
        timex[40:44] = self.status.to_bytes(4, "little")
        return self.state


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr(clock_module.ctypes, "CDLL", lambda *_, **__: kernel)
    return kernel


@pytest.fixture
def uptime(monkeypatch):
    """A settable time since boot, in ms."""
    now = {"ms": 1_000_000}
    monkeypatch.setattr(clock_module, "uptime_now_ms", lambda: now["ms"])
    return now


def test_a_stamp_of_this_machine():
    before = uptime_now_ms()
    stamp = SystemClock().stamp()
    assert before <= stamp.uptime_ms <= uptime_now_ms()
    assert abs(stamp.wall_ms - time.time() * 1000) < 60_000
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")
    assert boot_id.startswith(stamp.boot.hex())
    assert stamp.quality in {TimeQuality.UNKNOWN, TimeQuality.SYNCHRONISED}
    encode_event(Event(Kind.ANCHOR, "gateway", stamp))  # and it fits into an event


def test_a_moment_before_now_has_the_wall_time_of_then(uptime):
    clock = SystemClock()
    now, then = clock.stamp(), clock.stamp(uptime["ms"] - 60_000)
    assert then.uptime_ms == now.uptime_ms - 60_000
    assert 59_000 < now.wall_ms - then.wall_ms < 61_000


@pytest.mark.parametrize(
    ("state", "status", "quality"),
    [
        (TIME_OK, 0, TimeQuality.SYNCHRONISED),
        (TIME_OK, 0x0001, TimeQuality.SYNCHRONISED),
        (1, 0, TimeQuality.SYNCHRONISED),  # a leap second will be inserted
        (TIME_OK, STATUS_UNSYNC, TimeQuality.UNKNOWN),
        (TIME_OK, STATUS_UNSYNC | 0x2001, TimeQuality.UNKNOWN),
        (TIME_ERROR, 0, TimeQuality.UNKNOWN),
        (-1, 0, TimeQuality.UNKNOWN),  # the kernel would not tell
    ],
)
def test_the_kernel_says_how_good_the_time_is(kernel, state, status, quality):
    kernel.state, kernel.status = state, status
    assert SystemClock().stamp().quality is quality


def test_the_kernel_is_asked_once_a_second(kernel, uptime):
    clock = SystemClock()
    kernel.status = STATUS_UNSYNC
    for _ in range(100):
        assert clock.stamp().quality is TimeQuality.UNKNOWN
    assert kernel.asked == 1
    kernel.status = 0
    uptime["ms"] += 999
    assert clock.stamp().quality is TimeQuality.UNKNOWN
    uptime["ms"] += 1
    assert clock.stamp().quality is TimeQuality.SYNCHRONISED
    assert kernel.asked == 2


def test_the_first_stamp_of_a_boot_asks(kernel, uptime):
    uptime["ms"] = 0
    assert SystemClock().stamp().quality is TimeQuality.SYNCHRONISED


def test_kernel_events_are_put_into_boot_time():
    ago_ms = 5000
    then_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - ago_ms * 1_000_000
    assert abs(uptime_now_ms() - uptime_ms_from_monotonic_ns(then_ns) - ago_ms) < 1000


def test_sleep_counts_in_boot_time(monkeypatch):
    """A gateway that was suspended: CLOCK_MONOTONIC stood still, CLOCK_BOOTTIME did not."""
    at_ns = {time.CLOCK_MONOTONIC: 10_000_000_000, time.CLOCK_BOOTTIME: 70_000_000_000}
    monkeypatch.setattr(clock_module.time, "clock_gettime_ns", at_ns.__getitem__)
    assert uptime_now_ms() == 70_000
    assert uptime_ms_from_monotonic_ns(9_000_000_000) == 69_000


# --- anchors ------------------------------------------------------------------------------------

BOOT, OTHER_BOOT = b"bootboot", b"rebooted"
ANCHOR = Stamp(BOOT, 100_000, 1_753_000_000_000, TimeQuality.SYNCHRONISED)


def test_an_anchor_tells_the_time_of_what_came_before_it():
    seen = Stamp(BOOT, 40_000, 123, TimeQuality.UNKNOWN)
    assert anchored(seen, ANCHOR) == Stamp(
        BOOT, 40_000, 1_753_000_000_000 - 60_000, TimeQuality.ANCHORED
    )


@pytest.mark.parametrize(
    ("stamp", "anchor"),
    [
        (Stamp(BOOT, 1, 2, TimeQuality.UNKNOWN), None),
        (Stamp(OTHER_BOOT, 1, 2, TimeQuality.UNKNOWN), ANCHOR),
        (Stamp(BOOT, 1, 2, TimeQuality.SYNCHRONISED), ANCHOR),
        (Stamp(BOOT, 1, 2, TimeQuality.ANCHORED), ANCHOR),
    ],
    ids=["no anchor", "another boot", "known anyway", "anchored before"],
)
def test_an_anchor_leaves_alone_what_it_knows_no_better(stamp, anchor):
    assert anchored(stamp, anchor) is stamp


@given(stamps, st.none() | stamps)
def test_anchoring_keeps_boot_time_and_is_done_once(stamp, anchor):
    told = anchored(stamp, anchor)
    assert (told.boot, told.uptime_ms) == (stamp.boot, stamp.uptime_ms)
    assert anchored(told, anchor) == told
    if anchor and told.quality is TimeQuality.ANCHORED and told is not stamp:
        assert told.wall_ms - anchor.wall_ms == told.uptime_ms - anchor.uptime_ms
