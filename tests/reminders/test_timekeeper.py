"""What time it is, and whether that is known: through outages, restarts, and hands at the clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from virtual_clock import VirtualClock

from gateway.model import Stamp, TimeQuality
from gateway.timekeeper import Timekeeper

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_clock_that_was_right_once_is_believed_for_the_rest_of_the_boot():
    """The kernel calls it unsynchronised after nine hours without a time server."""
    clock = VirtualClock("2026-11-26T08:00", SHANGHAI)
    time = Timekeeper(clock, SHANGHAI)
    assert time.now().known
    clock.unsynchronise()
    clock.pass_s(3 * 86_400)
    clock.step_s(-5 * 86_400)  # somebody set it by hand
    now = time.now()
    assert now.known
    assert time.local(now.wall_ms) == datetime(2026, 11, 29, 8, 0)


def test_but_not_for_the_next():
    clock = VirtualClock("2026-11-26T08:00", SHANGHAI)
    time = Timekeeper(clock, SHANGHAI)
    time.now()
    clock.unsynchronise()
    clock.power_cut_s(60)
    assert not time.now().known
    assert time.wall_ms_of(time.stamp()) is None


def test_a_stamp_of_before_is_dated_when_the_clock_becomes_known():
    clock = VirtualClock("2026-11-26T08:00", SHANGHAI)
    clock.unsynchronise()
    time = Timekeeper(clock, SHANGHAI)
    stamp = time.stamp()
    clock.pass_s(600)
    clock.step_s(86_400)
    clock.quality = TimeQuality.SYNCHRONISED
    assert time.wall_ms_of(stamp) is None  # nobody has looked yet
    time.now()
    assert time.local(time.wall_ms_of(stamp)) == datetime(2026, 11, 27, 8, 0)
    assert time.wall_ms_of(Stamp(b"elsewhen", 1, 1, TimeQuality.UNKNOWN)) is None


@pytest.mark.parametrize("local", ["2026-07-01T08:00", "2026-12-01T08:00"])
def test_the_zone_of_the_system(local):
    time = Timekeeper(VirtualClock("2026-01-01T00:00", SHANGHAI))
    assert time.local(time.instant_ms(datetime.fromisoformat(local))).isoformat()[:16] == local
